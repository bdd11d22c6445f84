"""What a listener says about everything that comes in by it: prefix, topic, subscribe, retain, content type, login."""

from __future__ import annotations

import pytest

from hubbub_plugins.upper import Upper
from matrix.speakers import COMMANDING, EVERY, RAW, seat

JSON = [name for name in COMMANDING if "json" in name]


def dashboard(world, filter="#"):
    """A client on a plain listener that sees everything."""
    one = seat(world, "websocket-json")
    one.subscribe(filter, meta=True)
    one.reported()
    return one


@pytest.mark.parametrize("name", EVERY)
def test_prefix_in(world, name):
    ear = seat(world, "tcp-lines", subscribes="#")
    one = seat(world, name, publishes="a/b", prefix="boat/{host}")
    one.publish("a/b", b"1")
    assert ear.output() == [("message", "boat/192.0.2.7/a/b", b"1")]


@pytest.mark.parametrize("name", EVERY)
def test_prefix_out(world, name):
    one = seat(world, name, subscribes="a/#", publishes="me", prefix="boat")
    mouth = seat(world, "tcp-lines")
    for topic in ("boat/a/b", "a/b", "boats/a/b", "boat", "boat/a", "$boat/a"):
        mouth.publish(topic, topic.encode())
    assert one.output() == [one.message("a/b", b"boat/a/b"), one.message("a", b"boat/a")]


@pytest.mark.parametrize("name", COMMANDING)
def test_under_a_prefix_everything_is_as_if_there_were_none(world, name):
    world.run(Upper)
    one = seat(world, name, prefix="echo")
    one.publish("kept", b"1", retain=True)
    one.output()
    one.subscribe("#")
    one.publish("x", b"hi")
    one.unsubscribe("#")
    assert one.output() == [
        ("subscribed", "#"), ("message", "kept", b"1"),
        ("message", "x", b"hi"), ("unsubscribed", "#"), ("message", "x", b"HI"),
    ]  # fmt: skip
    one.request("x", b"what?")
    assert one.output() == [("reply", b"WHAT?")]


@pytest.mark.parametrize("name", COMMANDING)
def test_a_prefix_that_makes_a_topic_too_long(world, name):
    one = seat(world, name, prefix="p" * 100)
    for topic in ("x" * 65_435, "x" * 65_434):
        one.publish(topic, b"1")
    assert one.output() == [("error", "bad-topic")]


@pytest.mark.parametrize("answering", JSON)
@pytest.mark.parametrize("asking", COMMANDING)
def test_requests_pass_a_prefix(world, asking, answering):
    """Who answers from under a mount point publishes to the reply topic as it was told."""
    service = seat(world, answering, prefix="boat")
    service.subscribe("ask", meta=True)
    service.reported()
    one = seat(world, asking)
    one.request("boat/ask", b"what?")
    (asked,) = service.reported()
    assert asked["topic"] == "ask"
    service.publish(asked["reply_to"], b"that")
    assert one.output() == [("reply", b"that")]


@pytest.mark.parametrize("name", JSON)
def test_a_reply_topic_is_seen_from_where_one_is(world, name):
    inside, outside = seat(world, name, prefix="boat"), seat(world, name)
    for one, filter in ((inside, "q"), (outside, "boat/q")):
        one.subscribe(filter, meta=True)
        one.reported()
    inside.publish("q", b"1", reply_to="back")
    assert (inside.reported()[0]["reply_to"], outside.reported()[0]["reply_to"]) == ("back", "boat/back")
    outside.publish("boat/q", b"1", reply_to="boat/back")
    assert (inside.reported()[0]["reply_to"], outside.reported()[0]["reply_to"]) == ("back", "boat/back")


@pytest.mark.parametrize("name", RAW)
def test_topic_template(world, name):
    ear = seat(world, "tcp-lines", subscribes="#")
    one = seat(world, name, publishes="plant/{id}/{host}/{user}/{client}/{{x}}", id="plc")
    one.tell(b"T=21.5")
    assert ear.output() == [("message", "plant/plc/192.0.2.7/-/-/{x}", b"T=21.5")]


@pytest.mark.parametrize("name", RAW)
def test_without_a_topic_there_is_a_default(world, name):
    ear = seat(world, "tcp-lines", subscribes="#")
    seat(world, name, id="plc").tell(b"1")
    assert ear.output() == [("message", "raw/plc", b"1")]


@pytest.mark.parametrize("name", RAW)
def test_subscribe_template_reaches_one_device_alone(world, name):
    devices = [seat(world, name, subscribes="plant/{port}/down", publishes="up") for _ in range(3)]
    mouth = seat(world, "websocket-json")
    mouth.publish(f"plant/{devices[1].client.port}/down", b"go")
    assert [device.output() for device in devices] == [[], [("message", None, b"go")], []]


@pytest.mark.parametrize("name", [name for name in COMMANDING if not name.startswith("udp")])
def test_a_client_that_has_to_log_in_gets_what_the_listener_subscribes_to_then(world, name):
    login = lambda event, session, done: done("ann")  # noqa: E731
    one = seat(world, name, subscribe="plant/{user}", anonymous=False, login=login)
    mouth = seat(world, "websocket-json")
    mouth.publish("plant/ann", b"1")
    assert one.output() == []
    for _ in range(2):
        one.log_in()
        world.turn()
        assert one.units()
        mouth.publish("plant/ann", b"2")
        assert one.output() == [("message", "plant/ann", b"2")]


@pytest.mark.parametrize("name", [name for name in COMMANDING if not name.startswith("udp")])
def test_a_client_that_logs_in_again_below_a_mount_point(world, name):
    login = lambda event, session, done: done("ann")  # noqa: E731
    one = seat(world, name, subscribe="down", prefix="plant/{user}", login=login)
    one.log_in()
    world.turn()
    assert one.units()
    mouth = seat(world, "websocket-json")
    mouth.publish("plant/-/down", b"1")
    mouth.publish("plant/ann/down", b"2")
    assert one.output() == [("message", "down", b"2")]


@pytest.mark.parametrize("name", EVERY)
def test_retain_is_stamped(world, name):
    one = seat(world, name, publishes="a", retain=True)
    one.publish("a", b"1")
    world.turn()
    late = seat(world, "tcp-lines")
    late.subscribe("a")
    assert late.output() == [("subscribed", "a"), ("message", "a", b"1")]
    one.publish("a", b"")
    world.turn()
    later = seat(world, "tcp-lines")
    later.subscribe("a")
    assert later.output() == [("subscribed", "a")]


@pytest.mark.parametrize("name", EVERY)
def test_content_type_is_stamped(world, name):
    ear = dashboard(world)
    seat(world, name, publishes="a", content_type="text/csv").publish("a", b"1;2")
    assert [(said["content_type"], said["data"]) for said in ear.reported()] == [("text/csv", "1;2")]


@pytest.mark.parametrize("name", COMMANDING)
def test_not_authorized(world, name):
    ear = seat(world, "tcp-lines", subscribes="#")
    one = seat(world, name, anonymous=False)
    one.subscribe("#")
    one.unsubscribe("#")
    one.publish("a", b"2")
    one.publish("a", b"\xff", retain=True)
    one.request("a", b"4")
    assert one.output() == [("error", "not-authorized")] * 5
    one.log_in()
    one.ping()
    assert one.output() == [("error", "not-authorized"), ("pong",)]
    if name.endswith("lines"):
        one.tell(b"HELP")
        world.turn()
        assert all(line.startswith(b"# ") for line in one.units())
    one.leave()
    assert one.output() == [("bye",)]
    assert ear.output() == []


@pytest.mark.parametrize("name", RAW)
def test_a_device_that_is_not_authorized_is_ignored(world, name):
    ear = seat(world, "tcp-lines", subscribes="#")
    one = seat(world, name, subscribes="a", publishes="b", anonymous=False)
    one.publish("b", b"1")
    seat(world, "tcp-lines").publish("a", b"2")
    assert (one.output(), ear.output()) == ([], [("message", "a", b"2")])
    assert world.hub.turn.counters.refused >= 1


@pytest.mark.parametrize("name", EVERY)
def test_with_a_user_for_all_no_client_is_anonymous(world, name):
    one = seat(world, name, publishes="a/{user}" if name in RAW else None, anonymous=False, user="plant ann")
    ear = seat(world, "tcp-lines", subscribes="#")
    if name in RAW:
        one.tell(b"1")
    else:
        one.publish("a/plant%20ann", b"1")
    assert ear.output() == [("message", "a/plant%20ann", b"1")]
