"""plugins/mqtt against what holds for every dialect."""

from __future__ import annotations

from hubbub.testing import DialectContract
from hubbub_plugins.mqtt import Mqtt, packets
from hubbub_plugins.mqtt.packets import V5, V311


class Contract(DialectContract):
    dialect = Mqtt
    samples = [
        (packets.Publish(topic="a/b", payload=b"21.5").encode(V5), ["Publish a/b"]),
        (packets.Publish(topic="a/b", payload=b"x", qos=1, id=1, retain=True).encode(V5), ["QosPublish a/b"]),
        (packets.Publish(topic="a/b", payload=b"x", qos=2, id=2).encode(V5), ["QosPublish a/b"]),
        (packets.Ack(kind=6, id=2).encode(V5), ["Release"]),
        (packets.Ack(kind=4, id=2).encode(V5), ["Ack"]),
        (
            packets.Subscribe(id=3, subscriptions=[packets.Subscription(filter="a/#", qos=1)]).encode(V5),
            ["SubscriptionBatch"],
        ),
        (packets.Unsubscribe(id=4, filters=["a/#"]).encode(V5), ["SubscriptionBatch"]),
        (packets.Pingreq().encode(V5), ["Answer"]),
        (packets.Disconnect().encode(V5), ["Close"]),
    ]


class TestMqtt5(Contract):
    greeting = packets.Connect(client="c").encode(V5)


class TestMqtt311(Contract):
    greeting = packets.Connect(client="c", version=V311).encode(V311)
    samples = [
        (packets.Publish(topic="a/b", payload=b"21.5").encode(V311), ["Publish a/b"]),
        (packets.Publish(topic="a/b", payload=b"x", qos=1, id=1).encode(V311), ["QosPublish a/b"]),
        (
            packets.Subscribe(id=3, subscriptions=[packets.Subscription(filter="a/#", qos=1)]).encode(V311),
            ["SubscriptionBatch"],
        ),
        (packets.Disconnect().encode(V311), ["Close"]),
    ]


class TestConnect(DialectContract):
    dialect = Mqtt
    samples = [
        (
            packets.Connect(client="c", user="u", password=b"p", keep_alive=60).encode(V5),
            ["Connect"],
        ),
    ]
