"""Who gets what: wildcards, retained messages, unsubscribing, one's own messages, filters that overlap."""

from __future__ import annotations

import pytest

from matrix.speakers import COMMANDING, EVERY, RAW, WAMP, seat

TOPICS = ["a", "a/b", "a/b/c", "a/", "/a", "b", "$a", "$a/b"]
MATCHED = {
    "#": ["a", "a/b", "a/b/c", "a/", "/a", "b"],
    "a/#": ["a", "a/b", "a/b/c", "a/"],
    "+": ["a", "b"],
    "a/+": ["a/b", "a/"],
    "+/+": ["a/b", "a/", "/a"],
    "+/b/#": ["a/b", "a/b/c"],
    "$a/#": ["$a", "$a/b"],
    "a": ["a"],
}


@pytest.mark.parametrize(
    ("filter", "name"),
    [(filter, name) for filter in MATCHED for name in EVERY if name not in WAMP or filter != "+/b/#"],  # no URI is that
)
def test_wildcards(world, name, filter):
    ear = seat(world, name, subscribes=filter, publishes="ear")
    mouth = seat(world, "tcp-lines")
    for topic in TOPICS:
        mouth.publish(topic, topic.encode())
    assert ear.output() == [ear.message(topic, topic.encode()) for topic in MATCHED[filter]]


@pytest.mark.parametrize("name", COMMANDING)
def test_retained_messages_come_after_the_answer(world, name):
    mouth = seat(world, name)
    for topic, payload in (("a/1", b"old"), ("a/1", b"new"), ("a/2", b"gone"), ("a/2", b""), ("b", b"\xff")):
        mouth.publish(topic, payload, retain=True)
    mouth.publish("a/3", b"passing")
    world.turn()
    ear = seat(world, name)
    ear.subscribe("a/#")
    ear.subscribe("b")
    ear.subscribe("a/1")
    assert ear.output() == [
        ("subscribed", "a/#"), ("message", "a/1", b"new"),
        ("subscribed", "b"), ("message", "b", b"\xff"),
        ("subscribed", "a/1"), ("message", "a/1", b"new"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_a_device_gets_what_is_retained_for_it(world, name):
    """Its listener subscribes for it: a set point that was published before it was switched on reaches it."""
    seat(world, "tcp-lines").publish("plant/7/down", b"21.5", retain=True)
    world.turn()
    device = seat(world, name, subscribes="plant/7/down", publishes="plant/7/up")
    assert device.output() == [device.message("plant/7/down", b"21.5")]


@pytest.mark.parametrize("name", COMMANDING)
def test_a_client_that_is_there_already_gets_a_retained_message_once(world, name):
    ear = seat(world, name, subscribes="a")
    seat(world, "tcp-lines").publish("a", b"1", retain=True)
    assert ear.output() == [("message", "a", b"1")]
    assert ear.output() == []


@pytest.mark.parametrize("name", COMMANDING)
def test_unsubscribe(world, name):
    ear = seat(world, name, subscribes="a/+")
    mouth = seat(world, "tcp-lines")
    ear.subscribe("b")
    ear.unsubscribe("a/#")  # isn't the same filter
    ear.unsubscribe("a/+")
    ear.unsubscribe("a/+")
    assert [what for what, _ in ear.output()] == ["subscribed", *["unsubscribed"] * 3]
    mouth.publish("a/x", b"1")
    mouth.publish("b", b"2")
    assert ear.output() == [("message", "b", b"2")]


@pytest.mark.parametrize("name", COMMANDING)
def test_what_came_before_unsubscribe_is_delivered(world, name):
    ear = seat(world, name, subscribes="a")
    ear.publish("a", b"1")
    ear.unsubscribe("a")
    ear.publish("a", b"2")
    assert ear.output() == [("message", "a", b"1"), ("unsubscribed", "a")]


@pytest.mark.parametrize("name", COMMANDING)
def test_a_publisher_gets_its_own_message(world, name):
    one = seat(world, name, subscribes="a/#")
    one.publish("a/b", b"mine")
    assert one.output() == [("message", "a/b", b"mine")]


@pytest.mark.parametrize("name", [name for name in COMMANDING if "json" in name])
def test_without_echo_it_gets_those_of_others_only(world, name):
    one, other = seat(world, name), seat(world, name, subscribes="a")
    one.subscribe("a", echo=False)
    one.publish("a", b"mine")
    world.turn()
    other.publish("a", b"yours")
    world.turn()
    one.publish("a", b"mine again")
    assert one.output() == [("subscribed", "a"), ("message", "a", b"yours")]
    assert [payload for *_, payload in other.output()] == [b"mine", b"yours", b"mine again"]
    one.subscribe("a")
    one.publish("a", b"echo")
    assert one.output() == [("subscribed", "a"), ("message", "a", b"echo")]


@pytest.mark.parametrize("name", RAW)
def test_raw_never_gets_its_own(world, name):
    one, other = (seat(world, name, subscribes="a/#", publishes="a/b") for _ in range(2))
    for speaker in (one, other):
        speaker.output()  # over UDP both had to introduce themselves
    one.publish("a/b", b"mine")
    assert (one.output(), other.output()) == ([], [("message", None, b"mine")])


@pytest.mark.parametrize("name", COMMANDING)
def test_filters_that_overlap_deliver_once(world, name):
    ear = seat(world, name, subscribes="a/b")
    for filter in ("a/+", "a/#", "#", "+/b", "a/b"):
        ear.subscribe(filter)
    assert len(ear.output()) == 5
    mouth = seat(world, "tcp-lines")
    mouth.publish("a/b", b"1")
    mouth.publish("a/c", b"2")
    assert ear.output() == [("message", "a/b", b"1"), ("message", "a/c", b"2")]
    for filter in ("a/b", "a/+", "#"):
        ear.unsubscribe(filter)
    mouth.publish("a/b", b"3")
    assert ear.output()[3:] == [("message", "a/b", b"3")]


@pytest.mark.parametrize("name", [name for name in COMMANDING if "json" in name])
def test_meta_names_the_source_of_a_message(world, name):
    mouth = seat(world, name)
    more = {"content_type": "text/x", "reply_to": "back", "properties": {"k": "ü"}}
    mouth.publish("a", b"1", retain=True, **more)
    world.turn()
    sent = world.wall()
    world.advance(5)
    ear = seat(world, name)
    ear.subscribe("a", meta=True)
    message = {"op": "message", "topic": "a", "data": "1", "time": sent, **more}
    assert ear.reported()[1:] == [message | {"retained": True}]
    mouth.publish("a", b"1", **more)
    assert ear.reported() == [message | {"time": world.wall(), "retained": False}]


@pytest.mark.parametrize("name", [name for name in COMMANDING if "json" in name])
def test_parse_gives_json_its_value(world, name):
    ear = seat(world, name)
    ear.subscribe("a", parse=True)
    mouth = seat(world, "tcp-lines")
    for payload in (b"21.50", b'{"a": [1,\t2]}', b"no json", b"NaN", b"\xff"):
        mouth.publish("a", payload)
    assert [said.get("data", said.get("base64")) for said in ear.reported()[1:]] == [
        21.5, {"a": [1, 2]}, "no json", "NaN", "/w=="
    ]  # fmt: skip
