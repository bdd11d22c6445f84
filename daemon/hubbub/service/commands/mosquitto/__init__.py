"""Turns the configuration of a Mosquitto into hubbub's: `conf` reads it, `acl` its permissions, `command` writes."""
