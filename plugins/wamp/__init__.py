"""WAMP version 2, broker and dealer: dialect.py is the server's side, realm.py what its sessions share."""

from hubbub_plugins.wamp.dialect import Wamp

__all__ = ["Wamp"]
