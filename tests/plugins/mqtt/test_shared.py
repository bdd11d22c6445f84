"""plugins/mqtt: shared subscriptions, and what becomes of what a member was to have (MQTT 5.0 section 4.8.2)."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V31, Publish, Suback
from mqtt_client import PUBACK, PUBREC, V5, V311, MqttHub, kept, messages, subscription

VERSIONS = (V31, V311, V5)


@pytest.fixture(params=["tcp", "websocket"])
def context(request):
    return MqttHub(request.param)


def members(context, count, filter="$share/g/a", qos=2, version=V5, **more):
    found = [context.client(f"m{n}", version, **more) for n in range(count)]
    for one in found:
        assert one.subscribe(subscription(filter, qos))[0].codes == [qos]
    return found


def send(writer, *payloads, topic="a", qos=1):
    for payload in payloads:
        writer.publish(topic, payload, qos=qos, id=1 if qos else 0)
        if qos == 2:
            writer.ack(6, 1)


def payloads(found):
    return [payload for _, payload, _ in messages(found)]


def vanish(context, client):
    client.end.vanish()
    context.world.turn()


@pytest.mark.parametrize("version", VERSIONS)
def test_each_message_goes_to_one(context, version):
    assert context.client("v").connack.properties.get("shared_subscription_available", 1) == 1
    both, writer = members(context, 2, version=version), context.client("w")
    assert writer.publish("a", b"0", qos=1, id=1)[0].code == 0
    send(writer, b"1", qos=2)
    send(writer, b"2", b"3", qos=0)
    assert [messages(one.output()) for one in both] == [
        [("a", b"0", 1), ("a", b"2", 0)],
        [("a", b"1", 2), ("a", b"3", 0)],
    ]


@pytest.mark.mqtt("5:4.8.2-3")
def test_each_has_the_quality_and_the_identifiers_that_it_asked_for(context):
    first, second = context.client("1"), context.client("2", V311)
    first.subscribe(subscription("$share/g/a", 1), subscription_identifier=7)
    first.subscribe(subscription("a", 0), subscription_identifier=8)
    second.subscribe(subscription("$share/g/a", 0))
    send(context.client("w"), b"0", b"1", qos=2)
    assert sorted((one.payload, one.qos, one.properties["subscription_identifier"]) for one in first.output()) == [
        (b"0", 0, [8]), (b"0", 1, [7]), (b"1", 0, [8]),
    ]  # fmt: skip
    assert messages(second.output()) == [("a", b"1", 0)]


@pytest.mark.mqtt("5:3.8.3-4")
def test_no_local_ends_the_link(context):
    client = context.client()
    assert client.subscribe(subscription("$share/g/a", no_local=True))[0].code == 0x82
    assert client.closed


def test_no_retained_messages(context):
    context.client("w").publish("a", b"kept", retain=True)
    client = context.client()
    assert client.subscribe(subscription("$share/g/a", 1), subscription("$share/g/+", 0)) == [
        Suback(id=1, codes=[1, 0])
    ]


def test_a_client_that_is_away_gets_nothing_while_others_are_there(context):
    away, there = members(context, 2, **kept(V5))
    vanish(context, away)
    writer = context.client("w")
    send(writer, b"0", b"1", b"2")
    assert payloads(there.output()) == [b"0", b"1", b"2"]
    vanish(context, there)
    send(writer, b"3", b"4", b"5", b"6")
    (one, two) = (context.client(name, **kept(V5)).first for name in ("m0", "m1"))
    assert [payload for payload in payloads(one) if payload > b"2"] == [b"3", b"5"]
    assert payloads(two) == [b"0", b"1", b"2", b"4", b"6"]


def test_what_waits_goes_to_others_when_a_member_goes(context):
    slow = context.client("slow", clean=False, properties={"receive_maximum": 1, "session_expiry_interval": 100})
    slow.subscribe(subscription("$share/g/a", 1), subscription("b", 1))
    writer = context.client("w")
    send(writer, b"0", b"1", b"2")
    send(writer, b"b0", topic="b")
    assert payloads(slow.output()) == [b"0"]
    (other,) = members(context, 1, qos=1)
    vanish(context, slow)
    assert payloads(other.output()) == [b"1", b"2"]
    assert payloads(context.client("slow", **kept(V5)).first) == [b"0", b"b0"]


@pytest.mark.parametrize("keeps", [False, True])
def test_what_was_sent_at_quality_1_goes_to_another_when_the_session_ends(context, keeps):
    gone = context.client("gone", **(kept(V5) if keeps else {}))
    gone.subscribe(subscription("$share/g/a", 2))
    writer = context.client("w")
    send(writer, b"1")
    (other,) = members(context, 1)
    vanish(context, gone)
    assert payloads(other.output()) == ([] if keeps else [b"1"])
    context.world.advance(101)
    (got,) = other.output() if keeps else [None]
    assert got is None or (got.payload, got.qos, got.dup) == (b"1", 1, False)
    assert context.world.hub.clients.queued_bytes > 0
    other.ack(PUBACK, 1)
    assert context.world.hub.clients.queued_bytes == 0


@pytest.mark.parametrize("far", ["sent", "received"])
@pytest.mark.mqtt("5:4.8.2-4", "5:4.8.2-5")
def test_what_was_sent_at_qos_2_goes_to_no_other(context, far):
    (first,) = members(context, 1, **kept(V5))
    send(context.client("w"), b"1", qos=2)
    (sent,) = first.output()
    if far == "received":
        first.ack(PUBREC, sent.id)
    other = context.client("other", **kept(V5))
    other.subscribe(subscription("$share/g/a", 2))
    vanish(context, first)
    (again,) = context.client("m0", **kept(V5)).first
    assert again.id == sent.id
    assert isinstance(again, Publish) is (far == "sent")
    context.client("m0", clean=True)
    assert other.output() == []
    assert context.world.hub.clients.queued_bytes == 0


@pytest.mark.mqtt("5:4.8.2-6")
def test_what_a_member_refuses_goes_to_no_other(context):
    first, other = members(context, 2)
    send(context.client("w"), b"1")
    (got,) = first.output()
    first.ack(PUBACK, got.id, 0x80)
    vanish(context, first)
    assert other.output() == []


def test_messages_of_a_group_without_members_are_deleted(context):
    (only,) = members(context, 1)
    send(context.client("w"), b"1", b"2")
    vanish(context, only)
    assert context.world.hub.clients.queued_bytes == 0
    assert len(context.world.hub.shared) == 0


def test_a_member_with_a_full_flight_comes_after_one_that_has_room(context):
    narrow = context.client("n", properties={"receive_maximum": 1})
    narrow.subscribe(subscription("$share/g/a", 1))
    (wide,) = members(context, 1)
    send(context.client("w"), b"0", b"1", b"2", b"3")
    assert payloads(narrow.output()) == [b"0"]
    assert payloads(wide.output()) == [b"1", b"2", b"3"]


def test_unsubscribing_leaves_the_group(context):
    first, other = members(context, 2)
    writer = context.client("w")
    assert first.send(packets.Unsubscribe(id=2, filters=["a"]))[0].codes == [0x11]
    assert first.send(packets.Unsubscribe(id=3, filters=["$share/g/a"]))[0].codes == [0]
    send(writer, b"0", b"1")
    assert first.output() == []
    assert payloads(other.output()) == [b"0", b"1"]


def test_a_message_that_goes_on_has_what_is_left_of_its_time(context):
    (first,) = members(context, 1, qos=1)
    context.client("w").publish("a", b"1", qos=1, id=1, properties={"message_expiry_interval": 50})
    other = context.client("other")
    other.subscribe(subscription("$share/g/a", 1))
    context.world.advance(20)
    vanish(context, first)
    assert [one.properties["message_expiry_interval"] for one in other.output()] == [30]


def test_what_waits_stays_with_its_member_while_all_are_away(context):
    away, narrow = (
        context.client(name, clean=False, properties={"receive_maximum": 1, "session_expiry_interval": 100})
        for name in ("away", "narrow")
    )
    for one in (away, narrow):
        one.subscribe(subscription("$share/g/a", 1))
    vanish(context, away)
    send(context.client("w"), b"0", b"1", b"2")
    vanish(context, narrow)
    assert context.client("away", **kept(V5)).first == []
    assert payloads(context.client("narrow", **kept(V5)).first) == [b"0", b"1", b"2"]
