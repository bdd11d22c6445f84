"""The NATS client protocol: dialect.py is the server's side, client.py the client's."""

from hubbub_plugins.nats.dialect import Nats

__all__ = ["Nats"]
