"""One message, or one command, that costs much for each of its receivers, filters or identifiers: others are answered.

Each test is a row of docs/security.md's table. `make test` has a small crowd; with HUBBUB_FULL=1 it is the table's.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from hostile.canary import Canary
from hostile.test_long_units import message, upgrade
from hostile.test_turns import SOURCE, crowd, links, mqtt_connect, pour
from hubbub_plugins.mqtt.packets import V5, V311, Connect, Publish, Subscribe, Subscription
from running import Daemon, LineClient
from system.clients import MiB, connect, drop, reset_on_close
from system.controlled import Controlled

Properties = Callable[[int], dict[str, Any]]
NONE: Properties = lambda at: {}  # noqa: E731
LEVELS = 14
TOPIC = "/".join("a" * LEVELS)
LARGE = 0.1  # seconds that others may wait beside a megabyte


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0") as one:
        yield one
        assert "Traceback" not in one.log


def join(some: Sequence[socket.socket], filter: str, connect: Properties, subscribe: Properties) -> None:
    """Log in by MQTT 5.0 and subscribe, each client with properties of its own."""
    wish = [Subscription(filter=filter, qos=0)]
    for at, one in enumerate(some):
        packets = Connect(version=V5, client=f"own-{at}", properties=connect(at)).encode(V5)
        one.sendall(packets + Subscribe(id=1, subscriptions=wish, properties=subscribe(at)).encode(V5) + b"\xc0\0")
    for one in some:
        read(one, b"\xd0\0")


def read(one: socket.socket, ends: bytes) -> None:
    """Read up to those bytes."""
    found = b""
    while not found.endswith(ends):
        piece = one.recv(65536)
        assert piece, found
        found += piece


def swallow(one: socket.socket) -> threading.Thread:
    """Have all that comes read, until the connection is shut down."""

    def read_on() -> None:
        with contextlib.suppress(ConnectionError):
            while one.recv(1 << 20):
                pass

    thread = threading.Thread(target=read_on)
    thread.start()
    return thread


WAYS: dict[str, tuple[Properties, Properties]] = {
    "subscription identifiers": (NONE, lambda at: {"subscription_identifier": [at + 1]}),
    "topic aliases": (lambda at: {"topic_alias_maximum": 10}, NONE),
    "lengths of packets": (lambda at: {"maximum_packet_size": 10_000 + at}, NONE),
}


@pytest.mark.parametrize("way", WAYS)
def test_subscribers_that_each_need_units_of_their_own(daemon, way):
    """A burst of messages is encoded some at a time, the fewer the more encodings there are."""
    with links(daemon, crowd(100, 500)) as many, links(daemon, 1) as (publisher,):
        join(many, "with/units/of/their/own", *WAYS[way])
        with Canary(daemon) as canary:
            pour([publisher], b"PUB with/units/of/their/own x\n" * 1_000 + b"PING\n", b"PONG\n", 120)
        canary.check()


def join_nats(some: Sequence[socket.socket]) -> None:
    for at, one in enumerate(some):
        one.sendall(b'CONNECT {"verbose":false}\r\nSUB long %d\r\nPING\r\n' % at)
        read(one, b"PONG\r\n")


def join_stomp(some: Sequence[socket.socket], ack: bytes = b"auto") -> None:
    subscribe = b"SUBSCRIBE\nid:%d\ndestination:long\nack:" + ack + b"\nreceipt:1\n\n\0"
    for at, one in enumerate(some):
        one.sendall(b"CONNECT\naccept-version:1.2\nhost:x\n\n\0" + subscribe % at)
        read(one, b"receipt-id:1\n\n\0")


JOIN: dict[str, Callable[[Sequence[socket.socket]], None]] = {
    "MQTT": lambda some: join(some, "long", *WAYS["subscription identifiers"]),
    "MQTT with aliases": lambda some: join(some, "long", *WAYS["topic aliases"]),
    "NATS": join_nats,
    "STOMP": join_stomp,
}


@pytest.mark.parametrize("dialect", JOIN)
def test_a_long_message_for_clients_with_ids_of_their_own(daemon, dialect):
    """All share its payload while it waits for them, also if they don't read."""
    count = crowd(60, 300)
    with links(daemon, count) as many, LineClient(daemon.tcp[0]) as publisher:
        JOIN[dialect](many)
        publisher.send("PUB long short")  # which sets the alias
        assert publisher.ask("PING") == "PONG"
        before = daemon.memory()
        with Canary(daemon) as canary:
            for at in range(3):
                publisher.send(f"PUB long {at}" + "x" * 1_000_000)
                assert publisher.ask("PING") == "PONG"
                assert daemon.memory() - before < 64 * MiB
                for one in many:
                    drop(one, 1_000_000)
        canary.check(LARGE)


def test_one_message_with_thousands_of_identifiers(daemon):
    """A subscriber with many filters that match has all their identifiers in each message; they are written once."""
    names = ["/".join(one) for one in itertools.islice(itertools.product("a+", repeat=LEVELS), crowd(2_000, 10_000))]
    with links(daemon, 2) as (one, publisher):
        packets = [
            Subscribe(
                id=1, subscriptions=[Subscription(filter=name)], properties={"subscription_identifier": [at + 1]}
            ).encode(V5)
            for at, name in enumerate(names)
        ]
        one.sendall(Connect(version=V5, client="many").encode(V5))
        pour([one], b"".join(packets) + b"\xc0\0", b"\xd0\0", 120)
        one.setblocking(True)
        thread = swallow(one)
        with Canary(daemon) as canary:
            pour([publisher], f"PUB {TOPIC} x\n".encode() * 300 + b"PING\n", b"PONG\n", 60)
        one.shutdown(socket.SHUT_RDWR)
        thread.join()
        canary.check()


def test_a_topic_that_hundreds_of_thousands_of_levels_match(daemon):
    """The message is refused: no topic with fewer than 15 levels can match that many."""
    levels, chosen = 20, random.Random(14)
    topic = "/".join("a" * levels)
    with links(daemon, crowd(4, 20)) as many, LineClient(daemon.tcp[0]) as publisher:
        for one in many:
            names = {"/".join(chosen.choice("a+") for _ in range(levels)) for _ in range(5_000)}
            pour([one], "".join(f"SUB {name}\n" for name in names).encode() + b"PING\n", b"PONG\n", 120)
        with Canary(daemon) as canary:
            for _ in range(3):
                said = publisher.ask(f"PUB {topic} x")
                assert said == "ERR quota too many filters with + match this topic; give it fewer levels"
                assert publisher.ask("SUB another/+") == "OK SUB another/+"
                assert publisher.ask("UNSUB another/+") == "OK UNSUB another/+"
        canary.check()


def test_a_topic_that_matches_all_subscriptions_of_some_clients(daemon):
    """Their receivers are collected anew after each change: 0.2 to 0.6 us for each subscription."""
    found: list[str] = []
    for levels in range(1, LEVELS):
        found += ["/".join(one) + "/#" for one in itertools.product("a+", repeat=levels)]
    names = "".join(f"SUB {name}\n" for name in found[: crowd(2_000, 9_000)]).encode()
    with links(daemon, crowd(5, 11)) as many, LineClient(daemon.tcp[0]) as publisher:
        for one in many:
            pour([one], names + b"PING\n", b"PONG\n", 120)
            one.setblocking(True)
        with Canary(daemon) as canary:
            for _ in range(5):
                publisher.send(f"PUB {TOPIC} x")
                assert publisher.ask("SUB another/+") == "OK SUB another/+"
                assert publisher.ask("UNSUB another/+") == "OK UNSUB another/+"
                for one in many:
                    read(one, b" x\n")
        canary.check()


def test_a_topic_that_matches_too_many_subscriptions():
    """The message is refused; once some have ended it goes to all others."""
    names = ["/".join(one) + "/#" for one in itertools.product("a+", repeat=13)]
    with (
        Daemon("--tcp", "tcp:0", "--limit", "connections=10") as daemon,
        links(daemon, 7) as many,
        LineClient(daemon.tcp[0]) as publisher,
    ):
        for one in many:
            pour([one], "".join(f"SUB {name}\n" for name in names).encode() + b"PING\n", b"PONG\n", 120)
            one.setblocking(True)
        for _ in range(2):
            said = publisher.ask(f"PUB {TOPIC} x")
            assert said == "ERR quota more than 50010 subscriptions match this topic"
        pour(many[:1], "".join(f"UNSUB {name}\n" for name in names).encode() + b"PING\n", b"PONG\n", 120)
        publisher.send(f"PUB {TOPIC} x")
        for one in many[1:]:
            read(one, f"MSG {TOPIC} x\n".encode())
        assert "Traceback" not in daemon.log


@pytest.mark.parametrize("qos", [0, 1])
def test_one_packet_with_filters_that_each_find_a_retained_message(daemon, qos):
    """What is found is sent step by step, however many searches end."""
    count = crowd(2_000, 10_000)
    with links(daemon, 5) as many:
        pour(many[:1], b"".join(b"PUB! kept/%d x\n" % n for n in range(count)) + b"PING\n", b"PONG\n")
        wishes = [Subscription(filter=f"kept/{n}", qos=qos) for n in range(count)]
        with Canary(daemon) as canary:
            for one in many[1:]:
                pour([one], mqtt_connect("") + Subscribe(id=1, subscriptions=wishes).encode(V311), b"", 120)
            for one in many[1:]:
                one.setblocking(True)
                found = b""
                while found.count(b"kept/") < count:
                    piece = one.recv(1 << 20)
                    assert piece
                    found += piece
        canary.check()


def test_a_copy_to_acknowledge_for_each_of_many_subscriptions(daemon):
    """A client of STOMP has 500 such subscriptions at most, so that one message is a bounded number of copies."""
    with links(daemon, 2) as (one, publisher):
        one.sendall(b"CONNECT\naccept-version:1.2\nhost:x\n\n\0")
        read(one, b"\0")
        one.sendall(stomp_subscribe(range(500)))
        read(one, b"receipt-id:499\n\n\0")
        with Canary(daemon) as canary:
            for _ in range(20):
                pour([publisher], b"PUB copies x\nPING\n", b"PONG\n")
        one.sendall(stomp_subscribe([500]))
        said = one.makefile("rb").read()
        assert said.count(b"MESSAGE\n") == 20 * 500
        assert b"code:quota\n" in said
        canary.check()


def stomp_subscribe(ids: Iterable[int]) -> bytes:
    """Subscribe by STOMP, with acknowledgements."""
    return b"".join(
        b"SUBSCRIBE\nid:%d\ndestination:copies\nack:client-individual\nreceipt:%d\n\n\0" % (id, id) for id in ids
    )


@pytest.mark.parametrize("kept", [False, True])
def test_one_message_to_a_crowd_at_qos_1(tmp_path, kept):
    """Each client has its own packet identifier, and some have their turn at a time; a store has all at once."""
    with Daemon("--tcp", "tcp:0", *(("--state", str(tmp_path)) if kept else ())) as daemon:
        publish_to_crowd(daemon)
        assert "Traceback" not in daemon.log


def publish_to_crowd(daemon: Daemon) -> None:
    count = crowd(1_500, 5_000)
    wish = Subscribe(id=1, subscriptions=[Subscription(filter="crowd", qos=1)]).encode(V311)
    with links(daemon, count) as many, links(daemon, 1) as (publisher,):
        publisher.sendall(mqtt_connect("publisher"))
        read(publisher, b"\x20\x02\0\0")
        for at, one in enumerate(many):
            one.sendall(mqtt_connect(f"crowd-{at}", clean=False) + wish)
        for one in many:
            read(one, b"\x90\x03\0\x01\x01")
        with Canary(daemon) as canary:
            for number in range(5):
                publisher.sendall(b"\x32\x0a\0\x05crowd\0%cx" % (number + 1))
                for one in many:
                    read(one, b"x")
        canary.check()


def join_qos1(some: Sequence[socket.socket], properties: Properties = NONE) -> None:
    """Log in by MQTT 5.0 and subscribe at QoS 1."""
    wish = [Subscription(filter="long", qos=1)]
    for at, one in enumerate(some):
        one.sendall(Connect(version=V5, client=f"qos1-{at}").encode(V5))
        one.sendall(Subscribe(id=1, subscriptions=wish, properties=properties(at)).encode(V5) + b"\xc0\0")
        read(one, b"\xd0\0")


def join_websocket(some: Sequence[socket.socket]) -> None:
    wish = Subscribe(id=1, subscriptions=[Subscription(filter="long", qos=1)]).encode(V311)
    for at, one in enumerate(some):
        upgrade(one, "mqtt")
        one.sendall(message(mqtt_connect(f"qos1-{at}"), False) + message(wish, False))
        read(one, b"\x90\x03\0\x01\x01")


JOIN_QOS1: dict[str, Callable[[Sequence[socket.socket]], None]] = {
    "MQTT": join_qos1,
    "MQTT with identifiers": lambda some: join_qos1(some, lambda at: {"subscription_identifier": [at + 1]}),
    "MQTT over WebSocket": join_websocket,
    "STOMP": lambda some: join_stomp(some, b"client-individual"),
}


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("dialect", JOIN_QOS1)
def test_a_long_message_to_a_crowd_at_qos_1(dialect, reads):
    """Each client has a packet identifier of its own; they share the payload, and some have their turn at a time."""
    with (
        Daemon("--tcp", "tcp:0", "--websocket", "tcp:0") as daemon,
        contextlib.ExitStack() as stack,
        links(daemon, 1) as (publisher,),
    ):
        place = daemon.websocket[0] if "WebSocket" in dialect else daemon.tcp[0]
        many = [stack.enter_context(connect(place, seconds=60)) for _ in range(crowd(100, 300))]
        for one in many:
            reset_on_close(one)
        publisher.sendall(mqtt_connect("publisher"))
        read(publisher, b"\x20\x02\0\0")
        JOIN_QOS1[dialect](many)
        before = daemon.memory()
        with Canary(daemon) as canary:
            publisher.sendall(Publish(topic="long", payload=b"x" * 1_000_000, qos=1, id=1).encode(V311))
            read(publisher, b"\x40\x02\0\x01")
            for one in many if reads else ():
                drop(one, 1_000_000)
            assert daemon.memory() - before < 32 * MiB
        canary.check(LARGE)
        assert "Traceback" not in daemon.log


def test_one_message_to_thousands_of_groups(daemon):
    count = crowd(5, 20)
    with links(daemon, count) as many, links(daemon, 1) as (publisher,):
        for at, one in enumerate(many):
            groups = [Subscription(filter=f"$share/{at}-{n}/groups") for n in range(500)]
            pour([one], mqtt_connect("") + Subscribe(id=1, subscriptions=groups).encode(V311) + b"\xc0\0", b"\xd0\0")
            one.setblocking(True)
        with Canary(daemon) as canary:
            for _ in range(5):
                pour([publisher], b"PUB groups x\nPING\n", b"PONG\n")
                for one in many:
                    assert len(one.recv(500 * 11, socket.MSG_WAITALL)) == 500 * 11
        canary.check()


def test_metrics_and_a_status_of_many_links(tmp_path):
    """The links are summed up some at a time."""
    with (
        Controlled(tmp_path, "--tcp", "tcp:0", "--websocket", "tcp:0", *SOURCE) as daemon,
        links(daemon, crowd(1_000, 8_000)) as many,
    ):
        pour(many, b"SUB links\nPING\n", b"PONG\n")
        count = len(many) + 1  # with the canary
        with Canary(daemon) as canary:
            for _ in range(5):
                with connect(daemon.websocket[0]) as scraper:
                    scraper.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                    page = scraper.makefile("rb").read()
                    assert re.search(rb'hubbub_links\{dialect="lines",[^}]*\} %d' % count, page)
                assert daemon.raw(b'{"command":"status"}\n')[0]["status"]["links"] == count
        canary.check()
