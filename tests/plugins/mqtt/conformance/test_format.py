"""MQTT 5.0 sections 1.5 and 2, 3.1.1 likewise: strings, lengths, flags, packet identifiers."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import Disconnect, Publish, packet
from hubbub_plugins.mqtt.wire import text
from mqtt_client import PUBREL, V5, V311, Client, MqttHub, case, messages, subscription

BOTH = pytest.mark.parametrize("version", [V311, V5])
NO_TEXT = [b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xff", b"\xc0\xaf", b"a\0b", b"\xc3"]
"""Surrogates, a byte that UTF-8 has not, one that is longer than it need be, U+0000, half a character."""


def field(data):
    return len(data).to_bytes(2, "big") + data


def properties(version, data=b""):
    return bytes((len(data),)) + data if version == V5 else b""


def connect(version, name, user=b"u", topic=b"w"):
    """A CONNECT with identifier, will and user name as they are given."""
    none = properties(version)
    head = text("MQTT") + bytes((version, 0x86)) + b"\0\0" + none
    return packet(0x10, head + field(name) + none + field(topic) + field(b"") + field(user))


@BOTH
@pytest.mark.parametrize("bad", NO_TEXT)
@pytest.mark.parametrize(
    "make",
    [
        case("identifier", lambda v, bad: connect(v, bad), shows="5:3.1.3-4 3.1.1:3.1.3-4"),
        case("user", lambda v, bad: connect(v, b"c", bad), shows="5:3.1.3-12 3.1.1:3.1.3-11"),
        case("will", lambda v, bad: connect(v, b"c", b"u", bad), shows="5:3.1.3-11 3.1.1:3.1.3-10"),
    ],
)
@pytest.mark.mqtt("5:1.5.4-1", "5:1.5.4-2", "3.1.1:1.5.3-1", "3.1.1:1.5.3-2", "5:3.1.4-1", "3.1.1:3.1.4-1")
def test_what_is_no_text_in_connect(version, bad, make):
    client = Client(MqttHub().listener, version)
    answers = client.raw(make(version, bad))
    assert client.closed
    assert version == V5 or answers == []


@BOTH
@pytest.mark.parametrize("bad", NO_TEXT)
@pytest.mark.parametrize(
    "make",
    [
        case(
            "topic",
            lambda v, bad: packet(0x30, field(bad) + properties(v)),
            shows="5:3.3.2-1 3.1.1:3.3.2-1 5:4.7.3-2 3.1.1:4.7.3-2",
        ),
        case(
            "filter",
            lambda v, bad: packet(0x82, b"\0\1" + properties(v) + field(bad) + b"\0"),
            shows="5:3.8.3-1 3.1.1:3.8.3-1 5:4.7.3-2 3.1.1:4.7.3-2",
        ),
        case(
            "filter to leave",
            lambda v, bad: packet(0xA2, b"\0\1" + properties(v) + field(bad)),
            shows="5:3.10.3-1 3.1.1:3.10.3-1",
        ),
    ],
)
@pytest.mark.mqtt("5:1.5.4-1", "5:1.5.4-2", "3.1.1:1.5.3-1", "3.1.1:1.5.3-2")
def test_what_is_no_text_as_a_topic(version, bad, make):
    client = MqttHub().client("c", version)
    found = client.raw(make(version, bad))
    assert client.closed
    assert [one.code for one in found] == ([0x81] if version == V5 else [])


@pytest.mark.parametrize("bad", NO_TEXT)
@pytest.mark.parametrize(
    "code",
    [
        case("content type", b"\x03", shows="5:3.3.2-19"),
        case("response topic", b"\x08", shows="5:3.3.2-13"),
        case("name", b"\x26\0\1k", shows="5:1.5.7-1"),
    ],
)
@pytest.mark.mqtt("5:1.5.4-1", "5:1.5.4-2")
def test_what_is_no_text_in_properties(bad, code):
    client = MqttHub().client("c")
    (gone,) = client.raw(packet(0x30, text("a") + properties(V5, code + field(bad)) + b"x"))
    assert gone.code == 0x81
    assert client.closed


@pytest.mark.parametrize("bad", NO_TEXT)
@pytest.mark.mqtt("5:1.5.7-1")
def test_what_is_no_text_as_the_name_of_a_pair(bad):
    client = MqttHub().client("c")
    (gone,) = client.raw(packet(0x30, text("a") + properties(V5, b"\x26" + field(bad) + field(b"v"))))
    assert gone.code == 0x81


@BOTH
@pytest.mark.mqtt("5:1.5.4-3", "3.1.1:1.5.3-3", "5:4.7.3-4", "3.1.1:4.7.3-4")
def test_no_character_is_dropped_or_replaced(version):
    context = MqttHub()
    ear, writer = context.client("ear", version), context.client("w", version)
    ear.subscribe("\ufeffa", "e\u0301", "B")
    for topic in ("\ufeffa", "a", "e\u0301", "\u00e9", "B", "b"):
        writer.publish(topic)
    assert [one[0] for one in messages(ear.output())] == ["\ufeffa", "e\u0301", "B"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x84\x00\0\1a\0",
        b"\x30\x84\x80\x80\x00\0\1a\0",
        b"\x30\x80\x80\x80\x80\x01",
        b"\xff\xff\xff\xff\xff\x7f",
        packet(0x30, b"\0\1a" + b"\x80\x00"),
        packet(0x30, b"\0\1a" + b"\x82\x00" + b"\x01\x00"),
        packet(0x82, b"\0\1" + b"\x03\x0b\x81\x00" + b"\0\1a\0"),
    ],
)
@pytest.mark.mqtt("5:1.5.5-1", "5:4.13.1-1")
def test_lengths_that_are_longer_than_they_need_be(data):
    client = MqttHub().client("c")
    (gone,) = client.raw(data)
    assert gone.code == 0x81
    assert client.closed


@pytest.mark.parametrize("size", [0, 100, 122, 123, 124, 16_378, 16_379, 16_380])
@pytest.mark.mqtt("5:1.5.5-1", "5:2.2.2-1")
def test_lengths_of_its_own_are_short(size):
    context = MqttHub()
    ear = context.client("ear")
    ear.subscribe("a")
    context.client("w").publish("a", b"x" * size)
    assert ear.end.received() == packet(0x30, b"\0\1a" + b"\0" + b"x" * size)


@BOTH
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        case("PUBACK", 4, b"\0\1", shows="5:2.1.3-1"),
        case("PUBREC", 5, b"\0\1", shows="5:2.1.3-1"),
        case("PUBREL", 6, b"\0\1", shows="5:3.6.1-1 3.1.1:3.6.1-1"),
        case("PUBCOMP", 7, b"\0\1", shows="5:2.1.3-1"),
        case("SUBSCRIBE", 8, None, shows="5:3.8.1-1 3.1.1:3.8.1-1"),
        case("UNSUBSCRIBE", 10, None, shows="5:3.10.1-1 3.1.1:3.10.1-1"),
        case("PINGREQ", 12, b"", shows="5:2.1.3-1"),
        case("DISCONNECT", 14, b"", shows="5:3.14.1-1 3.1.1:3.14.1-1"),
        case("AUTH", 15, b"", shows="5:3.15.1-1"),
    ],
)
@pytest.mark.mqtt("5:2.1.3-1", "3.1.1:2.2.2-1", "3.1.1:2.2.2-2", "5:4.13.1-1", "3.1.1:4.8.0-1")
def test_reserved_flags(version, kind, body):
    if body is None:
        body = b"\0\1" + properties(version) + b"\0\1a" + b"\0" * (kind == 8)
    right = 2 if kind in (6, 8, 10) else 0
    for flags in set(range(16)) - {right}:
        client = MqttHub().client("c", version)
        found = client.raw(packet(kind << 4 | flags, body))
        assert client.closed
        assert [one.code for one in found] == ([0x81] if version == V5 else [])


@BOTH
@pytest.mark.parametrize(
    "data",
    [
        lambda v: Publish(topic="a", qos=1, id=0).encode(v),
        lambda v: Publish(topic="a", qos=2, id=0).encode(v),
        lambda v: packets.Subscribe(id=0, subscriptions=[subscription("a")]).encode(v),
        lambda v: packets.Unsubscribe(id=0, filters=["a"]).encode(v),
    ],
)
@pytest.mark.mqtt("5:2.2.1-3", "3.1.1:2.3.1-1")
def test_a_packet_identifier_of_0(version, data):
    client = MqttHub().client("c", version)
    found = client.raw(data(version))
    assert client.closed
    assert all(isinstance(one, Disconnect) and one.code == 0x82 for one in found)


@BOTH
@pytest.mark.mqtt("5:2.2.1-2", "3.1.1:2.3.1-5", "5:4.3.1-1", "3.1.1:4.3.1-1", "5:3.3.1-2", "3.1.1:3.3.1-2")
def test_quality_0_has_neither_identifier_nor_dup(version):
    context = MqttHub()
    ear = context.client("ear", version)
    ear.subscribe(subscription("a", 2))
    context.client("w", version).publish("a", b"hello")
    assert ear.end.received() == packet(0x30, b"\0\1a" + properties(version) + b"hello")


@BOTH
@pytest.mark.mqtt("5:2.2.1-5", "3.1.1:2.3.1-6", "5:2.2.1-6", "3.1.1:2.3.1-7", "5:2.2.2-1")
def test_answers_have_the_identifier_of_the_question(version):
    client, none = MqttHub().client("c", version), properties(version)
    code = b"\x10" if version == V5 else b""
    client.end.send(Publish(topic="a", qos=1, id=0x1234).encode(version))
    assert client.end.say(b"") == packet(0x40, b"\x12\x34" + code)
    assert client.end.say(Publish(topic="a", qos=2, id=0xFFFF).encode(version)) == packet(0x50, b"\xff\xff" + code)
    assert client.end.say(packets.Ack(kind=PUBREL, id=0xFFFF).encode(version)) == packet(0x70, b"\xff\xff")
    subscribe, unsubscribe = (
        packets.Subscribe(id=7, subscriptions=[subscription("a", 1)]),
        packets.Unsubscribe(id=8, filters=["a"]),
    )
    assert client.end.say(subscribe.encode(version)) == packet(0x90, b"\0\7" + none + b"\1")
    assert client.end.say(unsubscribe.encode(version)) == packet(0xB0, b"\0\x08" + none + b"\0" * (version == V5))
