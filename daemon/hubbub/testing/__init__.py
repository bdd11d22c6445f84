"""Helpers for tests of plugins and of hubbub itself: a hub in memory, and clients that reach it over real protocols.

    world = World()
    sensor = world.listen("tcp", Lines).connect()
    page = world.listen("websocket", Json).connect()
    page.say('{"op":"subscribe","topic":"#"}')    ->  ['{"op":"subscribed","topic":"#"}']
    sensor.send(b"PUB a 21.5\\n")
    world.turn()
    page.received()                               ->  ['{"op":"message","topic":"a","data":"21.5"}']

`DialectContract` and `HandlerContract` are suites of tests to subclass: they hold a plugin to the rules.

Nothing here opens a socket or sleeps: `world.advance(seconds)` lets time pass.
"""

try:
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401
except ImportError as error:
    raise ImportError(f"{error}; hubbub.testing needs it: pip install 'hubbub[testing]'") from None

from hubbub.testing.contracts import DialectContract
from hubbub.testing.cutting import CUTTINGS, Cutting
from hubbub.testing.datagrams import UDPClient
from hubbub.testing.handler_contract import HandlerContract
from hubbub.testing.memory_listener import MemoryListener
from hubbub.testing.streams import TCPClient
from hubbub.testing.websocket import WebSocketClient
from hubbub.testing.world import World

__all__ = [
    "CUTTINGS",
    "Cutting",
    "DialectContract",
    "HandlerContract",
    "MemoryListener",
    "TCPClient",
    "UDPClient",
    "WebSocketClient",
    "World",
]  # fmt: skip
