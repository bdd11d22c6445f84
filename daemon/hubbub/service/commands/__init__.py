"""What `hubbub COMMAND` does: a module for each command, or for a few that are alike."""
