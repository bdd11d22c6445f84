"""A client that takes a large session over again and again, with 21 bytes each time, stops nobody."""

from __future__ import annotations

import socket

from hostile.canary import Canary
from hubbub_plugins.mqtt.packets import V311, Connect, Subscribe, Subscription
from running import Daemon
from scale import FULL
from system.clients import connect, reset_on_close

FILTERS = 10_000 if FULL else 5_000
TIMES = 100 if FULL else 10


def read(one: socket.socket, size: int) -> bytes:
    """Return so many bytes."""
    found = b""
    while len(found) < size:
        piece = one.recv(size - len(found))
        assert piece, found
        found += piece
    return found


def come(daemon: Daemon, present: int) -> socket.socket:
    one = connect(daemon.tcp[0], seconds=60)
    reset_on_close(one)
    one.sendall(Connect(version=V311, client="c", clean=False).encode(V311) + b"\xc0\0")
    assert read(one, 6) == bytes((0x20, 2, present, 0, 0xD0, 0))
    return one


def test_takeovers_of_a_large_session():
    with Daemon("--tcp", "tcp:0") as daemon:
        one = come(daemon, 0)
        for at in range(0, FILTERS, 500):
            wishes = [Subscription(filter=f"a/{number}", qos=1) for number in range(at, at + 500)]
            one.sendall(Subscribe(id=1, subscriptions=wishes).encode(V311))
            read(one, 505)
        with Canary(daemon) as canary:
            for _ in range(TIMES):
                last, one = one, come(daemon, 1)
                last.close()
        canary.check()
        one.close()
