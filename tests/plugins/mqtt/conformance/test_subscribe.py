"""MQTT 5.0 sections 3.8 to 3.11, 3.1.1 likewise: SUBSCRIBE, UNSUBSCRIBE and their answers."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt.packets import Suback, Unsuback, Unsubscribe, packet
from mqtt_client import PUBACK, PUBREC, PUBREL, V5, V311, MqttHub, case, messages, subscription

DEEP = "/".join("a" * 200)  # more levels than are accepted

BOTH = pytest.mark.parametrize("version", [V311, V5])
SUBACK, UNSUBACK = 9, 11


@pytest.fixture
def context():
    return MqttHub()


def leave(client, *filters, id=1):
    return client.send(Unsubscribe(id=id, filters=filters))


@BOTH
@pytest.mark.parametrize(
    ("first", "tail", "code"),
    [
        case("SUBSCRIBE", 0x82, b"", 0x82, shows="5:3.8.3-2 3.1.1:3.8.3-3"),
        case("UNSUBSCRIBE", 0xA2, b"", 0x82, shows="5:3.10.3-2 3.1.1:3.10.3-2"),
        case("QoS 3", 0x82, b"\0\1a\3", 0x81, shows="5:3.8.3-5 3.1.1:3.8.3-4"),
        case("reserved bits", 0x82, b"\0\1a\xc0", 0x81, shows="5:3.8.3-5 3.1.1:3.8.3-4"),
        case("a reserved bit", 0x82, b"\0\1a\x40", 0x81, shows="5:3.8.3-5 3.1.1:3.8.3-4"),
        case("a filter without options", 0x82, b"\0\1a", 0x81, shows="5:3.8.3-2 3.1.1:3.8.3-3"),
        case("half a filter", 0xA2, b"\0\2a", 0x81, shows="5:3.10.3-1 3.1.1:3.10.3-1"),
    ],
)
@pytest.mark.mqtt("5:4.13.1-1", "3.1.1:4.8.0-1")
def test_malformed(context, version, first, tail, code):
    client = context.client("c", version)
    found = client.raw(packet(first, b"\0\1" + b"\0" * (version == V5) + tail))
    assert client.closed
    assert [one.code for one in found] == ([code] if version == V5 else [])


@pytest.mark.parametrize("bits", [0x04, 0x08, 0x10, 0x20, 0x30, 0x80])
@pytest.mark.mqtt("3.1.1:3.8.3-4")
def test_options_that_version_311_has_not(context, bits):
    client = context.client("c", V311)
    assert client.raw(packet(0x82, b"\0\1\0\1a" + bytes((bits,)))) == []
    assert client.closed


@pytest.mark.mqtt("5:4.13.1-1")
@pytest.mark.parametrize("tail", [b"\0\0\1a\x30", b"\2\x0b\0\0\1a\0", b"\4\x0b\1\x0b\2\0\1a\0"])
def test_protocol_errors_of_version_5(context, tail):
    client = context.client("c")
    (gone,) = client.raw(packet(0x82, b"\0\1" + tail))
    assert gone.code == 0x82
    assert client.closed


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.mqtt("5:3.8.3-3", "5:3.8.3-4")
def test_no_local(context, share):
    client, other = context.client("c"), context.client("other")
    if share:
        (gone,) = client.subscribe(subscription("$share/g/a", no_local=True))
        assert gone.code == 0x82
        assert client.closed
        return
    client.subscribe(subscription("a", 2, no_local=True), subscription("b", 2))
    other.subscribe("a")
    for qos in (0, 1, 2):
        client.publish("a", qos=qos, id=qos)
    assert client.output() == []
    assert len(other.output()) == 3
    other.publish("a")
    assert messages(client.output()) == [("a", b"x", 0)]
    assert messages(client.publish("b")) == [("b", b"x", 0)]


@BOTH
@pytest.mark.mqtt(
    "5:3.8.4-1", "5:3.8.4-2", "5:3.8.4-5", "5:3.8.4-6", "5:3.8.4-7", "5:3.9.3-1", "5:3.9.3-2", "3.1.1:3.8.4-1",
    "3.1.1:3.8.4-2", "3.1.1:3.8.4-4", "3.1.1:3.8.4-5", "3.1.1:3.9.3-1", "3.1.1:3.9.3-2", "5:2.2.1-6", "3.1.1:2.3.1-7",
)  # fmt: skip
def test_one_suback_with_a_code_for_each_filter(context, version):
    client = context.client("c", version)
    bad = 0x8F if version == V5 else 0x80
    filters = [
        subscription("a", 2),
        subscription(DEEP, 1),
        subscription("b", 1),
        subscription(f"{DEEP}/+", 0),
        subscription("c", 0),
        subscription(f"{DEEP}/#", 1),
    ]
    (reported,) = client.subscribe(*filters, id=0xABCD)
    assert (type(reported), reported.id, reported.codes) == (Suback, 0xABCD, [2, bad, 1, bad, 0, bad])
    for topic in ("a", "b", "c"):
        assert len(client.publish(topic)) == 1


@BOTH
@pytest.mark.mqtt("5:3.8.4-3", "5:3.8.4-4", "3.1.1:3.8.4-3")
def test_the_same_filter_again_replaces_the_subscription(context, version):
    client, writer = context.client("c", version), context.client("w", version)
    writer.publish("a", b"kept", qos=2, id=1, retain=True)
    for qos in (0, 2, 1):
        answer, retained = client.subscribe(subscription("a", qos))
        assert answer.codes == [qos]
        assert (retained.retain, retained.qos) == (True, qos)
        writer.publish("a", b"live", qos=2, id=2)
        writer.ack(PUBREL, 2)
        assert messages(client.output()) == [("a", b"live", qos)]


@BOTH
@pytest.mark.mqtt("5:3.8.4-4", "3.1.1:3.8.4-3")
def test_none_is_lost_when_a_subscription_is_replaced(context, version):
    client, writer = context.client("c", version), context.client("w", version)
    client.subscribe(subscription("a", 1))
    output = []
    for n in range(300):
        writer.publish("a", b"%d" % n, qos=1, id=1)
        if n % 7 == 0:
            output += client.subscribe(subscription("a", 1))
    output += client.output()
    seen = []
    while output:
        published = [one for one in output if not isinstance(one, Suback)]
        seen += [one.payload for one in published]
        output = [more for one in published for more in client.ack(PUBACK, one.id)]
    assert seen == [b"%d" % n for n in range(300)]


@BOTH
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.mqtt("5:3.8.4-8", "3.1.1:3.8.4-6")
def test_the_lower_quality_counts(context, version, granted, published):
    client = context.client("c", version)
    client.subscribe(subscription("a", granted))
    context.client("w", version).publish("a", qos=published, id=bool(published))
    assert [one.qos for one in client.output()] == [min(granted, published)]


@BOTH
@pytest.mark.mqtt("5:3.3.4-2", "3.1.1:3.3.5-1")
def test_overlapping_filters(context, version):
    client = context.client("c", version)
    client.subscribe(subscription("a/b", 0), subscription("a/#", 2), subscription("+/b", 1))
    writer = context.client("w", version)
    for qos in (0, 1, 2):
        writer.publish("a/b", qos=qos, id=bool(qos))
        assert max(one.qos for one in client.output()) == qos
        writer.ack(PUBREL, 1)


@pytest.mark.mqtt("5:3.3.4-3", "5:3.3.4-4", "5:3.3.4-5")
def test_identifiers_of_overlapping_filters(context):
    client = context.client("c")
    client.subscribe(subscription("a/b", 0), subscription_identifier=1)
    client.subscribe(subscription("a/#", 2), subscription_identifier=268_435_455)
    client.subscribe(subscription("+/b", 1))
    context.client("w").publish("a/b", qos=1, id=1)
    (got,) = client.output()
    assert sorted(got.properties["subscription_identifier"]) == [1, 268_435_455]
    client.subscribe(subscription("a/b", 0))
    client.publish("a/b")
    (got,) = client.output() or context.client("w").publish("a/b") or client.output()
    assert got.properties["subscription_identifier"] == [268_435_455]


@BOTH
@pytest.mark.mqtt(
    "5:3.10.4-1", "5:3.10.4-2", "5:3.10.4-4", "5:3.10.4-5", "5:3.10.4-6", "5:3.11.3-1", "5:3.11.3-2",
    "3.1.1:3.10.4-1", "3.1.1:3.10.4-2", "3.1.1:3.10.4-4", "3.1.1:3.10.4-5", "3.1.1:3.10.4-6",
)  # fmt: skip
def test_unsubscribe(context, version):
    client, writer = context.client("c", version), context.client("w", version)
    client.subscribe("a/#", "a/b", "c", "C")
    codes = [0x11, 0, 0x11, 0] if version == V5 else []
    assert leave(client, "a/+", "a/#", "unknown", "c", id=77) == [Unsuback(id=77, codes=codes)]
    for topic in ("a/x", "a/b", "c", "C"):
        writer.publish(topic)
    assert [one.topic for one in client.output()] == ["a/b", "C"]
    assert leave(client, "nothing", id=78)[0].id == 78


@BOTH
@pytest.mark.mqtt("5:3.10.4-3", "3.1.1:3.10.4-3")
def test_what_was_begun_is_delivered_to_its_end(context, version):
    client, writer = context.client("c", version), context.client("w", version)
    client.subscribe(subscription("a", 2))
    writer.publish("a", b"1", qos=1, id=1)
    writer.publish("a", b"2", qos=2, id=2)
    one, two = client.output()
    leave(client, "a")
    assert client.ack(PUBACK, one.id) == []
    assert [more.kind for more in client.ack(PUBREC, two.id)] == [PUBREL]
    client.end.vanish()
    context.world.turn()
    assert context.client("c", version).first == []
