"""Clients of a hub or a broker for the command line: blocking, one connection each."""
