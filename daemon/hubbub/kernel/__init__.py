"""The hub and its links, pure: time is an argument, bytes leave through a wire, nothing here knows a reactor."""
