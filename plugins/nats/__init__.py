"""The NATS client protocol: dialect.py is the server's side, client.py the client's, subjects.py the map of topics."""

from hubbub_plugins.nats.dialect import Nats

__all__ = ["Nats"]
