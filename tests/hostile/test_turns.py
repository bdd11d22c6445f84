"""Legal work of one client or of a crowd stops nobody: another client's PING is answered all the while.

Each test is a row of docs/security.md's table. `make test` has a small crowd; with HUBBUB_FULL=1 it is the table's.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator, Sequence

import pytest

from hostile.canary import Canary
from running import Daemon, LineClient
from scale import FULL
from system.clients import MiB, connect, reset_on_close

SOURCE = ("--limit", "source-connections=0")


def crowd(small: int, full: int) -> int:
    """How many take part."""
    return full if FULL else small


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0") as one:
        yield one
        assert "Traceback" not in one.log


@contextlib.contextmanager
def links(daemon: Daemon, count: int, buffer: int | None = None) -> Iterator[list[socket.socket]]:
    """So many plain connections."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(connect(daemon.tcp[0], buffer=buffer, seconds=60)) for _ in range(count)]
        for one in found:
            reset_on_close(one)
        yield found


def pour(sockets: Sequence[socket.socket], data: bytes, ends: bytes = b"", seconds: float = 60.0) -> None:
    """Send `data` on each socket as fast as they take it, and read until each has said `ends`."""
    left = dict.fromkeys(sockets, memoryview(data))
    heard = dict.fromkeys(sockets, b"")
    with selectors.DefaultSelector() as selector:
        for one in sockets:
            one.setblocking(False)
            selector.register(one, selectors.EVENT_READ * bool(ends) | selectors.EVENT_WRITE)
        until = time.monotonic() + seconds
        while selector.get_map():
            for key, events in selector.select(1):
                one = key.fileobj
                if events & selectors.EVENT_WRITE:
                    left[one] = left[one][one.send(left[one]) :]
                    if not left[one]:
                        if ends:
                            selector.modify(one, selectors.EVENT_READ)
                        else:
                            selector.unregister(one)
                if events & selectors.EVENT_READ:
                    heard[one] = heard[one][-len(ends) :] + one.recv(1 << 20)
                    if heard[one].endswith(ends):
                        selector.unregister(one)
            assert time.monotonic() < until, f"{len(selector.get_map())} of {len(sockets)} aren't done"


def pings(sockets: Sequence[socket.socket], data: bytes) -> None:
    """Send on each socket what it takes, and read nothing."""
    for one in sockets:
        one.setblocking(False)
    for _ in range(10):
        for one in sockets:
            with contextlib.suppress(BlockingIOError):
                one.send(data)


def test_links_that_ping_and_read_nothing(daemon):
    before = daemon.memory()
    with links(daemon, crowd(20, 300), buffer=4096) as many, Canary(daemon) as canary:
        pings(many, b"PING\n" * 13_107)
        with LineClient(daemon.tcp[0]) as one:
            for _ in range(100):
                assert one.ask("PING") == "PONG"
    canary.check()
    assert daemon.memory() - before < len(many) * MiB // 4 + 32 * MiB


BURSTS = {
    "580 publishes": b"PUB burst %b\n" % (b"x" * 100) * 580 + b"PING\n",
    "64 requests": b"REQ nobody/here x\n" * 64 + b"PING\n",
    "100 subscriptions": b"".join(b"SUB burst/%d/+\n" % n for n in range(100)) + b"PING\n",
    "100 subscriptions that end": b"".join(b"SUB burst/%d/+\nUNSUB burst/%d/+\n" % (n, n) for n in range(50))
    + b"PING\n",
}


@pytest.mark.parametrize("burst", BURSTS)
def test_a_burst_of_each_of_many_links(daemon, burst):
    with links(daemon, crowd(100, 500)) as many, Canary(daemon) as canary:
        pour(many, BURSTS[burst], b"PONG\n")
    canary.check()
