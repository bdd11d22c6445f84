"""100,000 retained messages over a real socket: whoever asks for them gets all, nothing is lost, and nobody waits."""

from __future__ import annotations

import socket

import pytest

from hubbub import limits
from running import Daemon, LineClient

COUNT = limits.RETAINED_MESSAGES
UNIT = 14  # bytes of a PUBLISH of quality 1 in version 3.1.1: r/00000, an identifier, a payload of one byte
CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"


def connect(daemon: Daemon) -> socket.socket:
    link = socket.create_connection(daemon.tcp[0], 30)
    link.sendall(CONNECT)
    assert read(link, 4) == b"\x20\x02\x00\x00"
    return link


def read(link: socket.socket, size: int) -> bytes:
    """Read exactly that much."""
    found = bytearray()
    while len(found) < size:
        data = link.recv(min(1 << 16, size - len(found)))
        assert data, "the hub has closed the link"
        found += data
    return bytes(found)


@pytest.fixture(scope="module")
def daemon():
    with Daemon("--tcp", "tcp:0") as one:
        with connect(one) as writer:
            for start in range(0, COUNT, 1_000):
                said = [b"\x33\x0c\x00\x07r/%05d\x00\x01x" % n for n in range(start, start + 1_000)]
                writer.sendall(b"".join(said))
                assert read(writer, 4_000) == b"\x40\x02\x00\x01" * 1_000
        yield one


def others_do_not_wait(daemon: Daemon) -> None:
    """Somebody else has a talk of ten questions and answers."""
    with LineClient(socket.create_connection(daemon.tcp[0], 30)) as other:
        assert other.ask("SUB other") == "OK SUB other"
        for n in range(10):
            assert other.ask(f"PUB other {n}") == f"MSG other {n}"


def subscribe(link: socket.socket, qos: int) -> None:
    link.sendall(b"\x82\x08\x00\x01\x00\x03r/#%c" % qos)
    assert read(link, 5) == b"\x90\x03\x00\x01%c" % qos


def test_at_quality_0(daemon):
    with connect(daemon) as link:
        subscribe(link, 0)
        first = read(link, 12 * 1_000)
        others_do_not_wait(daemon)  # before the rest is read
        data = first + read(link, 12 * (COUNT - 1_000))
        assert {data[at + 4 : at + 11] for at in range(0, len(data), 12)} == {b"r/%05d" % n for n in range(COUNT)}
        link.sendall(PINGREQ)
        assert read(link, 2) == PINGRESP


def test_at_quality_1(daemon):
    with connect(daemon) as link:
        subscribe(link, 1)
        data = read(link, UNIT * limits.INFLIGHT_MESSAGES)
        others_do_not_wait(daemon)  # while none is acknowledged
        seen = set()
        while True:
            seen.update([data[at + 4 : at + 11] for at in range(0, len(data), UNIT)])
            link.sendall(b"".join([b"\x40\x02" + data[at + 11 : at + 13] for at in range(0, len(data), UNIT)]))
            if len(seen) == COUNT:
                break
            data = read(link, UNIT * min(limits.INFLIGHT_MESSAGES, COUNT - len(seen)))
        assert seen == {b"r/%05d" % n for n in range(COUNT)}
        link.sendall(PINGREQ)
        assert read(link, 2) == PINGRESP
