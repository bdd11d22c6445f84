"""plugins/mqtt: sessions that outlive their link, and what is owed to their clients."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt import Mqtt
from hubbub_plugins.mqtt.packets import V31, Ack, Publish
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, Client, MqttHub, kept, messages, subscription

VERSIONS = (V31, V311, V5)


@pytest.fixture(params=["tcp", "websocket"])
def context(request):
    return MqttHub(request.param)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.mqtt("5:3.1.2-5", "5:3.1.2-23", "3.1.1:3.1.2-4", "3.1.1:3.1.2-5")
def test_a_session_outlives_its_link(context, version):
    client, writer = context.client("c", version, **kept(version)), context.client("w")
    assert not client.connack.present
    client.subscribe(subscription("a", 2), subscription("zero", 0))
    client.end.vanish()
    context.world.turn()
    for n in range(3):
        writer.publish("a", b"%d" % n, qos=1, id=1)
        writer.publish("zero", b"%d" % n)
    again = context.client("c", version, **kept(version))
    assert again.connack.present == (version != V31)
    assert messages(again.first) == [("a", b"0", 1), ("a", b"1", 1), ("a", b"2", 1)]
    writer.publish("zero")
    assert messages(again.output()) == [("zero", b"x", 0)]
    fresh = context.client("c", version, clean=True)
    assert not fresh.connack.present
    assert fresh.first == []
    writer.publish("a", qos=1, id=1)
    assert fresh.output() == []
    assert again.closed


@pytest.mark.mqtt("5:4.1.0-2")
def test_a_session_ends():
    context = MqttHub()
    context.client("c", **kept(V5)).end.vanish()
    context.world.advance(99)
    assert context.client("c", **kept(V5)).connack.present
    context.client("c", **kept(V5)).goodbye(session_expiry_interval=5)
    context.world.advance(6)
    assert not context.client("c", **kept(V5)).connack.present
    context.client("c", **kept(V5)).goodbye(session_expiry_interval=0)
    assert not context.client("c", **kept(V5)).connack.present
    assert len(context.world.hub.clients) == 1


@pytest.mark.mqtt("5:3.1.4-3")
def test_takeover(context):
    old = context.client("c", **kept(V5))
    old.subscribe(subscription("a", 1))
    context.client("w").publish("a", qos=1, id=1)
    (first,) = old.output()
    new = context.client("c", **kept(V5))
    assert new.connack.present
    assert [(one.id, one.dup) for one in new.first] == [(first.id, True)]
    assert [one.code for one in old.output()] == [0x8E]
    assert old.closed
    new.ack(PUBACK, first.id)
    assert not context.client("c", **kept(V5)).first


@pytest.mark.mqtt("5:4.4.0-1", "5:4.3.3-6")
def test_what_flies_is_sent_again_in_order_and_exactly_once(context):
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(subscription("a", 2))
    for n in range(4):
        writer.publish("a", b"%d" % n, qos=2, id=n + 1)
    ids = [one.id for one in client.output()]
    client.ack(PUBREC, ids[1])
    client.end.vanish()
    context.world.turn()
    again = context.client("c", **kept(V5)).first
    assert [type(one) for one in again] == [Publish, Ack, Publish, Publish]
    assert [one.id for one in again] == ids
    assert all(one.dup for one in again if isinstance(one, Publish))


@pytest.mark.mqtt("5:4.3.3-10", "5:4.3.3-12")
def test_a_letter_that_comes_twice_is_published_once(context):
    ear, writer = context.client("ear"), context.client("w", **kept(V5))
    ear.subscribe("a")
    writer.publish("a", qos=2, id=5)
    writer.publish("a", qos=2, id=5, dup=True)
    writer.end.vanish()
    context.world.turn()
    writer = context.client("w", **kept(V5))
    writer.publish("a", qos=2, id=5, dup=True)
    assert writer.ack(PUBREL, 5) == [Ack(kind=PUBCOMP, id=5)]
    assert writer.ack(PUBREL, 5) == [Ack(kind=PUBCOMP, id=5, code=0x92)]
    assert len(ear.output()) == 1
    writer.publish("a", qos=2, id=5)
    assert len(ear.output()) == 1


@pytest.mark.mqtt("5:3.3.4-9")
def test_receive_maximum_of_the_client(context):
    client, writer = context.client("c", properties={"receive_maximum": 2}), context.client("w")
    client.subscribe(subscription("a", 1))
    for n in range(5):
        writer.publish("a", b"%d" % n, qos=1, id=1)
    got = client.output()
    assert len(got) == 2
    assert messages(client.ack(PUBACK, got[0].id)) == [("a", b"2", 1)]
    assert messages(client.ack(PUBACK, got[1].id)) == [("a", b"3", 1)]


@pytest.mark.mqtt("5:3.3.2-5", "5:3.3.2-6")
def test_message_expiry():
    context = MqttHub()
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(subscription("a", 1))
    client.end.vanish()
    context.world.turn()
    writer.publish("a", b"short", qos=1, id=1, properties={"message_expiry_interval": 5})
    writer.publish("a", b"long", qos=1, id=1, properties={"message_expiry_interval": 50})
    context.world.advance(10)
    (got,) = context.client("c", **kept(V5)).first
    assert got.payload == b"long"
    assert got.properties["message_expiry_interval"] == 40
    writer.publish("r", b"1", retain=True, properties={"message_expiry_interval": 5})
    context.world.advance(6)
    assert len(context.client("d").subscribe("r")) == 1


def test_a_link_that_fails_as_it_comes_back_leaves_each_subscription_once(monkeypatch):
    context = MqttHub()
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(subscription("a", 1), subscription("b", 1))
    client.end.vanish()
    context.world.turn()
    form = Mqtt.form

    def fails(self, subscription):
        return form(self, subscription) if subscription.filter != "b" else 1 // 0

    with monkeypatch.context() as broken:
        broken.setattr(Mqtt, "form", fails)
        Client(context.listener).connect("c", **kept(V5))
    for topic in "ab":
        writer.publish(topic, qos=1, id=1)
    assert messages(context.client("c", **kept(V5)).first) == [("a", b"x", 1), ("b", b"x", 1)]
    assert context.world.hub.subscriptions.count == 2
