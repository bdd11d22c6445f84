"""What the operator wants: the command line and the files, read and checked."""
