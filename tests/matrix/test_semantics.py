"""Every cell of the table in docs/semantics.md is true, on every pair of transports."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.dialects.raw import Raw
from hubbub.option import configure
from hubbub.testing import World
from matrix import page
from matrix.speakers import TRANSPORTS, seat
from scale import examples

DIALECTS = ("lines", "json", "raw")
COLUMNS = ["topic", "payload", "content type", "retain", "reply-to", "time", "properties"]
PAYLOADS = [b"21.5", "欢迎 é".encode(), b"two\nlines", bytes(range(256)), b"", b" {} "]
VALUE, LINE = '{ "a" : [1, 2.50,\n "é\\n"] }', '{"a":[1,2.50,"é\\n"]}'.encode()


def table():
    """Yield (from, to, column, cell) for each cell of the first table."""
    head, *rows = page.table("from")
    assert head == ["from", "to", *COLUMNS]
    for source, target, *found in rows:
        for column, cell in zip(COLUMNS, found, strict=True):
            yield source, target, column, cell


class Pair:
    """A publisher and a subscriber; a new pair for each look."""

    def __init__(self, source, target):
        self.world = World()
        self.source = source
        self.target = target

    @property
    def raw(self):
        return self.source.endswith("raw")

    def mouth(self, topic="a/b", **keys):
        return seat(self.world, self.source, publishes=topic, **keys)

    def ear(self, filter="a/#"):
        if not self.target.endswith("json"):
            return seat(self.world, self.target, subscribes=filter, publishes="ear")
        one = seat(self.world, self.target)
        one.subscribe(filter, meta=True)
        assert one.reported()[0]["op"] == "subscribed"
        return one

    def output(self, ear):
        """What the subscriber's transport brings, as it is."""
        self.world.turn()
        return ear.client.received()

    def reported(self, ear):
        (said,) = ear.reported()
        return said


def same_units(pair, plain, special):
    """What two publishers say differs in one thing that the subscriber can't see."""
    ear = pair.ear()
    plain(pair.mouth())
    first = pair.output(ear)
    special()
    assert first
    assert pair.output(ear) == first


def topic_same(pair):
    assert not pair.raw, "raw names no topic"
    ear = pair.ear("#")
    for topic in ("a", "a b", "100%", "%41", "/", "naïve/温度", "tab\there"):
        pair.mouth(topic).publish(topic, b"1")
        assert ear.output() == [("message", topic, b"1")]


def topic_not_told(pair):
    same_units(pair, lambda one: one.publish("a/b", b"1"), lambda: pair.mouth("a/c").publish("a/c", b"1"))


def topic_of_the_listener(pair):
    ear = pair.ear("#")
    pair.mouth("plant/{id}", id="plc").tell(b"1")
    assert ear.output() == [("message", "plant/plc", b"1")]


def topic_of_the_listener_not_told(pair):
    topic_not_told(pair)


def payload_same(pair):
    ear, mouth = pair.ear(), pair.mouth()
    for payload in PAYLOADS:
        mouth.publish("a/b", payload)
        assert ear.output() == [ear.message("a/b", payload)]


def payload_if_it_fits(pair):
    assert pair.target.endswith("raw"), "the others carry any payload"
    payload_same(pair)
    transport = pair.target.partition("-")[0]
    client = pair.world.listen(transport, configure(Raw, {"size": "4"}), subscribe="a/#").connect()
    client.send(b"four")  # over UDP nobody knows it before
    pair.world.turn()
    mouth, before = pair.mouth(), pair.world.hub.turn.counters.uncarried
    mouth.publish("a/b", b"too long")
    mouth.publish("a/b", b"this")
    pair.world.turn()
    assert client.received() in (b"this", [b"this"])
    assert pair.world.hub.turn.counters.uncarried == before + 1


def payload_json_as_text(pair):
    payload_same(pair)
    ear, mouth = pair.ear(), pair.mouth()
    mouth.tell(b'{"op":"publish","topic":"a/b","data":%b}' % VALUE.replace("\n", " ").encode())
    assert ear.output() == [ear.message("a/b", LINE)]


def payload_json_as_text_if_it_fits(pair):
    payload_json_as_text(pair)
    payload_if_it_fits(pair)


def payload_json_as_itself(pair):
    payload_same(pair)
    ear = pair.ear()
    pair.mouth().tell(b'{"op":"publish","topic":"a/b","data":%b}' % VALUE.replace("\n", " ").encode())
    pair.world.turn()
    (unit,) = ear.units()
    assert b'"data":' + LINE in unit
    seat(pair.world, "tcp-lines", content_type="application/json").publish("a/b", b"[1,  2]")
    assert pair.reported(ear)["data"] == [1, 2]


def content_type_not_told(pair):
    same_units(
        pair,
        lambda one: one.publish("a/b", b"1"),
        lambda: pair.mouth(content_type="text/csv").publish("a/b", b"1"),
    )


def content_type_of_the_listener_told(pair):
    ear = pair.ear()
    pair.mouth(content_type="text/csv").publish("a/b", b"1")
    assert pair.reported(ear)["content_type"] == "text/csv"
    pair.mouth().publish("a/b", b"1")
    of_a_websocket = "application/octet-stream" if pair.source == "websocket-raw" else None
    assert pair.reported(ear).get("content_type") == of_a_websocket
    if pair.source == "websocket-raw":
        pair.mouth().client.send("text")
        assert pair.reported(ear)["content_type"] == "text/plain; charset=utf-8"


def content_type_same_told(pair):
    ear, mouth = pair.ear(), pair.mouth()
    mouth.publish("a/b", b"1", content_type="text/x; y=z")
    assert pair.reported(ear)["content_type"] == "text/x; y=z"
    mouth.op("publish", topic="a/b", data=[1])
    assert pair.reported(ear)["content_type"] == "application/json"
    mouth.publish("a/b", b"1")
    assert "content_type" not in pair.reported(ear)


def content_type_text_or_binary(pair):
    ear = pair.ear()
    texts = [("text/csv", b"1"), ("application/json", b"1")]
    for kind, payload in [*texts, ("image/png", b"1"), ("text/csv", b"\xff")]:
        text = (kind, payload) in texts
        pair.mouth(content_type=kind).publish("a/b", payload)
        if pair.target.startswith("websocket"):
            assert pair.output(ear) == [payload.decode() if text else payload]
        else:
            assert ear.output() == [ear.message("a/b", payload)]


def keep(pair):
    """Publish one message to be kept and one that isn't."""
    if pair.raw:
        pair.mouth(retain=True).publish("a/b", b"1")
    else:
        pair.mouth().publish("a/b", b"1", retain=True)
    pair.world.turn()
    pair.mouth("a/c").publish("a/c", b"passing")
    pair.world.turn()


def retain_kept_not_told(pair):
    assert not pair.target.endswith("json"), "json tells"
    keep(pair)
    late = seat(
        pair.world, pair.target, publishes="ear", **({"subscribe": "a/#"} if pair.target.endswith("raw") else {})
    )
    if pair.target.endswith("raw"):
        late.tell(b"")
        (kept,) = late.output()
    else:
        late.subscribe("a/#")
        _, kept = late.output()
    assert kept == late.message("a/b", b"1")
    pair.mouth().publish("a/b", b"1")
    assert late.output() == [kept]


def retain_kept_told(pair):
    keep(pair)
    late = seat(pair.world, pair.target)
    late.subscribe("a/#", meta=True)
    _, kept = late.reported()
    assert (kept["topic"], kept["data"], kept["retained"]) == ("a/b", "1", True)
    pair.mouth().publish("a/b", b"1")
    assert pair.reported(late)["retained"] is False


def ask(pair, topic="a/b"):
    """Publish what has a reply topic."""
    one = pair.mouth()
    if pair.source.endswith("json"):
        one.publish(topic, b"1", reply_to="back/here")
    else:
        one.request(topic, b"1")
    return one


def reply_to_not_told(pair):
    same_units(pair, lambda one: one.publish("a/b", b"1"), lambda: ask(pair))


def reply_to_of_req_told(pair):
    ear = pair.ear()
    one = ask(pair)
    topic = pair.reported(ear)["reply_to"]
    ear.publish(topic, b"it works")
    assert one.output() == [("reply", b"it works")]
    one.publish("a/b", b"1")
    assert "reply_to" not in pair.reported(ear)


def reply_to_same_told(pair):
    ear = pair.ear()
    ask(pair)
    assert pair.reported(ear)["reply_to"] == "back/here"


def time_not_told(pair):
    def later():
        pair.world.advance(1.5)
        pair.mouth().publish("a/b", b"1")

    same_units(pair, lambda one: one.publish("a/b", b"1"), later)


def time_arrival_told(pair):
    ear, mouth = pair.ear(), pair.mouth()
    for _ in range(2):
        mouth.publish("a/b", b"1")
        assert pair.reported(ear)["time"] == pair.world.wall()
        pair.world.advance(1.5)


def none(field, *speakers):
    """The publisher can't say it: who asks is told nothing, and who can't be told hears the message alone."""

    def check(pair):
        assert not pair.source.endswith(speakers), "it can"
        ear = pair.ear()
        pair.mouth().publish("a/b", b"1")
        if pair.target.endswith("json"):
            assert field not in pair.reported(ear)
        else:
            assert ear.output() == [ear.message("a/b", b"1")]

    return check


def properties_not_told(pair):
    def special():
        pair.mouth().publish("a/b", b"1", properties={"k": "v"})

    same_units(pair, lambda one: one.publish("a/b", b"1"), special)


def properties_same_told(pair):
    ear = pair.ear()
    pair.mouth().publish("a/b", b"1", properties={"k": "ü", "": "\n"})
    assert pair.reported(ear)["properties"] == {"k": "ü", "": "\n"}


CHECKS = {
    ("topic", "same"): topic_same,
    ("topic", "not sent"): topic_not_told,
    ("topic", "of the listener"): topic_of_the_listener,
    ("topic", "of the listener, not sent"): topic_of_the_listener_not_told,
    ("payload", "same"): payload_same,
    ("payload", "same, if it fits"): payload_if_it_fits,
    ("payload", "same, JSON as text"): payload_json_as_text,
    ("payload", "same, JSON as text, if it fits"): payload_json_as_text_if_it_fits,
    ("payload", "same, JSON as itself"): payload_json_as_itself,
    ("content type", "not sent"): content_type_not_told,
    ("content type", "of the listener, sent"): content_type_of_the_listener_told,
    ("content type", "same, sent"): content_type_same_told,
    ("content type", "text or binary"): content_type_text_or_binary,
    ("retain", "kept, not sent"): retain_kept_not_told,
    ("retain", "kept, sent"): retain_kept_told,
    ("retain", "by the listener, not sent"): retain_kept_not_told,
    ("retain", "by the listener, sent"): retain_kept_told,
    ("reply-to", "not sent"): reply_to_not_told,
    ("reply-to", "of `REQ`, sent"): reply_to_of_req_told,
    ("reply-to", "same, sent"): reply_to_same_told,
    ("reply-to", "none"): none("reply_to", "lines", "json"),
    ("time", "not sent"): time_not_told,
    ("time", "arrival, sent"): time_arrival_told,
    ("properties", "none"): none("properties", "json"),
    ("properties", "not sent"): properties_not_told,
    ("properties", "same, sent"): properties_same_told,
}


@pytest.mark.parametrize(("source", "target", "column", "cell"), list(table()))
def test_a_cell_is_true(source, target, column, cell):
    check = CHECKS[column, cell]
    for out, back in product(TRANSPORTS, TRANSPORTS):
        check(Pair(f"{out}-{source}", f"{back}-{target}"))


def test_every_pair_is_there_once():
    pairs = [(source, target) for source, target, column, _ in table() if column == COLUMNS[0]]
    assert sorted(pairs) == sorted(product(DIALECTS, DIALECTS))


def test_no_check_is_left_over():
    assert {(column, cell) for _, _, column, cell in table()} == set(CHECKS)


def test_every_word_is_explained():
    assert {word for *_, cell in table() for word in cell.split(", ")} <= page.explained()


TOPICS = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0+#"), min_size=1, max_size=60)
    .filter(lambda topic: not topic.startswith(("$SYS", "$hubbub", "$reply")))
)  # fmt: skip


@given(TOPICS, st.sampled_from(["tcp-lines", "websocket-json"]), st.sampled_from(["websocket-lines", "tcp-json"]))
@settings(max_examples=examples(200))
def test_topics_map_both_ways(topic, source, target):
    """Whatever one client publishes on, another sees; and it can publish there and subscribe to it as well."""
    world = World()
    one, other = (seat(world, name, subscribes=topic) for name in (source, target))
    one.publish(topic, b"there")
    other.publish(topic, b"back")
    expected = [("message", topic, b"there"), ("message", topic, b"back")]
    assert (sorted(one.output()), sorted(other.output())) == (sorted(expected), sorted(expected))


LEAVES = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab"), inner, max_size=4)
)


@given(VALUES)
@settings(max_examples=examples(100))
def test_json_values_pass(value):
    world = World()
    ear = seat(world, "udp-json", subscribes="a")
    seat(world, "websocket-json").op("publish", topic="a", data=value)
    world.turn()
    (unit,) = ear.units()
    assert json.loads(unit)["data"] == value
