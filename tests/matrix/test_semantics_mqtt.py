"""Every cell of the tables in docs/semantics.md that have MQTT in them is true, on every transport."""

from __future__ import annotations

from itertools import product

import pytest

from hubbub import Handler, on
from hubbub.testing import World
from matrix import page
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
    return {"MQTT 5": "mqtt", "MQTT 3.1.1": "mqtt311"}.get(column, column)


def seats(column):
    """Each seat that a column stands for."""
    dialect = _dialect(column)
    if column == "a handler":
        return [column]
    return [f"{transport}-{dialect}" for transport in TRANSPORTS if transport != "udp" or "mqtt" not in dialect]


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
        one.heard()
        topic = (said.get("topic", "a/b"),) if self.source.endswith("raw") else ()
        mouth(world, self.source, *topic, **(listener or {})).say(**said, **({"qos": qos} if qos else {}))
        (found,) = one.heard()
        return found

    def late(self, wait=0.0, listener=None, **said):
        """What who comes later is told, a list of one or none."""
        world = World()
        mouth(world, self.source, **(listener or {})).say(**said)
        world.turn()
        world.advance(wait)
        return ear(world, self.target).heard()

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
        assert "qos" not in way.live(qos=2)
    else:
        name, values = SAID[way.row]
        assert way.row not in way.live(**{name: values[0]})


def lower_of_both(way):
    for said, wished in product(range(3), range(3)):
        assert way.live(qos=said, ear_qos=wished)["qos"] == min(said, wished)


def as_published(way):
    for qos in range(3):
        assert way.live(qos=qos)["qos"] == qos


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
        one = seat(world, way.target, hears="a/#", talks="ear")
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
    one.heard()
    asker.request("a/b", b"1")
    (found,) = one.heard()
    assert found["response topic"].startswith("$reply/")


WORDS = {
    "same": same,
    "same, in order": in_order,
    "not told": not_told,
    "the lower of both": lower_of_both,
    "as published": as_published,
    "kept, told": kept(True),
    "kept, not told": kept(False),
    "by the listener, told": kept(True, by_listener=True),
    "what is left": what_is_left,
    "kept to, not told": kept_to,
    "text or binary": text_or_binary,
    "the last of each name": last_of_each,
    "0": zero,
    "as it says": as_it_says,
    "as it says, in order": in_order,
    "none": none,
    "of the listener": of_the_listener,
    "of `REQ`": of_req,
}
FROM = list(page.crossed("from MQTT to"))
TO = list(page.crossed("to MQTT from"))
ROWS = [*OLD_WORDS, *SAID]


@pytest.mark.parametrize(("row", "column", "cell"), FROM)
def test_from_mqtt(row, column, cell):
    versions = ("mqtt", "mqtt311") if row in OLD_WORDS else ("mqtt",)
    for source, target in product([f"tcp-{one}" for one in versions], seats(column)):
        WORDS[cell](Way(row, source, target))
    WORDS[cell](Way(row, "websocket-mqtt", seats(column)[-1]))


@pytest.mark.parametrize(("row", "column", "cell"), TO)
def test_to_mqtt(row, column, cell):
    for source in seats(column):
        for target in ("tcp-mqtt", "websocket-mqtt", *["tcp-mqtt311"] * (row in OLD_WORDS)):
            WORDS[cell](Way(row, source, target))


@pytest.mark.parametrize("column", ["json", "a handler"])
def test_the_old_version_is_told_nothing_else(column):
    said = {name: dict(values[0]) if name == "properties" else values[0] for name, values in SAID.values()}
    found = Way("", seats(column)[0], "tcp-mqtt311").live(qos=1, ear_qos=1, **said)
    assert found == {"topic": "a/b", "payload": b"1", "qos": 1, "retain": False}


def test_every_row_and_column_is_there():
    ways = [({row for row, *_ in cells}, {column for _, column, _ in cells}) for cells in (FROM, TO)]
    columns = {"lines", "json", "raw", "a handler"}
    assert ways == [(set(ROWS), columns | {"MQTT 5", "MQTT 3.1.1"}), (set(ROWS), columns)]


def test_no_word_is_left_over_or_unexplained():
    said = {cell for *_, cell in [*FROM, *TO]}
    assert said == set(WORDS)
    assert {word for cell in said for word in cell.split(", ")} <= page.explained()


def test_a_handler_passes_all_properties_on():
    class Passes(Handler):
        @on("in")
        def go(self, message):
            self.publish("out", message.payload, properties=message.properties)

    world = World()
    world.run(Passes)
    one = seat(world, "tcp-mqtt", hears="out")
    seat(world, "tcp-mqtt").publish("in", b"1", user_property=PAIRS)
    (packet,) = one.told()
    assert packet.properties["user_property"] == PAIRS
