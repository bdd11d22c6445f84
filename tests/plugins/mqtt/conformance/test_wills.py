"""MQTT 5.0 sections 3.1.2.5 and 3.1.3.2, 3.1.1 section 3.1.2.5: the will."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt.packets import Will, packet
from mqtt_client import V5, V311, MqttHub, kept, messages, subscription

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def context():
    return MqttHub()


@pytest.fixture
def ear(context):
    found = context.client("ear")
    found.subscribe(subscription("w/#", 2, retain_as_published=True))
    return found


def ends(context, client):
    """Each way for a link to end but DISCONNECT."""
    yield lambda: client.end.vanish() or context.world.turn()
    yield lambda: client.raw(b"\x00\x00")
    yield lambda: context.world.advance(16)


@BOTH
@pytest.mark.parametrize("how", range(3))
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt("5:3.1.2-7", "5:3.1.2-8", "5:3.1.2-14", "3.1.1:3.1.2-8", "3.1.1:3.1.2-16")
def test_a_will_is_published_however_the_link_ends(context, ear, version, how, qos):
    client = context.client("c", version, keep_alive=10, will=Will(topic="w/1", payload=b"gone", qos=qos))
    assert ear.output() == []
    list(ends(context, client))[how]()
    assert messages(ear.output()) == [("w/1", b"gone", qos)]
    assert context.client("late").subscribe("w/#")[1:] == []


@BOTH
@pytest.mark.mqtt("5:3.1.2-15", "3.1.1:3.1.2-17")
def test_a_will_that_is_retained(context, ear, version):
    context.client("c", version, will=Will(topic="w/1", payload=b"gone", qos=1, retain=True)).end.vanish()
    context.world.turn()
    assert [one.retain for one in ear.output()] == [True]
    (_, got) = context.client("late", version).subscribe(subscription("w/#", 2))
    assert (got.payload, got.qos, got.retain) == (b"gone", 1, True)


@BOTH
@pytest.mark.mqtt("5:3.1.2-10", "5:3.14.4-3", "3.1.1:3.1.2-10", "3.1.1:3.14.4-3")
def test_disconnect_drops_the_will(context, ear, version):
    client = context.client("c", version, will=Will(topic="w/1", payload=b"gone"), **kept(version))
    client.goodbye()
    assert client.closed
    context.world.advance(300)
    assert ear.output() == []


@pytest.mark.parametrize("code", [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x97])
@pytest.mark.mqtt("5:3.1.2-8")
def test_a_disconnect_that_is_no_goodbye_leaves_the_will(context, ear, code):
    context.client("c", will=Will(topic="w/1", payload=b"gone")).goodbye(code)
    assert messages(ear.output()) == [("w/1", b"gone", 0)]


@BOTH
@pytest.mark.mqtt("5:3.1.2-10", "3.1.1:3.1.2-10", "3.1.1:3.1.2-12")
def test_a_will_is_published_once(context, ear, version):
    context.client("c", version, will=Will(topic="w/1", payload=b"gone"), **kept(version)).end.vanish()
    context.world.turn()
    assert len(ear.output()) == 1
    again = context.client("c", version, **kept(version))
    again.end.vanish()
    context.world.advance(300)
    assert ear.output() == []


@pytest.mark.mqtt("5:3.1.2-8", "5:3.1.3-9")
def test_a_will_waits_for_its_delay(context, ear):
    will = Will(topic="w/1", payload=b"gone", properties={"will_delay_interval": 10})
    context.client("c", will=will, **kept(V5)).end.vanish()
    context.world.advance(9)
    again = context.client("c", will=will, **kept(V5))
    context.world.advance(20)
    assert ear.output() == []
    again.end.vanish()
    context.world.advance(9)
    assert ear.output() == []
    context.world.advance(2)
    assert messages(ear.output()) == [("w/1", b"gone", 0)]


@pytest.mark.mqtt("5:3.1.2-8", "5:3.1.2-7")
def test_the_end_of_the_session_ends_the_delay(context, ear):
    will = Will(topic="w/1", payload=b"gone", properties={"will_delay_interval": 50})
    context.client("c", will=will, properties={"session_expiry_interval": 5}).end.vanish()
    context.world.advance(6)
    assert len(ear.output()) == 1
    context.client("c", will=will, **kept(V5)).end.vanish()
    context.client("c", clean=True)
    assert len(ear.output()) == 1


@pytest.mark.mqtt("5:3.1.3-10", "5:3.3.2-4", "5:3.3.2-15", "5:3.3.2-16", "5:3.3.2-17", "5:3.3.2-18", "5:3.3.2-20")
def test_what_a_will_says_arrives(context, ear):
    said = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": "re",
        "correlation_data": b"\0\xff",
        "user_property": [("b", "1"), ("a", "2"), ("b", "1"), ("", "")],
        "message_expiry_interval": 60,
    }
    context.client("c", will=Will(topic="w/1", payload=b"gone", properties=said)).end.vanish()
    context.world.turn()
    (got,) = ear.output()
    assert got.properties == said


@pytest.mark.parametrize("topic", ["", "w/#", "+", "a\0"])
@BOTH
@pytest.mark.mqtt("5:3.1.4-1", "3.1.1:3.1.4-1", "5:4.7.0-1", "3.1.1:4.7.1-1", "5:4.7.3-1", "3.1.1:4.7.3-1")
def test_a_topic_that_no_will_may_have(context, version, topic):
    none = b"\0" if version == V5 else b""
    raw = topic.encode()
    body = b"\0\4MQTT" + bytes((version, 6)) + b"\0\0" + none + b"\0\1c" + none
    client = context.listener.connect()
    client.send(packet(0x10, body + len(raw).to_bytes(2, "big") + raw + b"\0\0"))
    context.world.turn()
    assert client.closed
