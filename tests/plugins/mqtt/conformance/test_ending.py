"""MQTT 5.0 sections 3.12 to 3.14 and 4.13, 3.1.1 sections 3.12, 3.14 and 4.8: PINGREQ, DISCONNECT, errors."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt.packets import Disconnect, Pingresp, packet
from mqtt_client import V5, V311, Client, MqttHub, case, kept, messages, subscription

BOTH = pytest.mark.parametrize("version", [V311, V5])
PINGRESP = 13


@pytest.fixture
def context():
    return MqttHub()


@BOTH
@pytest.mark.mqtt("5:3.12.4-1", "3.1.1:3.12.4-1")
def test_ping(context, version):
    client = context.client("c", version)
    assert client.ping() == [Pingresp()]
    assert client.raw(b"\xc0\0" * 5) == [Pingresp()] * 5


@BOTH
@pytest.mark.parametrize(
    "data",
    [
        case("PINGREQ with a body", b"\xc0\x01x", shows="5:4.13.1-1"),
        case("CONNACK", b"\x20\x02\0\0", shows="5:4.13.1-1"),
        case("CONNACK of version 5", b"\x20\x03\0\0\0", shows="5:4.13.1-1"),
        case("SUBACK", b"\x90\x04\0\1\0\0", shows="5:4.13.1-1"),
        case("UNSUBACK", b"\xb0\x04\0\1\0\0", shows="5:4.13.1-1"),
        case("PINGRESP", b"\xd0\0", shows="5:4.13.1-1"),
        case("the kind 0", b"\x00\0", shows="5:4.13.1-1"),
        case("AUTH", b"\xf0\0", shows="5:4.12.0-7"),
        case("AUTH with a code", b"\xf0\x02\x19\0", shows="5:4.12.0-7"),
        case("PUBLISH that ends early", b"\x30\x02\0\5", shows="5:4.13.1-1"),
        case("PUBACK that ends early", b"\x40\x01\0", shows="5:4.13.1-1"),
    ],
)
@pytest.mark.mqtt("5:4.13.2-1", "3.1.1:4.8.0-1", "5:3.14.2-1", "5:3.14.2-2", "5:3.14.4-1", "5:3.14.4-2")
def test_what_is_against_the_protocol_ends_the_link(context, version, data):
    ear = context.client("ear")
    ear.subscribe("#")
    client = context.client("c", version)
    found = client.raw(data + b"\x30\x04\0\1a\0" + b"\xc0\0")
    assert client.closed
    assert [one.code in (0x81, 0x82) for one in found] == ([True] if version == V5 else [])
    assert all(isinstance(one, Disconnect) and "session_expiry_interval" not in one.properties for one in found)
    assert ear.output() == []
    assert context.world.hub.turn.counters.failed == 0


@pytest.mark.mqtt("5:3.14.2-1", "5:4.13.1-1")
@pytest.mark.parametrize("code", [0x01, 0x10, 0x19, 0x84, 0x91, 0xFF])
def test_codes_that_disconnect_has_not(context, code):
    client = context.client("c")
    (gone,) = client.raw(packet(0xE0, bytes((code,))))
    assert gone.code == 0x82
    assert client.closed


@BOTH
@pytest.mark.mqtt("5:3.14.4-2", "5:3.14.4-1")
def test_nothing_is_read_or_sent_behind_disconnect(context, version):
    ear, client = context.client("ear"), context.client("c", version)
    ear.subscribe("#")
    assert client.raw(b"\xe0\0" + b"\x30\x04\0\1a\0" + b"\xc0\0") == []
    assert client.closed
    assert ear.output() == []


@pytest.mark.mqtt("5:3.14.2-1", "5:4.13.1-1")
def test_a_session_that_was_not_to_be_kept_can_not_be_later(context):
    client = context.client("c")
    (gone,) = client.goodbye(session_expiry_interval=5)
    assert gone.code == 0x82


@pytest.mark.mqtt("5:4.13.2-1", "5:3.14.4-2")
def test_an_error_of_one_link_leaves_the_others(context):
    client, other = context.client("c", **kept(V5)), context.client("other")
    client.subscribe(subscription("a", 1))
    client.raw(b"\x00\0")
    assert client.closed
    other.publish("a", qos=1, id=1)
    assert not other.closed
    assert messages(context.client("c", **kept(V5)).first) == [("a", b"x", 1)]


@pytest.mark.mqtt("5:3.2.2-15", "5:4.13.1-1", "3.1.1:4.8.0-2")
@BOTH
def test_a_packet_that_is_longer_than_the_server_takes(version):
    context = MqttHub(max_message=1_000)
    client = context.client("c", version)
    most = client.connack.properties.get("maximum_packet_size", 1_000_000)
    found = client.raw(b"\x30" + b"\xff\xff\xff\x7f")
    assert client.closed
    assert [one.code for one in found] == ([0x95] if version == V5 else [])
    other = context.client("other", version)
    found = other.publish("a", b"x" * most)
    assert other.closed


@pytest.mark.parametrize("first", [b"", b"\x10", b"\x10\x0d\0\4MQ", b"\x10\xff\xff\xff"])
@pytest.mark.mqtt("5:3.14.0-1", "5:3.2.0-1", "3.1.1:3.2.0-1")
def test_a_client_that_never_comes_to_connect(context, first):
    client = Client(context.listener)
    client.raw(first)
    context.world.advance(11)
    assert client.closed
    assert client.output() == []
