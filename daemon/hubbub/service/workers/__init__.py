"""`--workers N`: one process that holds the sockets, and N daemons behind them, which are nodes of a cluster."""
