"""`hubbub trace`: the events and the bytes of a link, as text."""
