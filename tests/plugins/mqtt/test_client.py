"""plugins/mqtt/client.py: what a bridge says and hears, packet by packet."""

from __future__ import annotations

import pytest

from hubbub import (
    Ack,
    Answer,
    Close,
    Connect,
    DialectContext,
    Fault,
    Message,
    Notice,
    QosPublish,
    Refusal,
    Release,
    Subscribe,
)
from hubbub.kernel.sessions.session import Session
from hubbub.loop_prevention import NODE, Echoes, path_of, with_hop
from hubbub.option import configure
from hubbub.template import Template
from hubbub.testing import DialectContract
from hubbub_plugins.mqtt import Mqtt, packets
from hubbub_plugins.mqtt.packets import V5, V311
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL

MqttClient = Mqtt.for_role("client")
NOW = 1000.0


class Bridge:
    """The dialect with a setting that lasts, as that of a connector does."""

    def __init__(self, version=V5, pull=("a/#",), push=("b/#",), **keys):
        self.version = version
        name = {V5: "5", V311: "3.1.1"}.get(version, version)
        self.kind = configure(MqttClient, {"version": name, **keys})
        self.dialect_context = DialectContext("tcp", 1000, None, "client", pull, push=push, node="here")

    def dial(self, **said):
        self.dialect = self.kind(self.dialect_context, Session("192.0.2.7", 1883, "tcp", "b"))
        (connect,) = self.dialect.opened(NOW)
        first = self.receive(packets.Connack(**said))
        return decoded(connect.data, self.version), first

    def receive(self, *what, now=NOW):
        data = b"".join(one if isinstance(one, bytes) else one.encode(self.version) for one in what)
        return self.dialect.receive(data, now)


def decoded(data, version):
    return packets.decode(data[0], data[2:], version)


def published(topic="a/x", payload=b"x", **more):
    return packets.Publish(topic=topic, payload=payload, **more)


HOSTILE = {
    "rubbish": b"\xff\xff\xff\xff\xff",
    "CONNECT": packets.Connect().encode(V5),
    "SUBSCRIBE": packets.Subscribe(id=1, subscriptions=[packets.Subscription(filter="#")]).encode(V5),
    "UNSUBSCRIBE": packets.Unsubscribe(id=1, filters=["#"]).encode(V5),
    "PINGREQ": packets.Pingreq().encode(V5),
    "a second CONNACK": packets.Connack().encode(V5),
    "AUTH": bytes((0xF0, 0)),
    "a huge packet": b"\x30\xff\xff\xff\x7f",
    "a length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "a topic with a wildcard": published("a/#").encode(V5),
    "no topic": published("").encode(V5),
    "an alias of nothing": published("", properties={"topic_alias": 3}).encode(V5),
    "an alias above ours": published("a/x", properties={"topic_alias": 3000}).encode(V5),
    "a response topic with a wildcard": published("a/x", properties={"response_topic": "#"}).encode(V5),
    "quality 3": b"\x36\x05\0\1a\0\1",
    "an answer to nothing": packets.Suback(id=9, codes=[0]).encode(V5),
    "a SUBACK of quality 3": packets.Suback(id=65_535, codes=[3]).encode(V5),
    "two codes": packets.Suback(id=65_535, codes=[0, 0]).encode(V5),
}


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE)
def test_a_server_that_breaks_the_rules_is_left(said):
    bridge = Bridge()
    bridge.dial()
    found = bridge.receive(published(), said, published())
    assert [type(one) for one in found] == [QosPublish, Close]
    assert found[1].refusal is not None
    assert isinstance(decoded(found[1].data, V5), packets.Disconnect)
    assert bridge.receive(published()) == []


def test_the_beginning():
    connect, found = Bridge(client="me", keep_alive="30s").dial(properties={"receive_maximum": 7})
    assert (connect.client, connect.clean, connect.keep_alive) == ("me", False, 30)
    assert connect.properties["user_property"] == [(NODE, "here")]
    _, opened, push, _ = found
    assert [type(one) for one in found] == [Notice, Connect, Subscribe, Answer]
    assert (opened.client, opened.clean_start, opened.receive_maximum, opened.resend_as_new) == ("me", False, 7, True)
    assert (push.filter, push.echo, push.qos, push.retained) == ("b/#", False, 2, "always")
    again = Bridge(client="me").dial(present=True)[1]
    assert [one.resend_as_new for one in again if isinstance(one, Connect)] == [False]
    assert [one.retained for one in again if isinstance(one, Subscribe)] == ["new"]


def test_in_3_1_1_what_is_pulled_already_is_not_asked_for_again():
    """It would bring all retained messages once more."""
    bridge = Bridge(V311)
    asked = bridge.dial()[1][-1]
    bridge.receive(packets.Suback(id=decoded(asked.data, V311).id, codes=[2]))
    assert not [one for one in bridge.dial(present=True)[1] if isinstance(one, Answer) and one.data[0] == 0x82]
    assert [one for one in bridge.dial()[1] if isinstance(one, Answer) and one.data[0] == 0x82]


def test_only_quality_0_there_is_a_mistake_that_is_reported():
    (close,) = [one for one in Bridge().dial(properties={"maximum_qos": 0})[1] if isinstance(one, Close)]
    assert close.reason == "it accepts QoS 0 alone: give qos=0"


def test_a_server_that_is_silent_is_asked_and_left():
    bridge = Bridge(keep_alive="60s")
    bridge.dial()
    dialect = bridge.dialect
    assert dialect.deadline == NOW + 45
    (ping,) = dialect.timeout(NOW + 45)
    assert decoded(ping.data, V5) == packets.Pingreq()
    bridge.receive(packets.Pingresp(), now=NOW + 46)
    assert dialect.deadline == NOW + 90
    dialect.timeout(NOW + 90)
    assert dialect.deadline == NOW + 100
    (close,) = dialect.timeout(NOW + 100)
    assert close.refusal.reason == "no answer to PINGREQ within 10 s"


def test_a_server_may_want_a_shorter_keep_alive():
    bridge = Bridge(keep_alive="60s")
    bridge.dial(properties={"server_keep_alive": 20})
    assert bridge.dialect.deadline == NOW + 15


def test_no_connack():
    bridge = Bridge()
    dialect = bridge.kind(bridge.dialect_context, Session("192.0.2.7", 1883, "tcp", "b"))
    dialect.opened(NOW)
    (close,) = dialect.timeout(dialect.deadline)
    assert close.reason == "no CONNACK within 10 s"


def test_a_server_that_is_silent_to_one_version_is_asked_in_the_other():
    """amqtt's broker leaves a CONNECT of version 5 unanswered, and the connection open."""
    bridge, asked = Bridge(version="auto"), []
    for _ in range(3):
        dialect = bridge.kind(bridge.dialect_context, Session("192.0.2.7", 1883, "tcp", "b"))
        (connect,) = dialect.opened(NOW)
        asked.append(packets.decode(connect.data[0], connect.data[2:], V5).version)
        dialect.timeout(dialect.deadline)
    assert asked == [V5, V311, V5]


def test_a_message_that_is_too_much_here_is_acknowledged_and_counted():
    """To end the link for it would have it sent again for ever."""
    bridge = Bridge()
    bridge.dial()
    for more in ({"payload": b"x" * 1001}, {"properties": {"user_property": [("k", "v")] * 65}}, {"topic": "c"}):
        fault, answer = bridge.receive(published(**{"topic": "a/x", **more}, qos=1, id=5))
        assert isinstance(fault, Fault)
        assert (decoded(answer.data, V5).kind, decoded(answer.data, V5).code) == (PUBACK, 0)
    _, answer = bridge.receive(published("c", qos=2, id=6))
    assert decoded(answer.data, V5).kind == PUBREC
    (release,) = bridge.receive(packets.Ack(kind=PUBREL, id=6))
    assert isinstance(release, Release)
    assert decoded(bridge.dialect.outcome(release, False), V5).code == 0


def test_a_message_that_the_hub_refuses_is_answered_with_a_code():
    bridge = Bridge()
    bridge.dial()
    (letter,) = bridge.receive(published(qos=1, id=5))
    said = decoded(bridge.dialect.outcome(letter, Refusal("bad-topic", "too deep")), V5)
    assert (said.kind, said.code) == (PUBACK, 0x90)


def test_codes_of_acknowledgements_name_the_topic():
    bridge = Bridge()
    bridge.dial()
    wish = Subscribe("b/#", qos=2, options=(True, ()))
    message = QosPublish("b/x", b"x", 1)
    frame = bridge.kind.encode(message, bridge.dialect.form(wish))
    bridge.dialect.frame_qos(frame, message, 3, False)
    notice, fault, ack = bridge.receive(packets.Ack(kind=PUBACK, id=3, code=0x97))
    assert notice.text == "the server refuses a message on b/x: quota exceeded (0x97)"
    assert isinstance(fault, Fault)
    assert (ack.id, ack.stage) == (3, "acknowledged")


def test_what_was_released_at_the_beginning_is_not_taken_for_an_answer():
    bridge = Bridge()
    assert begun(bridge, present=True)[:1] == b"\x62"
    assert bridge.receive(packets.Ack(kind=PUBCOMP, id=1)) == []
    (ack,) = bridge.receive(packets.Ack(kind=PUBCOMP, id=1))
    assert isinstance(ack, Ack)


def begun(bridge, present, session_present=False):
    """What it says once its session has begun."""
    (event,) = [one for one in bridge.dial(present=present)[1] if isinstance(one, Connect)]
    event.session_present = session_present
    return bridge.dialect.outcome(event, "")


@pytest.mark.parametrize(("there", "here"), [(False, False), (False, True), (True, True)])
def test_nothing_is_released_that_both_sides_know_or_forgot(there, here):
    assert begun(Bridge(), there, here) == b""


# What goes round


def form(bridge):
    return bridge.dialect.form(Subscribe("b/#", qos=2, options=(True, ())))


def carried(bridge, message):
    frame = bridge.kind.encode(message, form(bridge))
    return None if frame is None else decoded(frame, bridge.version)


def test_a_message_carries_its_way():
    bridge = Bridge()
    bridge.dial(properties={"user_property": [(NODE, "there")]})
    (letter,) = bridge.receive(published(properties={"user_property": [("k", "v"), ("hubbub-path", "far")]}))
    assert path_of(letter) == ["far", "there"]
    assert letter.properties["k"] == "v"
    assert carried(bridge, letter) is None  # it came from there
    sent = carried(bridge, Message("b/x", b"x", properties={"hubbub-path": "far"}))
    assert sent.properties["user_property"] == [("hubbub-path", "far here")]
    assert bridge.receive(published(properties={"user_property": [("hubbub-path", "here far")]})) == []
    (answer,) = bridge.receive(published(qos=2, id=1, properties={"user_property": [("hubbub-path", "here far")]}))
    assert decoded(answer.data, V5).kind == PUBREC


def test_a_way_has_an_end():
    bridge = Bridge()
    bridge.dial()
    message = Message("b/x", b"x")
    for n in range(8):
        message.properties = with_hop(message, str(n))
    assert carried(bridge, message) is None


@pytest.mark.parametrize("version", [V5, V311])
def test_what_came_from_a_server_without_a_name_does_not_go_back_to_it(version):
    bridge = Bridge(version)
    bridge.dial()
    (letter,) = bridge.receive(published(retain=True))
    letter.retained = True
    assert carried(bridge, letter) is None
    other = Bridge(version)
    other.dialect_context = DialectContext("tcp", push=("b/#",), role="client", node="here")
    other.dialect = other.kind(other.dialect_context, Session("192.0.2.8", 1883, "tcp", "other"))
    other.dialect.opened(NOW)
    other.receive(packets.Connack())
    assert carried(other, letter) is not None


def test_echoes_are_known_once_each_and_for_a_while():
    echoes = Echoes()
    for _ in range(2):
        echoes.expect("a", b"x")
    assert [echoes.is_echo("a", b"x") for _ in range(3)] == [True, True, False]
    echoes.expect("a", b"x")
    assert not echoes.is_echo("a", b"y")
    echoes.now = 61.0
    assert not echoes.is_echo("a", b"x")


def test_there_are_not_too_many_echoes():
    echoes = Echoes()
    for n in range(10_001):
        echoes.expect(str(n), b"")
    assert not echoes.is_echo("0", b"")
    assert echoes.is_echo("1", b"")


class _Asking(MqttClient):
    """It has asked for everything, as the contract knows no connector."""

    def __init__(self, dialect_context, peer):
        super().__init__(
            DialectContext(dialect_context.transport, dialect_context.max_message, Template("t"), "client", ("#",)),
            peer,
        )
        self.opened(0.0)


class TestContract(DialectContract):
    dialect = _Asking
    greeting = packets.Connack().encode(V5)
    samples = [
        (published("a/b", b"21.5").encode(V5), ["QosPublish a/b"]),
        (published("a/b", b"x", qos=1, id=1, retain=True).encode(V5), ["QosPublish a/b"]),
        (published("a/b", b"x", qos=2, id=2).encode(V5), ["QosPublish a/b"]),
        (packets.Ack(kind=PUBREL, id=2).encode(V5), ["Release"]),
        (packets.Ack(kind=PUBACK, id=2).encode(V5), ["Ack"]),
        (packets.Disconnect(code=0x8B).encode(V5), ["Close"]),
    ]
