"""Helpers for tests of plugins and of hubbub itself: a hub in memory, and clients that reach it over real protocols.

    world = World()
    sensor = world.listen("tcp", Lines).connect()
    page = world.listen("websocket", Json).connect()
    page.say('{"op":"subscribe","topic":"#"}')    ->  ['{"op":"subscribed","topic":"#"}']
    sensor.send(b"PUB a 21.5\\n")
    world.turn()
    page.received()                               ->  ['{"op":"message","topic":"a","data":"21.5"}']

Nothing here opens a socket or sleeps: `world.advance(seconds)` lets time pass. The names are provisional.
"""

from hubbub.testing.cutting import CUTTINGS, Cutting
from hubbub.testing.datagrams import UDPClient
from hubbub.testing.streams import TCPClient
from hubbub.testing.websocket import WebSocketClient
from hubbub.testing.world import Door, World

__all__ = ["CUTTINGS", "Cutting", "Door", "TCPClient", "UDPClient", "WebSocketClient", "World"]
