"""One unit that is very many commands, or one very large value: others are answered while it is decoded.

Each test is a row of docs/security.md's table. `make test` has a small unit; with HUBBUB_FULL=1 it is the table's.
"""

from __future__ import annotations

import contextlib
import json
import socket
from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import cbor2
import msgpack
import pytest

from hostile.canary import Canary
from hostile.test_turns import SOURCE, crowd, links, mqtt_connect, publish_to_a_crowd
from running import Daemon, LineClient
from system.clients import connect

LARGE = 0.1  # seconds that others may wait beside a megabyte


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0", *SOURCE) as one:
        yield one
        assert "Traceback" not in one.log


def upgrade(one: socket.socket, subprotocol: str) -> None:
    """Make a WebSocket of a connection."""
    key = b64encode(b"0123456789abcdef").decode()
    one.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n".encode()
        + f"Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n".encode()
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += one.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 ")


def message(data: bytes, text: bool) -> bytes:
    """A WebSocket message, masked with zeros."""
    size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xff" + len(data).to_bytes(8, "big")
    return (b"\x81" if text else b"\x82") + size + bytes(4) + data


WAMP = b'[1,"realm1",{"roles":{"publisher":{}}}]\x1e'
STOMP = b"CONNECT\naccept-version:1.2\nhost:x\n\n\0"
# By subprotocol: first unit, command, its number, last one, what is in its answer, and whether units are text.
UNITS = {
    "mqtt": (mqtt_connect("many"), b"\xc0\0", 500_000, b"\xe0\0", b"the client disconnects", False),
    "nats": (b'CONNECT {"verbose":false}\r\n', b"PING\r\n", 170_000, b"nonsense\r\n", b"-ERR", False),
    "v12.stomp": (STOMP, b"SEND\ndestination:a\n\n\0", 45_000, b"DISCONNECT\nreceipt:last\n\n\0", b"id:last", True),
    "wamp.2.json.batched": (WAMP, b'[16,1,{},"a.b"]\x1e', 60_000, b'[6,{},"wamp.close.x"]\x1e', b"goodbye", True),
    "hubbub.lines": (b"PING", b"PING\n", 200_000, b"nonsense", b"ERR bad-command", True),
}


@pytest.mark.parametrize("subprotocol", UNITS)
def test_a_message_of_very_many_commands(daemon, subprotocol):
    """It is decoded a piece at a time, as its commands are acted on."""
    first, command, number, last, ends, text = UNITS[subprotocol]
    with connect(daemon.websocket[0], seconds=60) as one:
        upgrade(one, subprotocol)
        one.sendall(message(first, text))
        with Canary(daemon) as canary:
            one.sendall(message(command * crowd(number // 5, number) + last, text))
            found = b""
            while ends not in found:
                piece = one.recv(1 << 20)
                assert piece, found
                found = found[-1_000:] + piece
        canary.check()


def test_datagrams_of_many_lines():
    """Some are read in a turn, and one has 2,000 lines at most."""
    point = b"load,host=some.name.of.a.machine a=1\n"
    with (
        Daemon("--tcp", "tcp:0", "--udp", "udp:0:dialect=influx") as daemon,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        Canary(daemon) as canary,
        LineClient(daemon.tcp[0]) as other,
    ):
        for _ in range(crowd(50, 200)):
            one.sendto(point * (65_000 // len(point)), daemon.udp[0])
            one.sendto(b"m a=1\n" * 10_000, daemon.udp[0])
            assert other.ask("PING") == "PONG"
        assert "Traceback" not in daemon.log
    canary.check()


def nested(one: Any) -> Any:
    """Put a value into 60 lists."""
    for _ in range(60):
        one = [one]
    return one


SERIALIZERS: dict[int, Callable[[Any], bytes]] = {
    1: lambda value: json.dumps(value, separators=(",", ":")).encode(),
    2: msgpack.packb,
    3: cbor2.dumps,
}
VALUES = {
    "numbers": [0] * 330_000,
    "lists": [[]] * 330_000,
    "dictionaries": [{}] * 330_000,
    "nested": [nested(0)] * 8_000,
    "dictionaries with a key": [{"": 0}] * 170_000,
    "binary": [b""] * 330_000,
}


@pytest.mark.parametrize(("serializer", "value"), [one for one in product(SERIALIZERS, VALUES) if one != (1, "binary")])
def test_arguments_of_very_many_parts(daemon, serializer, value):
    """WAMP has 50,000 in a message at most."""
    write = SERIALIZERS[serializer]
    with connect(daemon.tcp[0], seconds=60) as one, Canary(daemon) as canary:
        one.sendall(bytes((0x7F, 0xF0 | serializer, 0, 0)) + frame(write([1, "realm1", {"roles": {"publisher": {}}}])))
        for _ in range(3):
            one.sendall(frame(write([16, 1, {"acknowledge": True}, "a.b", VALUES[value]])))
        one.sendall(frame(write([6, {}, "wamp.close.normal"])))
        found = b""
        while piece := one.recv(65536):
            found += piece
        assert found.count(b"too_long") + found.count(b"payload_size_exceeded") == 3, found
    canary.check(LARGE)


JSON = {
    "lists": b"[" + b",".join([b"[" * 60 + b"]" * 60] * 8_500) + b"]",
    "objects": b"[" + b",".join([b'{"":' * 60 + b"0" + b"}" * 60] * 2_900) + b"]",
    "as many as WAMP takes": b"[" + b",".join([b'{"":0}'] * 9_000) + b"]",
}


@pytest.mark.parametrize("value", JSON)
def test_json_of_very_many_parts_for_all_serializers(daemon, value):
    """What has too many parts for WAMP is text there."""
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(connect(daemon.tcp[0], seconds=60)) for _ in range(5)]
        for one, serializer in zip(readers, SERIALIZERS, strict=False):
            hello = SERIALIZERS[serializer]([1, "realm1", {"roles": {"subscriber": {}}}])
            one.sendall(bytes((0x7F, 0xF0 | serializer, 0, 0)) + frame(hello))
            one.sendall(frame(SERIALIZERS[serializer]([32, 1, {}, "a"])))
        readers[3].sendall(b"SUB a\n")
        readers[4].sendall(b'{"op":"subscribe","topic":"a"}\n')
        for one in readers:
            one.settimeout(60)
        until(readers[4], b'"subscribed"')
        publisher = stack.enter_context(connect(daemon.tcp[0], seconds=60))
        with Canary(daemon) as canary:
            for _ in range(3):
                publisher.sendall(b'{"op":"publish","topic":"a","data":' + JSON[value] + b',"tag":1}\n')
                for one in readers:
                    read_at_least(one, len(JSON[value]) // 3)
        canary.check(LARGE)


def read_at_least(one: socket.socket, size: int) -> None:
    while size > 0:
        piece = one.recv(1 << 20)
        assert piece
        size -= len(piece)


def frame(payload: bytes) -> bytes:
    """A message of RawSocket."""
    return len(payload).to_bytes(4, "big") + payload


HELLO = b"\x7f\xf1\0\0" + frame(b'[1,"realm1",{"roles":{"publisher":{},"caller":{},"callee":{}}}]')


def test_messages_for_some_of_a_crowd(daemon):
    """WAMP names sessions that get none: who is left is found out for each message."""
    publish_to_a_crowd(daemon, HELLO + frame(b'[16,1,{"exclude":[1]},"crowd"]') * 5)


def test_a_callee_leaves_thousands_of_calls_unanswered(daemon):
    """Their callers are told some at a time."""
    calls = b"".join(frame(b'[48,%d,{},"work"]' % n) for n in range(1, 61))
    with links(daemon, crowd(80, 160)) as many, links(daemon, 1) as (callee,):
        callee.sendall(HELLO + frame(b'[64,1,{},"work"]'))
        until(callee, b"[65,1,")
        for one in many:
            one.sendall(HELLO + calls)
        until(callee, b"[68,", len(many) * 60)
        with Canary(daemon) as canary:
            callee.close()
            for one in many:
                until(one, b"[8,48,", 60)
        canary.check()


def until(one: socket.socket, wanted: bytes, count: int = 1) -> None:
    """Read until something has come so many times."""
    found = b""
    while found.count(wanted) < count:
        piece = one.recv(1 << 20)
        assert piece, found[-1_000:]
        found += piece
