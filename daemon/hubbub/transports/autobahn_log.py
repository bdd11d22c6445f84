"""Keeps Autobahn from colouring names in log lines, and from laying its options out.

It logs several lines at the debug level for each connection, and does both for them even when the level is off: 15% of
the processor time of a handshake.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted import websocket
from autobahn.websocket import protocol


def leave_plain() -> None:
    """Let what Autobahn logs about a connection be as it is."""
    for module in (protocol, websocket):
        vars(module).update(hltype=_plain, hlval=_plain)
    vars(protocol).update(pformat=_plain)


def _plain(value: Any, color: str = "", bold: bool = True) -> Any:
    return value
