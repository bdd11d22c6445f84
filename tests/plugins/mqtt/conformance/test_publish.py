"""MQTT 5.0 sections 3.3 to 3.7, 3.1.1 likewise: PUBLISH, what is retained, and what goes through with a message."""

from __future__ import annotations

import pytest

from hubbub import Refusal
from hubbub_plugins.mqtt.packets import Ack, Disconnect, Publish, packet
from hubbub_plugins.mqtt.wire import text
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, MqttHub, case, kept, messages, subscription

BOTH = pytest.mark.parametrize("version", [V311, V5])


@pytest.fixture
def context():
    return MqttHub()


@BOTH
@pytest.mark.mqtt("5:3.3.1-4", "3.1.1:3.3.1-4", "5:4.13.1-1")
@pytest.mark.parametrize("first", [0x36, 0x37, 0x3E, 0x3F])
def test_quality_3(context, version, first):
    client = context.client("c", version)
    found = client.raw(packet(first, b"\0\1a\0\1\0x"))
    assert client.closed
    assert [one.code for one in found] == ([0x81] if version == V5 else [])


@BOTH
@pytest.mark.mqtt("5:3.3.1-2", "3.1.1:3.3.1-2")
def test_dup_at_quality_0(context, version):
    client = context.client("c", version)
    client.raw(packet(0x38, b"\0\1a\0x"))
    assert client.closed


@BOTH
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.mqtt("5:3.3.1-3", "3.1.1:3.3.1-3", "5:4.3.2-2", "5:4.3.3-2")
def test_dup_comes_in_and_not_out(context, version, qos):
    ear, writer = context.client("ear", version), context.client("w", version)
    ear.subscribe(subscription("a", 2))
    writer.publish("a", qos=qos, id=1, dup=True)
    assert [one.dup for one in ear.output()] == [False]


@BOTH
@pytest.mark.mqtt("5:3.3.1-5", "5:3.3.1-8", "5:3.3.1-9", "3.1.1:3.3.1-5", "3.1.1:3.3.1-7", "3.1.1:3.3.1-12")
def test_retain_keeps_the_last_message_with_its_quality(context, version):
    writer = context.client("w", version)
    for qos, payload in ((2, b"old"), (1, b"new")):
        writer.publish("a", payload, qos=qos, id=1, retain=True)
        writer.ack(PUBREL, 1)
    writer.publish("a", b"passes", qos=1, id=2)
    writer.publish("a", b"", qos=0)
    assert messages(context.client("one", version).subscribe(subscription("a", 2))[1:]) == [("a", b"new", 1)]
    writer.publish("a", b"zero", retain=True)
    assert messages(context.client("two", version).subscribe(subscription("a", 2))[1:]) == [("a", b"zero", 0)]


@BOTH
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt("5:3.3.1-6", "5:3.3.1-7", "3.1.1:3.3.1-10", "3.1.1:3.3.1-11")
def test_an_empty_payload_removes_what_is_retained(context, version, qos):
    ear, writer = context.client("ear", version), context.client("w", version)
    ear.subscribe(subscription("a", 2))
    writer.publish("a", b"kept", retain=True)
    writer.publish("a", b"", qos=qos, id=3 * bool(qos), retain=True)
    assert messages(ear.output()) == [("a", b"kept", 0), ("a", b"", qos)]
    assert context.client("late", version).subscribe(subscription("a", 2))[1:] == []
    writer.publish("b", b"", retain=True)
    assert context.client("later", version).subscribe(subscription("#", 2))[1:] == []


@BOTH
@pytest.mark.mqtt("3.1.1:3.3.1-6", "3.1.1:3.3.1-8", "3.1.1:3.3.1-9", "5:3.3.1-12", "5:3.3.1-9")
def test_retain_marks_messages_that_come_of_a_subscription(context, version):
    ear, writer = context.client("ear", version), context.client("w", version)
    writer.publish("a/1", retain=True)
    writer.publish("a/2", retain=True)
    assert [(one.topic, one.retain) for one in ear.subscribe("a/+")[1:]] == [("a/1", True), ("a/2", True)]
    writer.publish("a/1", b"live", retain=True)
    assert [one.retain for one in ear.output()] == [False]


@BOTH
@pytest.mark.mqtt("3.1.1:3.1.2-7")
def test_retained_messages_outlive_the_session(context, version):
    writer = context.client("w", version)
    writer.publish("a", retain=True)
    writer.goodbye()
    assert len(context.client("c", version).subscribe("a")) == 2


@pytest.mark.mqtt("5:3.3.1-9", "5:3.3.1-10", "5:3.3.1-11")
def test_retain_handling(context):
    context.client("w").publish("a", retain=True)
    client = context.client("c")
    output = [len(client.subscribe(subscription("a", retain_handling=handling))) - 1 for handling in (2, 1, 0, 1, 2, 0)]
    assert output == [0, 0, 1, 0, 0, 1]
    assert len(context.client("new").subscribe(subscription("a", retain_handling=1))) == 2


@pytest.mark.mqtt("5:3.3.1-12", "5:3.3.1-13")
def test_retain_as_published(context):
    ear, writer = context.client("ear"), context.client("w")
    ear.subscribe(subscription("as", retain_as_published=True), subscription("not"))
    for topic in ("as", "not"):
        for retain in (False, True):
            writer.publish(topic, retain=retain)
    assert [(one.topic, one.retain) for one in ear.output()] == [
        ("as", False), ("as", True), ("not", False), ("not", False),
    ]  # fmt: skip


@BOTH
@pytest.mark.parametrize("topic", ["#", "+", "a/#", "a/+/b", "a#", "+a"])
@pytest.mark.mqtt("5:3.3.2-2", "3.1.1:3.3.2-2", "5:4.7.0-1", "3.1.1:4.7.1-1")
def test_wildcards_in_a_topic_name(context, version, topic):
    ear, client = context.client("ear"), context.client("c", version)
    ear.subscribe("#")
    for qos in (0, 1, 2):
        client = context.client("c", version)
        found = client.publish(topic, qos=qos, id=bool(qos))
        assert client.closed
        assert [one.code for one in found] == ([0x90] if version == V5 else [])
    assert ear.output() == []


@BOTH
@pytest.mark.mqtt("5:3.3.2-3", "3.1.1:3.3.2-3")
def test_what_comes_matches_the_filter(context, version):
    ear, writer = context.client("ear", version), context.client("w", version)
    ear.subscribe("a/+/c", "d/#")
    for topic in ("a/b/c", "a/b", "a/b/c/d", "d", "d/e/f", "de", "a//c"):
        writer.publish(topic)
    assert [one.topic for one in ear.output()] == ["a/b/c", "d", "d/e/f", "a//c"]


SAID = {
    "payload_format_indicator": 1,
    "content_type": "text/plain; charset=utf-8",
    "response_topic": "re/\u00e9/1",
    "correlation_data": bytes(range(256)),
    "user_property": [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("\u00fc", "\ufeff")],
}


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt("5:3.3.2-4", "5:3.3.2-15", "5:3.3.2-16", "5:3.3.2-17", "5:3.3.2-18", "5:3.3.2-20")
def test_properties_go_through(context, qos, retain):
    ear, writer = context.client("ear"), context.client("w")
    ear.subscribe(subscription("a", 2))
    writer.publish("a", b"x", qos=qos, id=bool(qos), retain=retain, properties=SAID)
    assert [one.properties for one in ear.output()] == [SAID]
    if retain:
        assert [one.properties for one in context.client("late").subscribe(subscription("a", 2))[1:]] == [SAID]


@pytest.mark.parametrize("topic", ["re/#", "+", "re/+/x"])
@pytest.mark.mqtt("5:3.3.2-14", "5:4.13.1-1")
def test_wildcards_in_a_response_topic(context, topic):
    client = context.client("c")
    (gone,) = client.publish("a", properties={"response_topic": topic})
    assert gone.code == 0x82
    assert client.closed


@pytest.mark.mqtt("5:3.3.2-5", "5:3.3.2-6")
def test_message_expiry(context):
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(subscription("a", 1))
    client.end.vanish()
    context.world.turn()
    for seconds in (5, 30):
        writer.publish("a", b"%d" % seconds, qos=1, id=1, properties={"message_expiry_interval": seconds})
        writer.publish(f"r/{seconds}", retain=True, properties={"message_expiry_interval": seconds})
    context.world.advance(10)
    (got,) = context.client("c", **kept(V5)).first
    assert (got.payload, got.properties["message_expiry_interval"]) == (b"30", 20)
    (got,) = context.client("late").subscribe("r/#")[1:]
    assert (got.topic, got.properties["message_expiry_interval"]) == ("r/30", 20)


@pytest.mark.parametrize(("passed", "left"), [(0.05, 1), (0.95, 1), (0.99999, 1), (1.0, None)])
@pytest.mark.mqtt("5:3.3.2-5", "5:3.3.2-6")
def test_message_expiry_is_rounded_up(context, passed, left):
    """0 would say that it has expired, and a server that gets it over a bridge may keep it for ever."""
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(subscription("a", 1))
    client.end.vanish()
    context.world.turn()
    for more in ({"qos": 1, "id": 1}, {"retain": True}):
        writer.publish("a", properties={"message_expiry_interval": 1}, **more)
    context.world.advance(passed)
    waited, retained = context.client("c", **kept(V5)).first, context.client("late").subscribe("a")[1:]
    for found in (waited, retained):
        assert [one.properties["message_expiry_interval"] for one in found] == ([left] if left else [])


@pytest.mark.mqtt("5:3.3.2-6", "5:4.4.0-1")
def test_what_expired_in_flight_is_sent_again_and_never_with_0(context):
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(subscription("a", 1))
    writer.publish("a", qos=1, id=1, properties={"message_expiry_interval": 1})
    assert len(client.output()) == 1
    client.end.vanish()
    context.world.advance(5)
    (again,) = context.client("c", **kept(V5)).first
    assert again.properties["message_expiry_interval"] == 1


@pytest.mark.mqtt("5:3.3.2-7", "5:3.3.2-12")
def test_aliases_of_a_client(context):
    ear, writer = context.client("ear"), context.client("w", **kept(V5))
    most = writer.connack.properties["topic_alias_maximum"]
    ear.subscribe(subscription("#", 1))
    for number in range(1, most + 1):
        writer.publish(f"a/{number}", qos=1, id=1, properties={"topic_alias": number})
    for number in range(1, most + 1):
        writer.publish("", properties={"topic_alias": number})
    names = [f"a/{number}" for number in range(1, most + 1)]
    assert [one.topic for one in ear.output()] == names + names
    writer.end.vanish()
    context.world.turn()
    writer = context.client("w", **kept(V5))
    (gone,) = writer.publish("", properties={"topic_alias": 1})
    assert gone.code == 0x82
    assert ear.output() == []


@pytest.mark.parametrize("alias", [0, 33, 65_535])
@pytest.mark.mqtt("5:3.3.2-8", "5:3.3.2-9", "5:3.2.2-17")
def test_aliases_that_a_client_may_not_have(context, alias):
    client = context.client("c")
    assert client.connack.properties["topic_alias_maximum"] < 33
    (gone,) = client.publish("a", properties={"topic_alias": alias})
    assert gone.code == 0x94
    assert client.closed


@pytest.mark.parametrize("most", [0, 1, 3])
@pytest.mark.mqtt("5:3.1.2-26", "5:3.1.2-27", "5:3.3.2-8", "5:3.3.2-11")
def test_aliases_of_the_server(context, most):
    ear, writer = context.client("ear", properties={"topic_alias_maximum": most} if most else {}), context.client("w")
    ear.subscribe("#")
    topics = [f"a/topic/of/some/length/{n % 5}" for n in range(50)]
    names, output = {}, []
    for topic in topics:
        writer.publish(topic)
        for one in ear.output():
            alias = one.properties.get("topic_alias")
            assert alias is None or 1 <= alias <= most
            if one.topic and alias is not None:
                names[alias] = one.topic
            output.append(one.topic or names[alias])
    assert output == topics


@pytest.mark.mqtt("5:3.3.4-6", "5:4.13.1-1")
def test_a_subscription_identifier_of_a_client(context):
    client = context.client("c")
    (gone,) = client.publish("a", properties={"subscription_identifier": [1]})
    assert gone.code == 0x82
    assert client.closed


@BOTH
@pytest.mark.mqtt("5:3.3.4-1", "3.1.1:3.3.4-1", "5:3.4.2-1", "5:3.5.2-1", "5:3.7.2-1", "5:4.3.2-4", "5:4.3.3-8")
def test_each_quality_is_answered_as_it_has_to_be(context, version):
    client = context.client("c", version)
    client.subscribe("heard")
    for topic in ("heard", "unheard"):
        code = 0x10 * (topic == "unheard" and version == V5)
        assert [one for one in client.publish(topic) if not isinstance(one, Publish)] == []
        reported = [one for one in client.publish(topic, qos=1, id=1) if not isinstance(one, Publish)]
        assert reported == [Ack(kind=PUBACK, id=1, code=code)]
        reported = [one for one in client.publish(topic, qos=2, id=1) if not isinstance(one, Publish)]
        assert reported == [Ack(kind=PUBREC, id=1, code=code)]
        assert client.ack(PUBREL, 1) == [Ack(kind=PUBCOMP, id=1)]


class NoRights:
    def publish(self, topic):
        raise Refusal("not-authorized", "no" * 50)

    def subscribe(self, filter):
        raise Refusal("not-authorized", "no" * 50)

    def receives(self, topic):
        return False


@BOTH
@pytest.mark.mqtt("3.1.1:3.3.5-2", "5:3.4.2-1", "5:3.5.2-1", "5:3.9.3-2", "3.1.1:3.9.3-2")
def test_what_a_client_may_not_publish(version):
    context = MqttHub(rights=lambda session: NoRights())
    client = context.client("c", version)
    code = 0x87 if version == V5 else 0
    assert client.publish("a") == []
    for kind, qos in ((PUBACK, 1), (PUBREC, 2)):
        (reported,) = client.publish("a", qos=qos, id=qos)
        assert (reported.kind, reported.id, reported.code) == (kind, qos, code)
    assert client.subscribe(subscription("a", 1))[0].codes == [0x87 if version == V5 else 0x80]
    assert not client.closed


@pytest.mark.mqtt("5:3.3.4-7", "5:4.13.1-1")
def test_more_than_the_servers_receive_maximum(context):
    client = context.client("c")
    most = client.connack.properties["receive_maximum"]
    for id in range(1, most + 1):
        assert client.publish("a", qos=2, id=id)[0].code < 0x80
    (gone,) = client.publish("a", qos=2, id=most + 1)
    assert (type(gone), gone.code) == (Disconnect, 0x93)
    assert client.closed


@BOTH
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        case("PUBACK", PUBACK, 0x03, shows="5:3.4.2-1"),
        case("PUBREC", PUBREC, 0x18, shows="5:3.5.2-1"),
        case("PUBREL", PUBREL, 0x10, shows="5:3.6.2-1"),
        case("PUBCOMP", PUBCOMP, 0x87, shows="5:3.7.2-1"),
    ],
)
def test_codes_that_an_acknowledgement_has_not(context, version, kind, code):
    client = context.client("c", version)
    found = client.raw(packet(kind << 4 | 2 * (kind == PUBREL), b"\0\1" + bytes((code,))))
    assert client.closed
    assert [one.code for one in found] == ([0x82] if version == V5 else [])


@pytest.mark.mqtt("5:3.6.2-1", "5:3.7.2-1", "5:3.6.2-2", "5:3.6.2-3", "5:3.7.2-2", "5:3.7.2-3")
def test_answers_to_unknown_identifiers(context):
    client = context.client("c", properties={"maximum_packet_size": 100})
    assert client.ack(PUBREC, 9) == [Ack(kind=PUBREL, id=9, code=0x92)]
    assert client.ack(PUBREL, 9) == [Ack(kind=PUBCOMP, id=9, code=0x92)]
    assert client.ack(PUBACK, 9) == []
    assert client.ack(PUBCOMP, 9) == []
    assert not client.closed


@pytest.mark.mqtt(
    "5:3.4.2-2", "5:3.4.2-3", "5:3.5.2-2", "5:3.5.2-3", "5:3.6.2-2", "5:3.6.2-3", "5:3.7.2-2", "5:3.7.2-3",
    "5:3.9.2-1", "5:3.9.2-2", "5:3.11.2-1", "5:3.11.2-2", "5:3.1.2-24",
)  # fmt: skip
def test_answers_without_the_sentence_that_makes_them_too_long():
    context = MqttHub(rights=lambda session: NoRights())
    client = context.client("c", properties={"maximum_packet_size": 64})
    client.publish("a", qos=1, id=1)
    for data in (
        Publish(topic="a", qos=1, id=1).encode(V5),
        Publish(topic="a", qos=2, id=1).encode(V5),
        Ack(kind=PUBREL, id=9).encode(V5),
        Ack(kind=PUBREC, id=9).encode(V5),
        packet(0x82, b"\0\1\0" + text("a") + b"\1"),
        packet(0xA2, b"\0\1\0" + text("a")),
    ):
        assert 4 <= len(client.end.say(data)) <= 6
    assert len(context.client("c").publish("a", qos=1, id=1)[0].properties["reason_string"]) == 100


@pytest.mark.mqtt("5:3.1.2-24", "5:3.1.2-25")
def test_a_message_that_is_longer_than_the_client_takes(context):
    client = context.client("c", properties={"maximum_packet_size": 64, "receive_maximum": 2})
    client.subscribe(subscription("a", 2))
    writer = context.client("w")
    for n in range(10):
        writer.publish("a", b"x" * 64, qos=n % 3, id=bool(n % 3))
        writer.ack(PUBREL, 1)
        writer.publish("a", b"%d" % n, qos=1, id=1)
        (got,) = client.output()
        assert got.payload == b"%d" % n
        client.ack(PUBACK, got.id)
