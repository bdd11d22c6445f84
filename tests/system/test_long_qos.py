"""Long messages at QoS 1, which leave in pieces, are whole for a client that reads little at a time."""

from __future__ import annotations

import random
import socket

import pytest

from hostile.test_long_units import message, upgrade
from hostile.test_turns import mqtt_connect
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V311, Publish, Subscribe, Subscription
from hubbub_plugins.mqtt.reader import Reader
from running import Daemon
from system.clients import connect

CHOSEN = random.Random(7)
PAYLOADS = [CHOSEN.randbytes(size) for size in (10, 1_000_000, 70_000, 5, 300_000, 65_000, 1)]
JOIN = Subscribe(id=1, subscriptions=[Subscription(filter="long", qos=1)]).encode(V311)


@pytest.fixture(scope="module")
def daemon():
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0") as one:
        yield one


def publish(daemon: Daemon) -> None:
    with connect(daemon.tcp[0]) as one:
        one.sendall(mqtt_connect("publisher"))
        for id, payload in enumerate(PAYLOADS, 1):
            one.sendall(Publish(topic="long", payload=payload, qos=1, id=id).encode(V311))
        read(one, b"\x40\x02\0%c" % len(PAYLOADS))


def published(data: bytes) -> list[tuple[int, bytes]]:
    """The packet identifiers and payloads of PUBLISH packets."""
    found, error = Reader(10_000_000).feed(data)
    assert error is None
    some = [packets.decode(first, body, V311) for first, body in found]
    return [(one.id, one.payload) for one in some if isinstance(one, Publish)]


def read(one: socket.socket, last: bytes) -> bytes:
    """Read some KB at a time, up to the end of the last message."""
    found = bytearray()
    while not found.endswith(last):
        piece = one.recv(5_000)
        assert piece
        found += piece
    return bytes(found)


def test_mqtt(daemon):
    with connect(daemon.tcp[0], buffer=4096) as one:
        one.sendall(mqtt_connect("subscriber") + JOIN)
        read(one, b"\x90\x03\0\x01\x01")
        publish(daemon)
        assert published(read(one, b"\x32\x09\0\x04long\0\x07" + PAYLOADS[-1])) == list(enumerate(PAYLOADS, 1))


def test_mqtt_over_websocket(daemon):
    with connect(daemon.websocket[0], buffer=4096) as one:
        upgrade(one, "mqtt")
        one.sendall(message(mqtt_connect("subscriber"), False) + message(JOIN, False))
        read(one, b"\x90\x03\0\x01\x01")
        publish(daemon)
        data = read(one, b"\x32\x09\0\x04long\0\x07" + PAYLOADS[-1])
        units, at = [], 0
        while at < len(data):
            assert data[at] == 0x82
            size, head = data[at + 1], 2
            if size > 125:
                head += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : at + head], "big")
            units.append(data[at + head : at + head + size])
            at += head + size
        assert [published(unit) for unit in units] == [[one] for one in enumerate(PAYLOADS, 1)]


def test_stomp(daemon):
    with connect(daemon.tcp[0], buffer=4096) as one:
        one.sendall(b"CONNECT\naccept-version:1.2\nhost:x\n\n\0")
        one.sendall(b"SUBSCRIBE\nid:1\ndestination:long\nack:client-individual\nreceipt:1\n\n\0")
        read(one, b"receipt-id:1\n\n\0")
        publish(daemon)
        data = read(one, b"\n\n" + PAYLOADS[-1] + b"\0")
        for id, payload in enumerate(PAYLOADS, 1):
            head, _, data = data.partition(b"\n\n")
            assert head.startswith(b"MESSAGE\n")
            assert b"-%d\n" % id in head
            assert b"content-length:%d" % len(payload) in head
            assert data.startswith(payload + b"\0")
            data = data[len(payload) + 1 :]
        assert not data
