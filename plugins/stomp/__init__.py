"""STOMP 1.0, 1.1 and 1.2: dialect.py is the server's side, frames.py the wire format."""

from hubbub_plugins.stomp.dialect import Stomp

__all__ = ["Stomp"]
