"""What a client may send: the listener's policy, rates, and the number of connections from one source."""
