"""One connected client: its link, with the parts that read, write, time out, authenticate and shut down."""
