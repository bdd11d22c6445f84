"""Logins: who a client is, through twisted.cred. `kinds` tells what `--auth` may name, `login` asks them."""
