"""What a WAMP client can't make the hub spend, or do to others."""

from __future__ import annotations

import time

import cbor2
import pytest

import wamp_client as wamp
from hubbub import limits
from wamp_client import WampHub

SECONDS = 1.0  # of processor time, ten times what it takes


def spent(client, data):
    """Seconds of processor time until the hub has dealt with `data`."""
    begun = time.process_time()
    client.end.send(data)
    client.end.world.turn()
    return time.process_time() - begun


@pytest.mark.parametrize("codec", ["json", "msgpack", "cbor"])
@pytest.mark.parametrize("depth", [90, 10_000])
def test_depth(codec, depth):
    hub = WampHub()
    client, ear = hub.client(codec), hub.client()
    ear.subscribe("a")
    nested = {
        "json": b"[" * depth + b"]" * depth,
        "msgpack": b"\x91" * depth + b"\x90",
        "cbor": b"\x81" * depth + b"\x80",
    }
    head = {"json": b'[16,1,{},"a",[', "msgpack": b"\x95\x10\x01\x80\xa1a\x91", "cbor": b"\x85\x10\x01\xa0\x61a\x81"}
    data = head[codec] + nested[codec] + (b"]]" if codec == "json" else b"")
    assert spent(client, data.decode() if codec == "json" else data) < SECONDS
    assert not ear.closed
    assert client.closed or len(ear.output()) == (depth == 90)


def test_keys_that_collide():
    client = WampHub(max_message=400_000).client("cbor")
    colliding = b"".join([cbor2.dumps(n * (2**61 - 1)) + b"\0" for n in range(15_000)])  # a dict of them takes long
    assert spent(client, b"\x85\x10\x01\xa0\x61a\x81\xba" + (15_000).to_bytes(4, "big") + colliding) < SECONDS
    client.output()
    assert client.closed


def test_lists_of_sessions_cost_little():
    """One look-up for each subscriber, however long a list is."""
    hub = WampHub()
    client = hub.client("cbor")
    for _ in range(100):
        hub.client("cbor").subscribe("a")
    far = list(range(2**52, 2**52 + 50_000))
    assert spent(client, client.framed(wamp.PUBLISH, 1, {"exclude": far}, "a")) < SECONDS
    client.say(wamp.PUBLISH, 2, {"exclude": [n * (2**61 - 1) for n in range(1, 20_000)]}, "a")
    assert client.closed


@pytest.mark.parametrize(
    "value",
    [b"\xd8\x1c\x81\xd8\x1d\x00", b"\xc1\x01", b"\xd8\x23\x63(((", b"\xc2\x49" + b"\xff" * 9, b"\xa1\x01\x02", b"\xf0"],
    ids=["a cycle", "a date", "a pattern", "a large number", "a key", "a simple value"],
)
def test_what_only_cbor_has(value):
    hub = WampHub()
    client, ear = hub.client("cbor"), hub.client("msgpack")
    ear.subscribe("a")
    answers = client.say(wamp.PUBLISH, 1, {"acknowledge": True}, "a", [1])
    client.end.send(b"\x85\x10\x02\xa1\x6backnowledge\xf5\x61a\x81" + value)
    answers = client.output()
    assert answers[0][0] in (wamp.ERROR, wamp.ABORT)
    assert len(ear.output()) == 1


def test_a_date_is_no_argument_of_msgpack():
    hub = WampHub()
    client = hub.client("msgpack")
    client.end.send(b"\x95\x10\x02\x81\xabacknowledge\xc3\xa1a\x91\xd6\xff\0\0\0\0")
    assert client.output()[0][4] == "wamp.error.invalid_argument"


@pytest.mark.parametrize("extra", [0, 1])
def test_the_longest_message(extra):
    hub = WampHub(max_message=1_000)
    client, ear = hub.client(), hub.client()
    ear.subscribe("a")
    answers = client.publish("a", "x" * (1_000 + extra), acknowledge=True)
    assert [answer[0] for answer in answers] == [wamp.ERROR if extra else wamp.PUBLISHED]
    assert len(ear.output()) == 1 - extra


def test_raw_socket_refuses_a_long_message_by_its_head():
    client = WampHub("tcp", max_message=1_000).client()
    client.end.send(b"\0\xff\xff\xff")
    assert client.output()[0][0] == wamp.ABORT


def test_bytes_that_come_one_by_one_cost_little():
    client = WampHub("tcp").client()
    data = client.framed(wamp.PUBLISH, 1, {}, "a", ["x" * 50_000])
    begun = time.process_time()
    for byte in data[:20_000]:
        client.end.send(bytes((byte,)))
    client.end.world.turn()
    assert time.process_time() - begun < 2 * SECONDS


@pytest.mark.parametrize("codec", ["json", "cbor"])
def test_a_flood_of_small_parts(codec):
    client = WampHub(max_message=100_000).client(codec)
    begun = time.process_time()
    client.publish("a", [[]] * 30_000, {"k": [{}] * 10_000})
    assert time.process_time() - begun < SECONDS


def test_invocations_are_bounded(monkeypatch):
    monkeypatch.setattr(limits, "WAMP_INVOCATIONS", 10)
    hub = WampHub()
    callee, caller = hub.client(), hub.client()
    callee.register("a")
    for _ in range(20):
        caller.call("a", timeout=1)
        hub.world.advance(0.1)
    dealers = [link.dialect._dealer for link in hub.listener.context.links]
    assert max(len(dealer._invocations) for dealer in dealers) == 10
    realm = hub.world.hub.dialect_state["wamp"].get("realm1", "realm1")
    assert len(realm.running) == 10


def test_a_realm_forgets_its_sessions():
    hub = WampHub()
    for _ in range(3):
        client = hub.client()
        client.subscribe("a")
        client.register("f")
        client.call("f")
        client.end.leave()
    hub.world.turn()
    realm = hub.world.hub.dialect_state["wamp"].get("realm1", "realm1")
    assert (len(realm.sessions), len(realm.topics), len(realm.procedures), realm.running) == (0, 0, 0, {})
    assert not realm._by_peer
    assert not realm.topics._by_uri


def test_a_timeout_that_never_comes():
    client = WampHub().client("cbor")
    assert client.call("a", timeout=10**400)[0][4] == "wamp.error.no_such_procedure"


SHARED = b"\xd8\x1c\x81\xd8\x1d\0"  # a list that contains itself
DEEP = b"\x81" * 300 + b"\x80"


@pytest.mark.parametrize(
    "value", [SHARED, DEEP, b"\xa1\x41x\x01", b"\xc1\x01"], ids=["a cycle", "depth", "a key", "a date"]
)
def test_what_a_login_says_beside(value):
    """`authextra` of HELLO, and the extra of AUTHENTICATE, from a client that isn't logged in."""
    hub = WampHub(login=lambda event, session, done: event.challenge(b"{}", done), anonymous=False)
    details = {"roles": {}, "authmethods": ["wampcra"], "authextra": {"a": 77}}
    client = hub.stranger("cbor")
    client.end.send(client.framed(wamp.HELLO, "realm1", details).replace(b"\x18\x4d", value))
    assert [answer[0] for answer in client.output()] == [wamp.ABORT]
    client = hub.stranger("cbor")
    assert client.say(wamp.HELLO, "realm1", details)[0][0] == wamp.CHALLENGE
    client.end.send(client.framed(wamp.AUTHENTICATE, "x", {"a": 77}).replace(b"\x18\x4d", value))
    assert [answer[0] for answer in client.output()] == [wamp.ABORT]
