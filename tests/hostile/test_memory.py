"""What waits takes no more memory than `hubbub status` says, whatever it is made of, and memory is given back.

Each test is a crowd that doesn't read, or isn't there. With HUBBUB_FULL=1 it is that of docs/security.md's table.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hostile.test_turns import crowd, links, mqtt_connect, pour
from scale import FULL
from system.clients import MiB
from system.controlled import Controlled, output
from waiting import wait_until

pytestmark = pytest.mark.timeout(300 if FULL else 60)

FACTOR = 1.5
SLACK = 8 * MiB  # for links, and what the allocator has at hand
GIVEN_BACK = 32 * MiB  # what may be left of a crowd


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Controlled]:
    with Controlled(tmp_path, "--tcp", "tcp:0:stall=300", "--limit", "message-rate=0", "--limit", "byte-rate=0") as one:
        start = one.memory()
        yield one
        wait_until(lambda: one.memory() < start + GIVEN_BACK, 10)
        assert "Traceback" not in one.log


@contextlib.contextmanager
def counted(daemon: Controlled, shared: int = 1) -> Iterator[None]:
    """Check what the daemon says against what has become resident.

    shared  for how many links each message is: the daemon counts it for each
    """
    start = daemon.memory()
    yield
    status = json.loads(output(daemon.ask("status", "--json")))
    said, grown = status["outboxes"]["memory"] + status["sessions"]["bytes"], daemon.memory() - start
    assert grown < FACTOR * said + SLACK
    assert said < 3 * grown * shared + SLACK
    assert said > 2 * MiB


def subscribe(some: Sequence[socket.socket]) -> None:
    """Subscribe each to a topic of its own."""
    for at, one in enumerate(some):
        one.sendall(b"SUB waits/%d\n" % at)
        assert one.recv(100) == b"OK SUB waits/%d\n" % at


def publish(to: socket.socket, topics: int, payload: bytes, each: int, times: int = 1) -> None:
    """Publish `each` messages on each of these topics, so many times."""
    once = b"".join(b"PUB waits/%d %b\n" % (at, payload) * each for at in range(topics))
    for _ in range(times):
        pour([to], once + b"PING\n", b"PONG\n", 120)


def test_small_messages_that_come_many_at_once(daemon):
    count = crowd(20, 200)
    with links(daemon, count, buffer=4096) as some, links(daemon, 1) as (one,):
        subscribe(some)
        with counted(daemon):
            publish(one, count, b"small", 500, 40)


def test_small_messages_that_come_one_by_one(daemon):
    count = crowd(20, 200)
    with links(daemon, count, buffer=4096) as some, links(daemon, 1) as (one,):
        subscribe(some)
        with counted(daemon):
            publish(one, count, b"x" * 100_000, 5)  # more than the kernel holds for them
            publish(one, count, b"small", 1, crowd(2_000, 5_000))


def test_long_messages(daemon):
    """The payload isn't kept beside its frame."""
    count = crowd(6, 60)
    with links(daemon, count, buffer=4096) as some, links(daemon, 1) as (one,):
        subscribe(some)
        with counted(daemon):
            publish(one, count, b"x" * 100_000, 1, 80)


def test_messages_on_many_topics(daemon):
    """Each of them is kept with its topic."""
    count = crowd(20, 200)
    with links(daemon, count, buffer=4096) as some, links(daemon, 1) as (one,):
        for each in some:
            each.sendall(b"SUB waits/#\n")
        with counted(daemon, shared=count):
            publish(one, 2_000, b"small" * 20, 1, 20)


def test_messages_for_sessions_that_are_away(daemon):
    count = crowd(10, 100)
    with links(daemon, count) as some:
        for at, one in enumerate(some):
            topic = b"waits/%d" % at
            wish = b"\x82%c\0\x01\0%c%b\x01" % (len(topic) + 5, len(topic), topic)
            one.sendall(mqtt_connect(f"away-{at}", clean=False) + wish)
            assert one.recv(9, socket.MSG_WAITALL) == b"\x20\x02\x00\x00\x90\x03\x00\x01\x01"
    with links(daemon, 1) as (one,), counted(daemon):
        one.sendall(mqtt_connect("publisher"))
        assert one.recv(4) == b"\x20\x02\x00\x00"
        for at in range(count):
            topic = b"waits/%d" % at
            publish = b"\x32%c\0%c%b\0\x01small" % (len(topic) + 9, len(topic), topic)
            pour([one], publish * 9_000 + b"\xc0\0", b"\xd0\0", 120)
    with links(daemon, count) as some:
        for at, one in enumerate(some):  # they end their sessions
            one.sendall(mqtt_connect(f"away-{at}"))
            assert one.recv(4) == b"\x20\x02\x00\x00"
