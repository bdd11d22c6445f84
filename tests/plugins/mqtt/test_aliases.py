"""plugins/mqtt: topic aliases on the way out."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub_plugins.mqtt.packets import Publish
from mqtt_client import PUBACK, V311, Client, MqttHub, kept, subscription

TOPIC = "a/long/topic"
NAMES = [f"{TOPIC}/{n}" for n in range(50)]


@pytest.fixture(params=["tcp", "websocket"])
def context(request):
    return MqttHub(request.param)


class Reader:
    """Undoes aliases, as a client does: fails at one that it doesn't know."""

    def __init__(self, most):
        self.most = most
        self.known = {}

    def topics(self, found):
        seen = []
        for one in found:
            assert isinstance(one, Publish), one
            alias = one.properties.get("topic_alias")
            if alias is not None:
                assert 1 <= alias <= self.most
                if one.topic:
                    assert alias not in self.known
                    self.known[alias] = one.topic
                else:
                    one.topic = self.known[alias]
            assert one.topic
            seen.append(one.topic)
        return seen


def client(context, most=10, name="c", **properties):
    found = context.client(name, properties={"topic_alias_maximum": most, **properties})
    found.reader_of = Reader(most)
    return found


def sizes(found):
    return [(one.topic, one.properties.get("topic_alias"), one.payload) for one in found]


@pytest.mark.parametrize("most_wanted", [0, 1, 2])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_topic_that_repeats_becomes_a_number(context, qos, most_wanted):
    ear, writer = client(context), context.client("w")
    ear.subscribe(subscription("#", most_wanted))
    for n in range(4):
        writer.publish(TOPIC, b"%d" % n, qos=qos, id=n + 1 if qos else 0)
    found = ear.output()
    assert sizes(found) == [(TOPIC, None, b"0"), (TOPIC, 1, b"1"), ("", 1, b"2"), ("", 1, b"3")]
    assert {one.qos for one in found} == {min(qos, most_wanted)}


@pytest.mark.mqtt("5:3.1.2-27")
def test_a_client_that_asks_for_none_gets_none(context):
    plain, old, ear = context.client("p"), context.client("o", V311), client(context)
    for one in (plain, old, ear):
        one.subscribe("#")
    writer = context.client("w")
    for _ in range(3):
        writer.publish(TOPIC)
    assert sizes(plain.output()) == [(TOPIC, None, b"x")] * 3
    assert sizes(old.output()) == [(TOPIC, None, b"x")] * 3
    assert len(ear.reader_of.topics(ear.output())) == 3
    assert ear.reader_of.known == {1: TOPIC}


def test_a_short_topic_stays(context):
    ear, writer = client(context), context.client("w")
    ear.subscribe("#")
    for _ in range(3):
        writer.publish("short")
    assert sizes(ear.output()) == [("short", None, b"x")] * 3


@pytest.mark.parametrize(("most", "numbers"), [(1, 1), (3, 3), (65_535, limits.TOPIC_ALIASES)])
@pytest.mark.mqtt("5:3.1.2-26", "5:3.3.2-11")
def test_as_many_as_the_client_and_the_hub_want(context, most, numbers):
    ear, writer = client(context, most), context.client("w")
    ear.subscribe(subscription("#", 1))
    for n in range(3):
        for at, topic in enumerate(NAMES):
            writer.publish(topic, qos=(n + at) % 2, id=1 * ((n + at) % 2))
            found = ear.output()
            assert ear.reader_of.topics(found) == [topic]
            for one in found:
                if one.qos:
                    ear.ack(PUBACK, one.id)
    assert ear.reader_of.known == {at + 1: topic for at, topic in enumerate(NAMES[:numbers])}


def test_what_a_message_says_stays(context):
    said = {"user_property": [("k", "v" * 200)], "content_type": "text/plain", "correlation_data": b"\0" * 100}
    ear, writer = client(context), context.client("w")
    ear.subscribe(subscription("#", 1), subscription_identifier=300)
    for qos in (0, 1):
        for _ in range(3):
            writer.publish(TOPIC, b"x" * 200, qos=qos, id=qos, properties=said)
    for one in ear.output():
        one.properties.pop("topic_alias", None)
        assert one.properties == {**said, "subscription_identifier": [300]}
        assert one.payload == b"x" * 200


@pytest.mark.parametrize("full", ["drop-oldest", "drop-newest", "latest"])
def test_dropped_messages_leave_no_number_unknown(full):
    context = MqttHub(queue=20_000, full=full)
    ear, writer = client(context), context.client("w")
    ear.subscribe(subscription("#", 1))
    ear.end.taking = False
    for n in range(400):
        writer.publish(NAMES[n % 7], b"x" * 1_000)
    ear.end.taking = True
    context.world.turn()
    found = ear.output()
    assert context.world.hub.turn.counters.dropped > 100
    assert ear.reader_of.topics(found)
    assert len(ear.reader_of.known) == 7
    for n in range(7):
        writer.publish(NAMES[n])
    assert ear.reader_of.topics(ear.output()) == NAMES[:7]


@pytest.mark.mqtt("5:3.1.2-24")
def test_a_number_never_makes_a_packet_too_long(context):
    ear, writer = client(context, maximum_packet_size=40), context.client("w")
    ear.subscribe("#")
    size = 40 - 2 - 2 - len(TOPIC) - 1
    for _ in range(4):
        writer.publish(TOPIC, b"x" * size)
    assert sizes(ear.output()) == [(TOPIC, None, b"x" * size)] * 4


def test_retained_messages_have_none(context):
    writer = context.client("w")
    for topic in NAMES:
        writer.publish(topic, retain=True)
    ear = client(context)
    for _ in range(3):
        found = ear.subscribe("#")[1:]
        assert sorted(one.topic for one in found) == sorted(NAMES)
        found = ear.subscribe(subscription("#", 1))[1:]
        assert sorted(one.topic for one in found) == sorted(NAMES)


@pytest.mark.mqtt("5:3.3.2-7")
def test_numbers_end_with_the_connection(context):
    ear, writer = client(context, session_expiry_interval=100), context.client("w")
    ear.subscribe(subscription("#", 1))
    for n in range(3):
        writer.publish(TOPIC, b"%d" % n, qos=1, id=1)
    assert ear.reader_of.topics(ear.output()) == [TOPIC] * 3
    ear.end.vanish()
    context.world.turn()
    again = Client(context.listener)
    found = again.connect("c", clean=False, properties={"session_expiry_interval": 100, "topic_alias_maximum": 5})[1:]
    assert sizes(found) == [(TOPIC, None, b"0"), (TOPIC, 1, b"1"), ("", 1, b"2")]
    assert all(one.dup for one in found)
    again.end.vanish()
    context.world.turn()
    plain = context.client("c", **kept(5))
    assert sizes(plain.first) == [(TOPIC, None, b"%d" % n) for n in range(3)]
    assert plain.ack(PUBACK, plain.first[0].id) == []


def test_below_a_mount_point(context):
    context = MqttHub(prefix="boat")
    ear, writer = client(context), context.client("w")
    ear.subscribe("#")
    for _ in range(3):
        writer.publish(TOPIC)
    assert ear.reader_of.topics(ear.output()) == [TOPIC] * 3
