"""plugins/mqtt: what a client says and hears, in memory, over TCP and WebSocket."""

from __future__ import annotations

import pytest

from hubbub import Refusal
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V31, Ack, Connack, Pingresp, Suback, Unsuback
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, Client, MqttHub, kept, messages, subscription

VERSIONS = (V31, V311, V5)


@pytest.fixture(params=["tcp", "websocket"])
def context(request):
    return MqttHub(request.param)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt("5:3.3.4-1", "3.1.1:3.3.4-1", "5:4.3.3-4")
def test_a_message_at_each_quality(context, version, qos):
    reader, writer = context.client("r", version), context.client("w", version)
    assert reader.subscribe(subscription("a/#", 2))[0].codes == [2]
    answers = writer.publish("a/b", b"hello", qos=qos, id=7 * bool(qos))
    got = reader.output()
    assert messages(got) == [("a/b", b"hello", qos)]
    if qos == 0:
        assert answers == []
    if qos == 1:
        assert answers == [Ack(kind=PUBACK, id=7)]
        assert reader.ack(PUBACK, got[0].id) == []
    if qos == 2:
        assert answers == [Ack(kind=PUBREC, id=7)]
        assert writer.ack(PUBREL, 7) == [Ack(kind=PUBCOMP, id=7)]
        assert reader.ack(PUBREC, got[0].id) == [Ack(kind=PUBREL, id=got[0].id)]
        assert reader.ack(PUBCOMP, got[0].id) == []
    assert not reader.closed
    assert not writer.closed


@pytest.mark.parametrize("version", VERSIONS)
def test_ping_and_goodbye(context, version):
    client = context.client("c", version)
    assert client.ping() == [Pingresp()]
    assert client.goodbye() == []
    assert client.closed


@pytest.mark.mqtt("5:3.8.4-5", "5:3.8.4-6", "5:3.11.3-1")
def test_several_filters_are_answered_at_once_and_before_retained_messages(context):
    writer = context.client("w")
    writer.publish("a", b"1", retain=True)
    writer.publish("b", b"2", retain=True, qos=1, id=3)
    client = context.client("c")
    found = client.subscribe(subscription("a"), subscription("b", 1), subscription("/" * 200))
    said = {"reason_string": "it has more than 128 levels"}
    assert found[0] == Suback(id=1, codes=[0, 1, 0x8F], properties=said)
    assert sorted(messages(found[1:])) == [("a", b"1", 0), ("b", b"2", 1)]
    assert all(one.retain for one in found[1:])
    found = client.send(packets.Unsubscribe(id=9, filters=["a", "nothing"]))
    assert found == [Unsuback(id=9, codes=[0, 0x11])]
    writer.publish("a", b"3")
    assert client.output() == []


@pytest.mark.mqtt("5:3.3.1-10", "5:3.3.1-11", "5:3.3.1-13")
def test_retain_handling_and_retain_as_published(context):
    writer = context.client("w")
    writer.publish("a", b"1", retain=True)
    client = context.client("c")
    assert len(client.subscribe(subscription("a", retain_handling=2))) == 1
    assert len(client.subscribe(subscription("a", retain_handling=1))) == 1
    assert len(client.subscribe(subscription("a", retain_handling=0, retain_as_published=True))) == 2
    writer.publish("a", b"2", retain=True)
    assert [one.retain for one in client.output()] == [True]
    client.subscribe(subscription("a", retain_handling=2))
    writer.publish("a", b"3", retain=True)
    assert [one.retain for one in client.output()] == [False]


@pytest.mark.mqtt("5:3.8.3-3")
def test_no_local(context):
    client = context.client("c")
    client.subscribe(subscription("a", no_local=True), subscription("b"))
    assert client.publish("a") == []
    assert messages(client.publish("b")) == [("b", b"x", 0)]


@pytest.mark.mqtt("5:3.3.4-2", "5:3.3.4-4")
def test_overlapping_filters_bring_one_copy_at_the_highest_quality_with_all_identifiers(context):
    client = context.client("c")
    client.subscribe(subscription("a/b", 0), subscription_identifier=1)
    client.subscribe(subscription("a/#", 2), subscription_identifier=2)
    (got,) = context.client("w").publish("a/b", qos=1, id=1) and client.output()
    assert got.qos == 1
    assert got.properties["subscription_identifier"] == [1, 2]


def test_what_a_message_says_arrives(context):
    said = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": "re/1",
        "correlation_data": b"\0\1",
        "user_property": [("k", "1"), ("k", "2"), ("a", "")],
        "message_expiry_interval": 60,
    }
    client, writer = context.client("c"), context.client("w")
    client.subscribe(subscription("a", 1))
    writer.publish("a", properties=said)
    writer.publish("a", qos=1, id=1, properties=said)
    assert [one.properties for one in client.output()] == [said, said]


@pytest.mark.mqtt("5:3.3.2-9", "5:3.3.2-12")
def test_aliases_in(context):
    client, writer = context.client("c"), context.client("w")
    client.subscribe("#")
    writer.publish("a/b", properties={"topic_alias": 3})
    writer.publish("", b"y", properties={"topic_alias": 3})
    assert messages(client.output()) == [("a/b", b"x", 0), ("a/b", b"y", 0)]
    (gone,) = writer.publish("", properties={"topic_alias": 4})
    assert gone.code == 0x82
    (gone,) = context.client("v").publish("a", properties={"topic_alias": 33})
    assert gone.code == 0x94


@pytest.mark.mqtt("5:3.2.2-16")
def test_a_client_without_a_name_gets_one(context):
    given = context.client().connack.properties["assigned_client_identifier"]
    assert len(given) == 16


@pytest.mark.mqtt("5:3.1.2-24", "5:3.1.2-25")
def test_maximum_packet_size(context):
    client = context.client("c", properties={"maximum_packet_size": 64})
    client.subscribe(subscription("a", 1))
    writer = context.client("w")
    for qos in (0, 1):
        writer.publish("a", b"x" * 64, qos=qos, id=qos)
        writer.publish("a", b"short", qos=qos, id=qos)
    assert messages(client.output()) == [("a", b"short", 0), ("a", b"short", 1)]
    assert not client.closed


@pytest.mark.mqtt("5:3.1.2-8", "5:3.14.4-3")
def test_a_will(context):
    ear = context.client("ear")
    ear.subscribe("will/#")
    will = packets.Will(topic="will/a", payload=b"gone")
    context.client("a", will=will).end.vanish()
    assert messages(ear.output() or ear.ping()[:-1]) == [("will/a", b"gone", 0)]
    context.client("b", will=will).goodbye()
    assert ear.output() == []
    context.client("c", will=will).goodbye(4)
    assert messages(ear.output()) == [("will/a", b"gone", 0)]
    context.client("d", will=will).raw(b"\xff\xff\xff\xff\xff\xff")
    assert messages(ear.output()) == [("will/a", b"gone", 0)]


@pytest.mark.mqtt("5:3.1.2-8", "5:3.1.3-9")
def test_a_will_with_a_delay():
    context = MqttHub()
    ear = context.client("ear")
    ear.subscribe("will")
    will = packets.Will(topic="will", payload=b"gone", properties={"will_delay_interval": 10})
    kept = {"session_expiry_interval": 100}
    context.client("a", will=will, properties=kept).end.vanish()
    context.world.advance(5)
    assert ear.output() == []
    context.client("a", will=will, properties=kept, clean=False).end.vanish()
    context.world.advance(6)
    assert ear.output() == []
    context.world.advance(5)
    assert messages(ear.output()) == [("will", b"gone", 0)]
    context.client("b", will=will, properties={"session_expiry_interval": 3}).end.vanish()
    context.world.advance(4)
    assert messages(ear.output()) == [("will", b"gone", 0)]  # with the end of the session


@pytest.mark.mqtt("5:3.1.2-22")
def test_keep_alive(context):
    client = context.client("c", keep_alive=10)
    context.world.advance(14)
    client.ping()
    context.world.advance(14)
    assert not client.closed
    context.world.advance(2)
    assert client.output()[0].code == 0x8D
    assert client.closed


def test_silence_before_connect():
    context = MqttHub()
    client = Client(context.listener)
    context.world.advance(9)
    assert not client.closed
    context.world.advance(2)
    assert client.closed


# What isn't allowed


@pytest.mark.mqtt("5:3.1.4-2", "3.1.1:3.2.2-5")
def test_logins():
    def login(event, session, done):
        good = (event.user, event.password) == ("ada", "secret") or event.token == "t"
        done("ada" if good else Refusal("not-authorized", "no"))

    context = MqttHub(login=login, anonymous=False)
    for version, code in ((V5, 0x87), (V311, 5)):
        for more in ({}, {"user": "ada"}, {"user": "ada", "password": b"wrong"}):
            client = Client(context.listener, version)
            assert client.connect("c", **more).code == code
            assert client.closed
        context.client("c", version, user="ada", password=b"secret")
    context.client("c", V5, password=b"t")
    client = Client(context.listener)
    assert client.connect("c", user="ada", password=b"\xff").code == 0x86


def test_a_client_of_another_user_is_not_taken_over():
    context = MqttHub(login=lambda event, session, done: done(event.user))
    ada = context.client("c", user="ada", password=b"", **kept(V5))
    bob = context.client("c", user="bob", password=b"", **kept(V5))
    assert not bob.connack.present
    assert not ada.closed


@pytest.mark.mqtt("5:6.0.0-1", "3.1.1:6.0.0-1")
def test_text_on_a_websocket_is_no_mqtt():
    client = Client(MqttHub("websocket").listener)
    client.end.send("hello")
    client.end.world.turn()
    assert client.closed or client.end.close_code is not None


@pytest.mark.mqtt("5:6.0.0-2", "3.1.1:6.0.0-2")
def test_packets_may_span_frames():
    context = MqttHub("websocket")
    client = Client(context.listener)
    data = packets.Connect(client="c").encode(V5) + packets.Pingreq().encode(V5)
    found = []
    for at in range(len(data)):
        found += client.raw(data[at : at + 1])
    assert [type(one) for one in found] == [Connack, Pingresp]


@pytest.mark.mqtt("5:3.3.1-9")
def test_retained_messages_are_pulled():
    context = MqttHub()
    writer = context.client("w")
    for n in range(5_000):
        writer.publish(f"r/{n}", b"x", retain=True, qos=1, id=1)
    client = context.client("c")
    found = client.subscribe(subscription("r/#", 1))[1:]
    seen = set()
    while found:
        seen |= {one.topic for one in found}
        found = [more for one in found for more in client.ack(PUBACK, one.id)]
    assert len(seen) == 5_000
    plain = context.client("d").subscribe("r/#")
    assert len(plain) == 5_001


def test_mount_points():
    context = MqttHub(prefix="plant")
    client = context.client("c", **kept(V5), will=packets.Will(topic="w", payload=b"gone"))
    client.subscribe(subscription("a", 1))
    client.publish("a", b"0", qos=1, id=1)
    client.end.vanish()
    context.world.turn()
    other = context.client("o")
    other.publish("a", b"1", qos=1, id=1)
    again = context.client("c", **kept(V5))
    assert [(one.topic, one.payload) for one in again.first] == [("a", b"0"), ("a", b"1")]


def test_a_clean_client_that_leaves_evicts_no_session(monkeypatch):
    monkeypatch.setattr("hubbub.limits.SESSIONS", 2)
    context = MqttHub()
    for name in ("a", "b"):
        context.client(name, **kept(V5)).goodbye()
    context.client("x").goodbye()
    assert context.client("a", **kept(V5)).connack.present
    for name in ("c", "d"):
        context.client(name, **kept(V5)).goodbye()
    assert not context.client("b", **kept(V5)).connack.present


def test_asking_again_and_again_for_retained_messages_keeps_one_search():
    context = MqttHub()
    for n in range(300):
        context.client("w").publish(f"r/{n}", retain=True, qos=1, id=1)
    client = context.client("c")
    for _ in range(200):
        client.subscribe(subscription("r/#", 1))
    (known,) = [one for one in context.world.hub.clients._known.values() if one.state.key[2] == "c"]
    assert len(known.delivery._searches.waiting) == 1


def test_rights_end_what_waits():
    class Rights:
        def __init__(self):
            self.good = True

        def publish(self, topic):
            pass

        def subscribe(self, filter):
            if filter == "secret":
                raise Refusal("not-authorized", "no")

        def receives(self, topic):
            return self.good or topic != "a"

    rights = Rights()
    context = MqttHub(rights=lambda session: rights)
    client = context.client("c", **kept(V5))
    assert client.subscribe(subscription("secret", 1), subscription("a", 1), subscription("b", 1))[0].codes == [
        0x87,
        1,
        1,
    ]
    client.end.vanish()
    context.world.turn()
    writer = context.client("w")
    for topic in "ab":
        writer.publish(topic, qos=1, id=1)
    rights.good = False
    reported = context.client("c", **kept(V5))
    assert [one.code for one in reported.first] == [0x87]
    assert reported.closed
    assert messages(context.client("c", **kept(V5)).first) == [("b", b"x", 1)]
