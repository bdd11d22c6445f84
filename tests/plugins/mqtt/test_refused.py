"""plugins/mqtt: what is malformed, refused or too much, in memory."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V31, Ack, Connack, Disconnect, Publish
from mqtt_client import PUBACK, PUBREC, V5, V311, Client, MqttHub, kept, subscription

CONNECT = packets.Connect(client="c", clean=True)


@pytest.mark.parametrize(
    ("version", "more", "code"),
    [
        (V31, {"client": ""}, 2),
        (V311, {"client": "", "clean": False}, 2),
        (V5, {"client": "x" * 300}, 0x85),
        (V5, {"client": "c", "properties": {"authentication_method": "x"}}, 0x8C),
        (V5, {"client": "c", "will": packets.Will(topic="a/#", payload=b"")}, 0x90),
    ],
)
@pytest.mark.mqtt("5:3.2.2-7", "3.1.1:3.1.3-8")
def test_refused_connects(version, more, code):
    client = Client(MqttHub().listener, version)
    answer = client.connect(**more)
    assert isinstance(answer, Connack)
    assert answer.code == code
    assert client.closed


@pytest.mark.parametrize("version", [2, 6, 0x82, 0x85])
@pytest.mark.mqtt("5:3.1.2-2", "3.1.1:3.1.2-2")
def test_an_unknown_version(version):
    client = Client(MqttHub().listener, V311)
    (answer,) = client.raw(b"\x10\x0d\0\4MQTT" + bytes((version, 2, 0, 0, 0, 1)) + b"c")
    assert answer == Connack(code=1)
    assert client.closed


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (CONNECT.encode(V5), 0x82),  # a second one
        (b"\x20\2\0\0", None),
        (b"\x90\3\0\1\0", None),
        (b"\x00\x00", 0x81),
        (b"\xc1\x00", 0x81),
        (b"\x30\xff\xff\xff\xff\x7f", 0x81),
        (b"\x30\x80\x00", 0x81),
        (b"\x30\xff\xff\xff\x7f", 0x95),
        (b"\x32\x07\0\1a\0\0\0x", 0x82),  # a packet identifier of 0
        (b"\x36\x07\0\1a\0\1\0x", 0x81),  # quality 3
        (b"\x30\x03\0\0\0", 0x82),  # no topic
        (b"\x30\x04\0\1+\0", 0x90),
        (b"\x30\x04\0\1\0\0", 0x81),
        (b"\x30\x06\0\3\xed\xa0\x80\0", 0x81),
        (b"\x30\x02\0\5", 0x81),  # a topic that ends too early
        (packets.Subscribe(id=1, subscriptions=[subscription("a")] * 10_001).encode(V5), 0x97),
        (b"\x30\x05\0\1a\5\1", 0x81),  # properties that end too early
        (b"\x82\x03\0\1\0", 0x82),  # no filter
        (b"\x80\x07\0\1\0\0\1a\0", 0x81),  # flags
        (b"\xf0\x00", 0x82),
        (b"\xd0\x00", 0x82),
        (b"\xe0\x07\0\5\x11\0\0\0\1", 0x82),  # a session is to be kept that isn't
    ],
)
@pytest.mark.mqtt("5:4.13.1-1", "5:4.13.2-1")
def test_bad_packets(data, code):
    context = MqttHub()
    client = context.client("c")
    ear = context.client("ear")
    ear.subscribe("#")
    found = client.raw(data)
    assert client.closed
    assert isinstance(found[-1], Disconnect)
    assert code is None or found[-1].code == code
    assert ear.output() == []
    assert context.world.hub.turn.counters.failed == 0


@pytest.mark.parametrize("count", [1_001, 10_000])
def test_too_many_properties(count):
    """They are allowed, and more than this hub takes: 0x97, quota exceeded."""
    hub, said = MqttHub(), {"user_property": [("k", "v")] * count}
    client = hub.client("c")
    (gone,) = client.publish("a", properties=said)
    assert (gone.code, client.closed) == (0x97, True)
    client = Client(hub.listener)
    assert (client.connect("d", properties=said).code, client.closed) == (0x97, True)


def test_as_many_properties_as_a_packet_may_have():
    assert Client(MqttHub().listener).connect("d", properties={"user_property": [("k", "v")] * 1_000}).code == 0


@pytest.mark.mqtt("5:3.3.4-7")
def test_too_many_unreleased():
    context = MqttHub()
    client = context.client("c")
    found = [client.publish("a", qos=2, id=id)[0] for id in range(1, 102)]
    assert found[-1].code == 0x93
    assert client.closed


@pytest.mark.parametrize("version", [V31, V311])
def test_a_client_without_receive_maximum_may_leave_more_unreleased(version):
    """MQTT.js and gmqtt send whatever they have at once."""
    context = MqttHub()
    client = context.client("c", version)
    for id in range(1, 1_001):
        assert client.publish("a", qos=2, id=id) == [Ack(kind=PUBREC, id=id)]
    assert client.publish("a", qos=2, id=1_001) == []
    assert client.closed


@pytest.mark.mqtt("5:2.2.1-4", "5:4.9.0-2")
def test_one_that_never_acknowledges_fills_its_line_and_no_more():
    context = MqttHub(queue=100_000)
    client, writer = context.client("c"), context.client("w")
    client.subscribe(subscription("a", 1))
    for n in range(3_000):
        writer.publish("a", b"%05d" % n + b"x" * 95, qos=1, id=1)
    got = client.output()
    assert len(got) == 100
    assert len({one.id for one in got}) == 100
    assert context.world.hub.turn.counters.dropped > 2_000
    assert context.world.hub.clients.queued_bytes <= 100_000 + 100 * (101 + limits.QUEUED_MESSAGE_BYTES)
    client.end.vanish()
    context.world.turn()
    assert context.world.hub.clients.queued_bytes == 0


@pytest.mark.mqtt("5:4.3.3-10")
def test_a_hundred_thousand_of_one_identifier():
    context = MqttHub()
    ear, client = context.client("ear"), context.client("c")
    ear.subscribe("a")
    data = packets.Publish(topic="a", payload=b"x", qos=2, id=1).encode(V5)
    for _ in range(100):
        client.raw(data * 1_000)
    assert len(ear.output()) == 1


@pytest.mark.mqtt("5:3.1.4-3", "5:4.4.0-1", "5:3.1.3-9")
def test_a_storm_of_takeovers():
    context = MqttHub()
    ear, writer = context.client("ear"), context.client("w")
    ear.subscribe("will")
    will = packets.Will(topic="will", payload=b"gone", properties={"will_delay_interval": 60})
    client = context.client("c", will=will, **kept(V5))
    client.subscribe(subscription("a", 1))
    seen = []
    for n in range(200):
        writer.publish("a", b"%d" % n, qos=1, id=1)
        new = context.client("c", will=will, **kept(V5))
        got = [one for one in client.output() if isinstance(one, Publish)]
        assert client.closed
        for one in new.first:
            assert one.dup == (one.payload in [old.payload for old in got])
            new.ack(PUBACK, one.id)
            seen.append(one.payload)
        client = new
    assert seen == [b"%d" % n for n in range(200)]
    assert ear.output() == []
    assert len(context.world.hub.clients) == 3
