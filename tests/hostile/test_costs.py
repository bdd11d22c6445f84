"""One message, or one command, that costs much for each of its receivers, filters or identifiers: others are answered.

Each test is a row of docs/security.md's table. `make test` has a small crowd; with HUBBUB_FULL=1 it is the table's.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from hostile.canary import Canary
from hostile.test_turns import crowd, links, mqtt_connect, pour
from hubbub_plugins.mqtt.packets import V311, Subscribe, Subscription
from running import Daemon, LineClient

LEVELS = 14
TOPIC = "/".join("a" * LEVELS)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0") as one:
        yield one
        assert "Traceback" not in one.log


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
