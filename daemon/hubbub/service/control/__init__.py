"""The control socket, and the commands that a running daemon takes through it."""
