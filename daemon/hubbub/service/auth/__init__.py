"""Logins, through twisted.cred, and permissions. `kinds` tells what `--auth` may name, `login` asks them."""
