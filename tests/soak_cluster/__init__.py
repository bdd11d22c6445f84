"""`python -m soak_cluster SECONDS`: three machines of a cluster, on which everything fails in turn."""
