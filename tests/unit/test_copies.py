"""A client with many overlapping subscriptions gets a copy for each, made as it reads, in order and within bounds."""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.dialects.lines import Lines
from hubbub.publish import Publish
from hubbub.testing import World
from hubbub_plugins.nats import Nats
from hubbub_plugins.stomp import Stomp
from hubbub_plugins.wamp import Wamp

MANY = 3 * limits.COPIES_AT_ONCE


@pytest.fixture
def world():
    return World(bounds=Bounds(message_rate=0, byte_rate=0))


@pytest.fixture
def publisher(world):
    return world.listen("tcp", Lines).connect()


def settle(world, end):
    """Have as many turns as it takes, and return what has come."""
    found = b""
    while True:
        world.turn()
        come = end.received()
        if not come and not world.hub.turn.scheduler.waiting:
            return found
        found += come


def nats(world, subjects, after=0, full="disconnect"):
    end = world.listen("tcp", Nats, full=full).connect()
    commands = [b"SUB %b %d\r\n" % (subject, id) for id, subject in enumerate(subjects)]
    end.send(b'CONNECT {"verbose":false}\r\n' + b"".join(commands))
    if after:
        end.send(b"".join(b"UNSUB %d %d\r\n" % (id, after) for id in range(len(subjects))))
    settle(world, end)
    return end


def came(data):
    """Return subscription and payload of each message of NATS."""
    return [(int(id), payload.decode()) for id, payload in re.findall(rb"MSG \S+ (\d+) \d+\r\n(\w*)\r\n", data)]


@pytest.mark.parametrize("subjects", [[b"a"] * MANY, [b"a", b"*", b">"] * limits.COPIES_AT_ONCE])
def test_each_subscription_has_each_message_once_and_in_order(world, publisher, subjects):
    end = nats(world, subjects)
    for payload in ("one", "two"):
        publisher.send(f"PUB a {payload}\n".encode())
        world.turn()
    publisher.send(b"PUB a three\nPUB a four\n")
    found = came(settle(world, end))
    expected = ["one", "two", "three", "four"]
    assert sorted(found) == sorted((id, payload) for id in range(MANY) for payload in expected)
    assert [payload for id, payload in found if id == 7] == expected
    assert world.hub.turn.counters.delivered == 4 * MANY


def test_an_answer_comes_behind_all_copies(world, publisher):
    end = nats(world, [b"a"] * MANY)
    publisher.send(b"PUB a x\n")
    for one in world.ends:
        one.move()
    end.send(b"PING\r\n")
    found = settle(world, end)
    assert (len(came(found)), found[-6:]) == (MANY, b"PONG\r\n")


def test_one_that_ends_meanwhile_gets_no_more(world, publisher):
    end = nats(world, [b"a"] * MANY)
    publisher.send(b"PUB a x\n")
    end.send(b"UNSUB %d\r\n" % (MANY - 1))
    assert {id for id, _ in came(settle(world, end))} == set(range(MANY - 1))


def test_those_that_end_after_a_message_end(world, publisher):
    end = nats(world, [b"a"] * MANY, after=1)
    publisher.send(b"PUB a one\nPUB a two\n")
    assert came(settle(world, end)) == [(id, "one") for id in range(MANY)]
    assert world.hub.subscriptions.count == 0


def test_a_client_of_wamp_that_gets_no_message_of_its_own(world):
    """It has a copy for each pattern too, some in each turn."""
    names = ["a"] * 10
    patterns = [".".join("" if at in where else "a" for at in range(10)) for where in combinations(range(10), 5)]
    wishes = [[32, id, {"match": "wildcard"}, pattern] for id, pattern in enumerate(patterns, 1)]
    end = world.listen("tcp", Wamp).connect()
    hello = [1, "realm1", {"roles": {"subscriber": {}, "publisher": {}}}]
    end.send(b"\x7f\xf1\0\0" + b"".join(map(framed, [hello, *wishes])))
    settle(world, end)
    end.send(framed([16, 1_000, {}, ".".join(names), ["own"]]))
    assert settle(world, end) == b""
    world.hub.router.publish(Publish("/".join(names), b"x"))
    world.hub.router.commit()
    (link,) = world.listeners[-1].context.links
    assert (link.outbox.count, link.outbox.searches) == (0, len(patterns))  # they are made as it reads
    ids = re.findall(rb"\[36,(\d+),", settle(world, end))
    assert len(set(ids)) == len(ids) == len(patterns)


def framed(message):
    """A message of WAMP over a raw socket, in JSON."""
    data = json.dumps(message).encode()
    return len(data).to_bytes(4, "big") + data


def test_frames_of_one_link(world, publisher):
    """STOMP numbers the messages of a subscription that acknowledges them."""
    end = world.listen("tcp", Stomp).connect()
    subscribe = "SUBSCRIBE\nid:{}\ndestination:/topic/a\nack:client-individual\n\n\0"
    said = "CONNECT\naccept-version:1.2\nhost:x\n\n\0" + "".join(map(subscribe.format, range(MANY)))
    end.send(said.encode())
    settle(world, end)
    publisher.send(b"PUB a x\n")
    assert sorted(map(int, re.findall(rb"\nsubscription:(\d+)", settle(world, end)))) == list(range(MANY))


def test_beyond_the_messages_of_a_queue_they_are_dropped(world, publisher):
    """A message is copied for all, or for none of them."""
    end = nats(world, [b"a"] * 4_000, full="drop-newest")
    (link,) = world.listeners[-1].context.links
    link.transport_paused(0)
    for n in range(5):
        publisher.send(b"PUB a %d\n" % n)
        world.turn()
    assert link.outbox.dropped == 3 * 4_000
    link.transport_resumed()
    assert {payload for _, payload in came(settle(world, end))} == {"0", "1"}
