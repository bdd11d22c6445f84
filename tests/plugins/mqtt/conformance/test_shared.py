"""MQTT 5.0 section 4.8.2: shared subscriptions."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt.packets import Ack, Disconnect, Publish, Subscribe, Unsubscribe
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, MqttHub, kept, messages, subscription

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def context():
    return MqttHub()


@BOTH
@pytest.mark.parametrize("filter", ["$share/", "$share/g", "$share//a", "$share/g/", "$share/+/a"])
@pytest.mark.mqtt("5:4.8.2-1", "5:4.8.2-2")
def test_filters_that_share_nothing(context, version, filter):
    """They are malformed; in 3.1.1, which has no shares, such a filter alone is refused."""
    for said in (Subscribe(id=1, subscriptions=[subscription(filter)]), Unsubscribe(id=1, filters=[filter])):
        client = context.client("c", version)
        (reported,) = client.send(said)
        assert client.closed == (version == V5)
        if version == V5:
            assert (type(reported), reported.code) == (Disconnect, 0x81)
        else:
            assert reported.codes == ([0x80] if isinstance(said, Subscribe) else [])


@BOTH
@pytest.mark.parametrize("filter", ["$share/g/a/b", "$share/g/#", "$share/a name/+/b", "$share/$share/a/b"])
@pytest.mark.mqtt("5:4.8.2-1", "5:4.8.2-2")
def test_filters_that_share(context, version, filter):
    ears = [context.client(f"c{n}", version) for n in range(3)]
    for one in ears:
        assert one.subscribe(filter)[0].codes == [0]
    writer = context.client("w")
    for n in range(9):
        writer.publish("a/b", b"%d" % n)
    output = [[int(one.payload) for one in ear.output()] for ear in ears]
    assert sorted(number for several in output for number in several) == list(range(9))
    assert all(output)


@BOTH
@pytest.mark.mqtt("5:4.8.2-3")
def test_each_client_of_a_share_has_its_granted_quality(context, version):
    ears = [context.client(f"c{qos}", version) for qos in range(3)]
    for qos, one in enumerate(ears):
        one.subscribe(subscription("$share/g/a", qos))
    writer = context.client("w")
    seen = [set(), set(), set()]
    for n in range(12):
        writer.publish("a", qos=2, id=n + 1)
        for qos, ear in enumerate(ears):
            for one in ear.output():
                seen[qos].add(one.qos)
                ear.ack(PUBACK if one.qos == 1 else PUBREC, one.id)
                ear.ack(PUBCOMP, one.id)
        writer.ack(PUBREL, n + 1)
    assert seen == [{0}, {1}, {2}]


def pair(context):
    """Two clients of one share, both with sessions; returns them as who has the message, and who hasn't."""
    ears = [context.client(name, **kept(V5)) for name in "ab"]
    for one in ears:
        one.subscribe(subscription("$share/g/a", 2))
    context.client("w").publish("a", b"1", qos=2, id=1)
    output = [one.output() for one in ears]
    assert sorted(map(len, output)) == [0, 1]
    at = 0 if output[0] else 1
    return "ab"[at], ears[at], ears[1 - at], output[at][0]


@pytest.mark.mqtt("5:4.8.2-4")
def test_what_was_begun_is_finished_with_the_same_client(context):
    name, one, other, got = pair(context)
    one.end.vanish()
    context.world.turn()
    assert other.output() == []
    again = context.client(name, **kept(V5))
    assert [(first.id, first.dup) for first in again.first] == [(got.id, True)]
    assert again.ack(PUBREC, got.id) == [Ack(kind=PUBREL, id=got.id)]
    assert other.output() == []


@pytest.mark.mqtt("5:4.8.2-5")
def test_what_was_begun_goes_to_no_other_when_the_session_ends(context):
    _, one, other, _ = pair(context)
    one.goodbye(session_expiry_interval=0)
    context.world.advance(200)
    assert [found for found in other.output() if isinstance(found, Publish)] == []


@pytest.mark.parametrize("code", [0x80, 0x97])
@pytest.mark.mqtt("5:4.8.2-6", "5:4.4.0-2")
def test_what_was_refused_goes_to_no_other(context, code):
    name, one, other, got = pair(context)
    assert one.ack(PUBREC, got.id, code) == []
    one.end.vanish()
    context.world.turn()
    assert other.output() == []
    assert context.client(name, **kept(V5)).first == []


@BOTH
@pytest.mark.mqtt("5:4.8.2-1")
def test_a_share_brings_no_retained_messages(context, version):
    context.client("w").publish("a", b"kept", retain=True)
    client = context.client("c", version)
    assert len(client.subscribe("$share/g/a")) == 1
    assert messages(client.subscribe("a")[1:]) == [("a", b"kept", 0)]
