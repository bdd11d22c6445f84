"""What the words in the tables of docs/semantics.md mean, for one way from a publisher to a subscriber."""

from __future__ import annotations

from itertools import product

import pytest

from hubbub.testing import World
from matrix.crossing import MOUTHS, ear, mouth
from matrix.speakers import TRANSPORTS, seat

TOPICS = ("a", "a b", "100%", "%41", "/", "naïve/温度", "tab\there")
PAYLOADS = {
    "payload": [b"21.5", "欢迎 é".encode(), b"two\nlines", b'{"a": [1, 2.50]}', b" "],
    "payload that isn't UTF-8": [b"\xff", bytes(range(256))],
    "empty payload": [b""],
}
KINDS = ["text/csv", "image/png"]
PAIRS = [("k", "1"), ("k", "2"), ("a", ""), ("ü", "\n")]
LIFETIME = 60
OLD_WORDS = {"topic", *PAYLOADS, "qos", "retain"}  # what 3.1.1 says too


def _dialect(column):
    return {"MQTT 5": "mqtt", "MQTT 3.1.1": "mqtt311", "STOMP": "stomp", "NATS": "nats", "WAMP": "wamp"}.get(
        column, column
    )


def seats(column):
    """Each seat that a column stands for."""
    dialect = _dialect(column)
    if column == "a handler":
        return [column]
    streams = "mqtt" in dialect or dialect in ("stomp", "nats", "wamp")
    return [f"{transport}-{dialect}" for transport in TRANSPORTS if transport != "udp" or not streams]


class Way:
    """From one seat to another, each time in a new world."""

    def __init__(self, row, source, target):
        self.row = row
        self.source = source
        self.target = target

    def live(self, qos=0, ear_qos=0, listener=None, **said):
        """What a subscriber is told of one message."""
        world = World()
        one = ear(world, self.target, ear_qos)
        one.output()
        topic = (said.get("topic", "a/b"),) if self.source.endswith("raw") else ()
        mouth(world, self.source, *topic, **(listener or {})).say(**said, **({"qos": qos} if qos else {}))
        (found,) = one.output()
        return found

    def late(self, wait=0.0, listener=None, **said):
        """What who comes later is told, a list of one or none."""
        world = World()
        mouth(world, self.source, **(listener or {})).say(**said)
        world.turn()
        world.advance(wait)
        return ear(world, self.target).output()

    @property
    def levels(self):
        """The QoS that it can say."""
        return range(2 if self.source.endswith("stomp") else 3)

    def can(self, word):
        return word in MOUTHS[self.source.rpartition("-")[2]].words

    @property
    def payload(self):
        return PAYLOADS[self.row]


# What the words in the cells mean

SAID = {  # row: the argument, and values
    "expiry": ("message_expiry", [LIFETIME]),
    "content type": ("content_type", KINDS),
    "response topic": ("reply_to", ["back/here"]),
    "correlation": ("correlation", [b"\0\xff", b"7"]),
    "user properties": ("properties", [PAIRS]),
}


def same(way):
    if way.row == "topic":
        for topic in TOPICS:
            assert way.live(topic=topic)["topic"] == topic
    elif way.row in PAYLOADS:
        for payload in way.payload:
            assert way.live(payload=payload)["payload"] == payload
    else:
        name, values = SAID[way.row]
        for value in values:
            assert way.live(**{name: value})[way.row] == value


def not_told(way):
    if way.row == "topic":
        assert "topic" not in way.live(topic="x")
    elif way.row == "qos":
        assert "qos" not in way.live(qos=way.levels[-1])
    else:
        name, values = SAID[way.row]
        assert way.row not in way.live(**{name: values[0]})


def lower_of_both(way):
    for said, wished in product(way.levels, range(3)):
        assert way.live(qos=said, ear_qos=wished)["qos"] == min(said, wished)


def as_published(way):
    for qos in way.levels:
        assert way.live(qos=qos)["qos"] == qos


def persistent(way):
    for qos in way.levels:
        assert way.live(qos=qos)["qos"] == min(qos, 1)


def kept(tells, by_listener=False):
    def check(way):
        said, keys = ({}, {"retain": True}) if by_listener else ({"retain": True}, {})
        (found,) = way.late(listener=keys, **said)
        live = way.live(listener=keys, **said)
        assert found["payload"] == live["payload"] == b"1"
        assert (found.get("retain"), live.get("retain")) == ((True, False) if tells else (None, None))
        assert way.late() == []

    return check


def what_is_left(way):
    assert way.live(message_expiry=LIFETIME)["expiry"] == LIFETIME
    (found,) = way.late(wait=LIFETIME - 10, retain=True, message_expiry=LIFETIME)
    assert found["expiry"] == pytest.approx(10)
    assert way.late(wait=LIFETIME + 1, retain=True, message_expiry=LIFETIME) == []


def kept_to(way):
    (found,) = way.late(wait=LIFETIME - 10, retain=True, message_expiry=LIFETIME)
    assert "expiry" not in found
    assert way.late(wait=LIFETIME + 1, retain=True, message_expiry=LIFETIME) == []


def text_or_binary(way):
    texts = [("text/csv", b"1"), ("application/json", b"1")]
    for kind, payload in [*texts, ("image/png", b"1"), ("text/csv", b"\xff")]:
        world = World()
        one = seat(world, way.target, subscribes="a/#", publishes="ear")
        mouth(world, way.source).say(payload=payload, content_type=kind)
        world.turn()
        received = one.client.received()
        if way.target.startswith("websocket"):
            assert received == [payload.decode() if (kind, payload) in texts else payload]
        else:
            assert one.split(received) == [payload] if isinstance(received, bytes) else received == [payload]


def in_order(way):
    pairs = PAIRS if "mqtt" in way.source else dict(PAIRS)
    assert way.live(properties=pairs)["user properties"] == (PAIRS if "mqtt" in way.source else [*dict(PAIRS).items()])


def last_of_each(way):
    assert way.live(properties=PAIRS)["user properties"] == list(dict(PAIRS).items())


def zero(way):
    assert not way.can("qos")
    assert way.live(ear_qos=2)["qos"] == 0


def as_it_says(way):
    if way.row == "qos":
        lower_of_both(way)
    elif way.row == "expiry":
        what_is_left(way)
    else:
        same(way)


def none(way):
    assert not way.can(SAID[way.row][0])
    assert way.row not in way.live()


def of_the_arguments(way):
    for payload, kind in ((b"text", "text/plain; charset=utf-8"), (b"\xff", "application/octet-stream")):
        assert way.live(payload=payload)["content type"] == kind


def of_the_listener(way):
    if way.row == "topic":
        assert way.live(topic="plant/7")["topic"] == "plant/7"
        return
    assert not way.can("content_type")
    for kind in KINDS:
        assert way.live(listener={"content_type": kind})["content type"] == kind


def of_req(way):
    world = World()
    one = ear(world, way.target)
    asker = seat(world, way.source)
    one.output()
    asker.request("a/b", b"1")
    (found,) = one.output()
    assert found["response topic"].startswith("$reply/")


WORDS = {
    "same": same,
    "same, in order": in_order,
    "not sent": not_told,
    "the lower of both": lower_of_both,
    "as published": as_published,
    "as `persistent`": persistent,
    "kept, sent": kept(True),
    "kept, not sent": kept(False),
    "by the listener, sent": kept(True, by_listener=True),
    "remaining time": what_is_left,
    "enforced, not sent": kept_to,
    "text or binary": text_or_binary,
    "the last of each name": last_of_each,
    "0": zero,
    "as it says": as_it_says,
    "as it says, in order": in_order,
    "none": none,
    "of the arguments": of_the_arguments,
    "of the listener": of_the_listener,
    "of `REQ`": of_req,
}
ROWS = [*OLD_WORDS, *SAID]
