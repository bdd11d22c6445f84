"""Where the log goes, and in which form."""
