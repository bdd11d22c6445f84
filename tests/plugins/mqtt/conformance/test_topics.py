"""MQTT 5.0 sections 4.7 and 6, 3.1.1 likewise: topics, filters, WebSocket."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Pingreq,
    Pingresp,
    Subscribe,
    Unsubscribe,
    packet,
)
from mqtt_client import V5, V311, Client, MqttHub, case, kept, messages, subscription

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def context():
    return MqttHub()


@BOTH
@pytest.mark.parametrize(
    "filter",
    [
        *(
            case(one, one, shows="5:4.7.1-1 3.1.1:4.7.1-2")
            for one in ("a#", "#a", "$share/g#/a", "a/#/b", "##", "a/b#", "#/")
        ),
        *(case(one, one, shows="5:4.7.1-2 3.1.1:4.7.1-3") for one in ("a+", "+a", "a/b+", "++", "a/+b/c")),
        case("empty", "", shows="5:4.7.3-1 3.1.1:4.7.3-1"),
    ],
)
@pytest.mark.mqtt("5:4.13.1-1", "3.1.1:4.8.0-1")
def test_filters_that_there_are_not(context, version, filter):
    """They are malformed packets, so the connection ends, and no filter beside them counts."""
    for said in (
        Subscribe(id=1, subscriptions=[subscription("good", 1), subscription(filter, 1)]),
        Unsubscribe(id=1, filters=["good", filter]),
    ):
        client = context.client("c", version, **kept(version))
        found = client.send(said)
        assert client.closed
        assert [(type(one), one.code) for one in found] == ([(Disconnect, 0x81)] if version == V5 else [])
    context.client("w").publish("good", qos=1, id=1)
    assert context.client("c", version, **kept(version)).first == []


@pytest.mark.mqtt("5:3.8.4-7")
def test_a_well_formed_filter_that_is_not_accepted(context):
    client = context.client("c")
    deep = "/".join("a" * 200)
    assert client.subscribe(deep, "$share/g/$share/h/a", "b")[0].codes == [0x8F, 0x8F, 0]
    assert not client.closed


@BOTH
@pytest.mark.parametrize("filter", ["#", "+", "a/#", "+/+", "/+", "+/a/#", "a/+/b", "/", "//", "a/", "a b/+"])
@pytest.mark.mqtt("5:4.7.1-1", "5:4.7.1-2", "3.1.1:4.7.1-2", "3.1.1:4.7.1-3", "5:4.7.0-1", "3.1.1:4.7.1-1")
def test_filters_that_there_are(context, version, filter):
    assert context.client("c", version).subscribe(filter)[0].codes == [0]


@BOTH
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt("5:4.7.3-1", "3.1.1:4.7.3-1")
def test_a_topic_of_no_character(context, version, qos):
    client = context.client("c", version)
    client.publish("", qos=qos, id=bool(qos))
    assert client.closed


@BOTH
@pytest.mark.mqtt("5:4.7.2-1", "3.1.1:4.7.2-1")
def test_topics_that_begin_with_a_dollar(context, version):
    client, writer = context.client("c", version), context.client("w", version)
    client.subscribe("#", "+/x", "+")
    for topic in ("$own/x", "$own"):
        writer.publish(topic)
    assert client.output() == []
    client.subscribe("$own/#")
    writer.publish("$own/x")
    assert messages(client.output()) == [("$own/x", b"x", 0)]
    writer.publish("a/$x")
    assert messages(client.output()) == [("a/$x", b"x", 0)]


@BOTH
@pytest.mark.mqtt("5:4.7.3-3", "3.1.1:4.7.3-3")
def test_a_topic_of_65535_bytes_affects_no_other(context, version):
    ear = context.client("ear")
    ear.subscribe("#")
    client = context.client("c", version)
    topic = "x" * 65_535
    client.publish(topic)
    assert client.closed or messages(ear.output()) == [(topic, b"x", 0)]


@BOTH
@pytest.mark.mqtt("5:4.7.3-4", "3.1.1:4.7.3-4")
def test_topics_are_taken_as_they_are(context, version):
    client, writer = context.client("c", version), context.client("w", version)
    client.subscribe("/a", "a//b", "A", "a ", "./a", "%61")
    for topic in ("a", "a/b", "A", "a/", "/a/", "a ", " a", "a//b", "%61", "/a", "./a", "b/../a"):
        writer.publish(topic)
    assert [one.topic for one in client.output()] == ["A", "a ", "a//b", "%61", "/a", "./a"]


# WebSocket


@BOTH
@pytest.mark.mqtt("5:6.0.0-1", "3.1.1:6.0.0-1")
def test_a_text_frame_ends_the_link(version):
    context = MqttHub("websocket")
    client = context.client("c", version)
    client.end.send("\x30\x04\0\1a\0")
    context.world.turn()
    assert client.closed or client.end.close_code is not None


@BOTH
@pytest.mark.mqtt("5:6.0.0-2", "3.1.1:6.0.0-2")
def test_packets_and_frames_do_not_begin_together(version):
    data = Connect(version=version, client="c").encode(version) + Pingreq().encode(version) * 2
    for size in (1, 2, 3, 7, len(data)):
        client = Client(MqttHub("websocket").listener, version)
        found = []
        for at in range(0, len(data), size):
            found += client.raw(data[at : at + size])
        assert [type(one) for one in found] == [Connack, Pingresp, Pingresp]


@BOTH
@pytest.mark.mqtt("5:6.0.0-4", "3.1.1:6.0.0-4")
def test_the_subprotocol(version):
    context = MqttHub("websocket")
    client = Client(context.listener, version, subprotocol="mqtt")
    assert client.end.subprotocol == "mqtt"
    assert client.raw(packet(0x10, Connect(version=version, client="c").encode(version)[2:]))[0].code == 0
