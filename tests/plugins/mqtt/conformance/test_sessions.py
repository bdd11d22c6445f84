"""MQTT 5.0 sections 4.1 to 4.6 and 4.9, 3.1.1 sections 4.1 to 4.6: sessions, delivery, order, flow."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt.packets import Ack, Pingresp, Publish
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, MqttHub, kept, messages, subscription

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def context():
    return MqttHub()


def vanish(client):
    client.end.vanish()
    client.end.world.turn()


def back(context, version, client="c"):
    return context.client(client, version, **kept(version))


@BOTH
@pytest.mark.mqtt(
    "5:3.1.2-23", "5:4.1.0-1", "5:4.5.0-1", "3.1.1:3.1.2-4", "3.1.1:3.1.2-5", "3.1.1:4.1.0-1", "3.1.1:4.5.0-1"
)
def test_a_kept_session_collects(context, version):
    client, writer = back(context, version), context.client("w", version)
    client.subscribe(subscription("a/#", 2), subscription("b", 1))
    vanish(client)
    for n in range(5):
        writer.publish(f"a/{n}", b"%d" % n, qos=1 + n % 2, id=n + 1)
    writer.publish("b", qos=1, id=9)
    writer.publish("other", qos=1, id=9)
    again = back(context, version)
    assert again.connack.present
    assert messages(again.first) == [*((f"a/{n}", b"%d" % n, 1 + n % 2) for n in range(5)), ("b", b"x", 1)]


@BOTH
@pytest.mark.mqtt("5:4.1.0-1", "3.1.1:4.1.0-2", "5:4.5.0-1", "3.1.1:4.5.0-1")
def test_a_session_lasts_as_long_as_its_link(context, version):
    client = context.client("c", version)
    client.subscribe(subscription("a", 1))
    context.world.advance(400)
    context.client("w", version).publish("a", qos=1, id=1)
    assert messages(client.output()) == [("a", b"x", 1)]


@BOTH
@pytest.mark.mqtt("3.1.1:3.1.2-6", "5:4.1.0-2")
def test_a_session_that_is_not_kept_ends_with_its_link(context, version):
    client = context.client("c", version)
    client.subscribe(subscription("a", 1))
    vanish(client)
    context.client("w").publish("a", qos=1, id=1)
    again = back(context, version)
    assert (again.connack.present, again.first) == (False, [])


@pytest.mark.mqtt("5:4.1.0-2", "5:3.1.2-23")
def test_a_session_ends_when_its_interval_is_over(context):
    vanish(back(context, V5))
    context.world.advance(99)
    assert back(context, V5).connack.present
    back(context, V5).goodbye(session_expiry_interval=10)
    context.world.advance(11)
    assert not back(context, V5).connack.present
    back(context, V5).goodbye(session_expiry_interval=0)
    assert not back(context, V5).connack.present


@BOTH
@pytest.mark.mqtt(
    "5:2.2.1-4", "5:4.3.2-1", "5:4.3.3-1", "5:4.3.2-2", "5:4.3.3-2", "5:4.3.2-3", "5:4.3.3-3",
    "3.1.1:2.3.1-4", "3.1.1:4.3.2-1", "3.1.1:4.3.3-1",
)  # fmt: skip
def test_identifiers_of_what_is_sent(context, version):
    client, writer = context.client("c", version), context.client("w", version)
    client.subscribe(subscription("a", 2))
    held, used = {}, set()
    for n in range(1_500):
        writer.publish("a", b"%d" % n, qos=1 + n % 2, id=1)
        writer.ack(PUBREL, 1)
        for one in client.output():
            assert not one.dup
            assert one.id not in held
            assert one.id
            held[one.id] = one
            used.add(one.id)
        while len(held) > 50:
            one = held.pop(next(iter(held)))
            if one.qos == 2:
                assert client.ack(PUBREC, one.id) == [Ack(kind=PUBREL, id=one.id)]
            client.ack(PUBACK if one.qos == 1 else PUBCOMP, one.id)
    assert len(used) > 100


@BOTH
@pytest.mark.parametrize("dup", [False, True])
@pytest.mark.mqtt("5:4.3.2-4", "5:4.3.2-5", "3.1.1:4.3.2-2")
def test_receiving_at_quality_1(context, version, dup):
    ear, writer = context.client("ear"), context.client("w", version)
    ear.subscribe("a")
    for _ in range(3):
        assert writer.publish("a", qos=1, id=5, dup=dup) == [Ack(kind=PUBACK, id=5)]
    assert len(ear.output()) == 3


@BOTH
@pytest.mark.mqtt("5:4.3.3-8", "5:4.3.3-10", "5:4.3.3-11", "5:4.3.3-12", "3.1.1:4.3.3-2", "5:2.2.1-5")
def test_receiving_at_quality_2(context, version):
    ear, writer = context.client("ear"), back(context, version, "w")
    ear.subscribe("a")
    assert writer.publish("a", b"1", qos=2, id=5) == [Ack(kind=PUBREC, id=5)]
    (again,) = writer.publish("a", b"1", qos=2, id=5, dup=True)
    assert (again.kind, again.id) == (PUBREC, 5)
    assert again.code < 0x80
    vanish(writer)
    writer = back(context, version, "w")
    (again,) = writer.publish("a", b"1", qos=2, id=5, dup=True)
    assert (again.kind, again.id) == (PUBREC, 5)
    assert len(ear.output()) == 1
    assert writer.ack(PUBREL, 5) == [Ack(kind=PUBCOMP, id=5)]
    assert writer.publish("a", b"2", qos=2, id=5, dup=True) == [Ack(kind=PUBREC, id=5)]
    assert [one.payload for one in ear.output()] == [b"2"]


@pytest.mark.mqtt("5:4.3.3-9")
def test_after_a_refused_message_the_identifier_is_free(context):
    context = MqttHub(rights=lambda session: Allowing("good"))
    ear, writer = context.client("ear"), context.client("w")
    ear.subscribe("good")
    assert writer.publish("bad", qos=2, id=5)[0].code >= 0x80
    assert writer.publish("good", qos=2, id=5, dup=True) == [Ack(kind=PUBREC, id=5)]
    assert len(ear.output()) == 1


class Allowing:
    def __init__(self, topic):
        self.topic = topic

    def publish(self, topic):
        if topic != self.topic:
            from hubbub import Refusal

            raise Refusal("not-authorized", "no")

    def subscribe(self, filter):
        pass

    def receives(self, topic):
        return True


@BOTH
@pytest.mark.mqtt(
    "5:4.3.2-3", "5:4.3.3-3", "5:4.3.3-4", "5:4.3.3-5", "5:4.3.3-6", "5:4.4.0-1", "5:3.3.1-1", "5:2.2.1-4",
    "3.1.1:4.3.2-1", "3.1.1:4.3.3-1", "3.1.1:4.4.0-1", "3.1.1:3.3.1-1", "3.1.1:4.6.0-1", "3.1.1:2.3.1-4",
)  # fmt: skip
def test_what_is_in_flight_is_sent_again(context, version):
    client, writer = back(context, version), context.client("w", version)
    client.subscribe(subscription("a", 2))
    for n, qos in enumerate((1, 2, 2, 1, 2, 1)):
        writer.publish("a", b"%d" % n, qos=qos, id=n + 1)
    ids = [one.id for one in client.output()]
    assert client.ack(PUBREC, ids[1]) == [Ack(kind=PUBREL, id=ids[1])]
    client.ack(PUBREC, ids[2])
    client.ack(PUBCOMP, ids[2])
    client.ack(PUBACK, ids[3])
    context.world.advance(90)
    assert client.output() == []
    for _ in range(2):
        vanish(client)
        client = back(context, version)
        assert [(one.id, getattr(one, "payload", one.__class__)) for one in client.first] == [
            (ids[0], b"0"), (ids[1], Ack), (ids[4], b"4"), (ids[5], b"5"),
        ]  # fmt: skip
        assert all(one.dup for one in client.first if isinstance(one, Publish))
    assert client.ack(PUBREC, ids[1]) == [Ack(kind=PUBREL, id=ids[1])]
    assert client.ack(PUBCOMP, ids[1]) == []
    vanish(client)
    assert [one.id for one in back(context, version).first] == [ids[0], *ids[4:]]


@pytest.mark.parametrize("kind", [PUBACK, PUBREC])
@pytest.mark.mqtt("5:4.4.0-2")
def test_what_the_client_refused_is_not_sent_again(context, kind):
    client = back(context, V5)
    client.subscribe(subscription("a", 2))
    context.client("w").publish("a", qos=1 if kind == PUBACK else 2, id=1)
    (got,) = client.output()
    assert client.ack(kind, got.id, 0x97) == []
    vanish(client)
    assert back(context, V5).first == []


@pytest.mark.mqtt("5:4.3.3-7", "5:4.3.3-13")
def test_what_was_sent_does_not_expire(context):
    client, writer = back(context, V5), back(context, V5, "w")
    client.subscribe(subscription("a", 2))
    assert writer.publish("a", qos=2, id=7, properties={"message_expiry_interval": 5})[0].code == 0
    (got,) = client.output()
    vanish(client)
    context.world.advance(10)
    client = back(context, V5)
    assert [one.id for one in client.first] == [got.id]
    assert client.ack(PUBREC, got.id) == [Ack(kind=PUBREL, id=got.id)]
    assert writer.publish("a", qos=2, id=7, dup=True)[0].code < 0x80
    assert writer.ack(PUBREL, 7) == [Ack(kind=PUBCOMP, id=7)]


@BOTH
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt("5:4.6.0-5", "5:4.6.0-6", "3.1.1:4.6.0-5", "3.1.1:4.6.0-6")
def test_order(context, version, qos):
    client, writers = context.client("c", version), [context.client(f"w{n}", version) for n in range(3)]
    client.subscribe(subscription("a", 2), subscription("b", 2))
    for n in range(90):
        writers[n % 3].publish("ab"[n // 3 % 2], b"%d" % n, qos=qos, id=(1 + n) * bool(qos))
    output, seen = client.output(), {}
    while output:
        messages_ = [one for one in output if isinstance(one, Publish)]
        for one in messages_:
            seen.setdefault((one.topic, int(one.payload) % 3), []).append(int(one.payload))
        output = [more for one in messages_ if one.qos for more in finish(client, one)]
    assert sum(map(len, seen.values())) == 90
    assert all(numbers == sorted(numbers) for numbers in seen.values())


def finish(client, one):
    """Acknowledge a message to its end; return what comes of it."""
    if one.qos == 1:
        return client.ack(PUBACK, one.id)
    return client.ack(PUBREC, one.id) + client.ack(PUBCOMP, one.id)


@pytest.mark.parametrize("window", [1, 2, 7])
@pytest.mark.mqtt("5:3.3.4-9", "5:4.9.0-1", "5:4.9.0-2", "5:3.3.4-10", "5:4.9.0-3")
def test_no_more_in_flight_than_the_client_takes(context, window):
    client, writer = context.client("c", properties={"receive_maximum": window}), context.client("w")
    client.subscribe(subscription("a", 2))
    for n in range(20):
        writer.publish("a", b"%d" % n, qos=1 + n % 2, id=n + 1)
    flight = client.output()
    assert len(flight) == window
    assert client.ping() == [Pingresp()]
    writer.publish("a", b"zero")
    assert messages(client.output()) == [("a", b"zero", 0)]
    assert client.publish("b", qos=1, id=1) != []
    assert client.subscribe("c")[0].codes == [0]
    seen = []
    while flight:
        one = flight.pop(0)
        seen.append(int(one.payload))
        flight += [more for more in finish(client, one) if isinstance(more, Publish)]
        assert len(flight) <= window
    assert seen == list(range(20))


@pytest.mark.mqtt("5:4.9.0-2", "5:3.3.4-9")
def test_a_message_counts_until_its_end(context):
    client, writer = context.client("c", properties={"receive_maximum": 1}), context.client("w")
    client.subscribe(subscription("a", 2))
    for n in (1, 2):
        writer.publish("a", b"%d" % n, qos=2, id=n)
    (one,) = client.output()
    assert client.ack(PUBREC, one.id) == [Ack(kind=PUBREL, id=one.id)]
    assert messages(client.ack(PUBCOMP, one.id)) == [("a", b"2", 2)]


@BOTH
@pytest.mark.mqtt("5:4.2-1", "3.1.1:7.1.1-1", "3.1.1:7.0.0-2")
@pytest.mark.parametrize("transport", ["tcp", "websocket"])
def test_transports(version, transport):
    client = MqttHub(transport).client("c", version)
    client.subscribe("a")
    assert messages(client.publish("a")) == [("a", b"x", 0)]
