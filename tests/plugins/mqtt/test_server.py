"""plugins/mqtt: what a server tells of its own accord: keep alive, reasons, why it ends a connection."""

from __future__ import annotations

import pytest

from hubbub import Refusal
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import Ack, Disconnect, Suback
from mqtt_client import PUBACK, PUBREC, V5, V311, Client, MqttHub, subscription


@pytest.mark.parametrize(
    ("asked", "reported", "cut"),
    [(0, 20, 30), (21, 20, 30), (65_535, 20, 30), (20, None, 30), (10, None, 15)],
)
@pytest.mark.mqtt("5:3.1.2-22", "5:3.2.2-22")
def test_server_keep_alive(asked, reported, cut):
    context = MqttHub(idle=20.0)
    client = context.client("c", keep_alive=asked)
    assert client.connack.properties.get("server_keep_alive") == reported
    context.world.advance(cut - 1)
    assert not client.closed
    client.ping()
    context.world.advance(cut + 1)
    assert [one.code for one in client.output()] == [0x8D]
    assert client.closed


def test_a_client_without_reason_codes_keeps_what_it_asked_for():
    context = MqttHub(idle=20.0)
    client = context.client("c", V311)
    context.world.advance(1_000)
    assert not client.closed
    client = context.client("d", V311, keep_alive=100)
    context.world.advance(149)
    assert not client.closed
    context.world.advance(2)
    assert client.closed


class Rights:
    """May do nothing but subscribe to a."""

    def publish(self, topic):
        raise Refusal("not-authorized", "you may not publish to that")

    def subscribe(self, filter):
        if filter != "a":
            raise Refusal("not-authorized", "you may not subscribe to that")

    def receives(self, topic):
        return topic == "a"


@pytest.mark.parametrize(("qos", "kind"), [(1, PUBACK), (2, PUBREC)])
@pytest.mark.mqtt("5:3.4.2-2", "5:3.5.2-2", "5:3.1.2-29")
def test_a_refused_message_gets_a_reason(qos, kind):
    context = MqttHub(rights=lambda session: Rights())
    (reported,) = context.client("c").publish("b", qos=qos, id=5)
    assert reported == Ack(kind=kind, id=5, code=0x87, properties={"reason_string": "you may not publish to that"})
    properties = {"request_problem_information": 0}
    (reported,) = context.client("d", properties=properties).publish("b", qos=qos, id=5)
    assert reported == Ack(kind=kind, id=5, code=0x87)
    (reported,) = context.client("e", properties={"maximum_packet_size": 45}).publish("b", qos=qos, id=5)
    assert reported == Ack(kind=kind, id=5, code=0x87, properties={"reason_string": "you may not publish to that"})
    (reported,) = context.client("f", V311).publish("b", qos=qos, id=5)
    assert reported == Ack(kind=kind, id=5)


@pytest.mark.mqtt("5:3.9.2-1", "5:3.1.2-29")
def test_a_refused_subscription_gets_a_reason():
    context = MqttHub(rights=lambda session: Rights())
    (reported,) = context.client("c").subscribe(subscription("a"), subscription("b"))
    assert reported.codes == [0, 0x87]
    assert reported.properties == {"reason_string": "you may not subscribe to that"}
    (reported,) = context.client("d", properties={"request_problem_information": 0}).subscribe(
        subscription("a"), subscription("b")
    )
    assert reported == Suback(id=1, codes=[0, 0x87])
    (reported,) = context.client("d", V311).subscribe(subscription("a"), subscription("b"))
    assert reported == Suback(id=1, codes=[0, 0x80])


@pytest.mark.parametrize(
    ("reason", "refusal", "code"),
    [
        ("taken over", None, 0x8E),
        ("its name means another address", None, 0x98),
        ("kicked", Refusal("unavailable", "an operator has closed it"), 0x98),
        ("x", Refusal("not-authorized", "the login has expired"), 0x87),
        ("x", Refusal("quota", "you haven't acknowledged"), 0x97),
        ("x", Refusal("rate-limited", "too fast"), 0x96),
    ],
)
@pytest.mark.mqtt("5:3.14.2-1")
def test_why_the_hub_ends_a_connection(reason, refusal, code):
    context = MqttHub()
    new, old = context.client("c"), context.client("d", V311)
    for link in list(context.listener.context.links):
        link.close(reason, refusal)
    context.world.turn()
    (gone,) = new.output()
    assert isinstance(gone, Disconnect)
    assert gone.code == code
    assert gone.properties == {"reason_string": refusal.reason if refusal else reason}
    assert old.output() == []
    assert new.closed
    assert old.closed


@pytest.mark.parametrize(("options", "codes"), [({}, []), ({"disconnect": "yes"}, [0x8B])])
def test_a_stopping_daemon_says_nothing_unless_it_is_configured_to(options, codes):
    """Whether real clients come back: interop/test_restart.py."""
    context = MqttHub(options=options)
    new, old = context.client("c"), context.client("d", V311)
    for link in list(context.listener.context.links):
        link.close("shutdown")
    context.world.turn()
    assert [one.code for one in new.output()] == codes
    assert old.output() == []
    assert new.closed
    assert old.closed


@pytest.mark.parametrize(
    ("kind", "code"), [(PUBACK, 0x92), (PUBREC, 0x01), (6, 0x10), (7, 0x80), (14, 0x10), (14, 0x86), (14, 0xA3)]
)
@pytest.mark.mqtt("5:3.4.2-1", "5:3.5.2-1", "5:3.6.2-1", "5:3.7.2-1")
def test_reason_codes_that_no_such_packet_has(kind, code):
    client = MqttHub().client("c")
    body = bytes((0, 1, code)) if kind != 14 else bytes((code,))
    found = client.raw(packets.packet(kind << 4 | 2 * (kind == 6), body))
    assert [one.code for one in found] == [0x82]
    assert client.closed


@pytest.mark.mqtt("5:3.1.2-24")
def test_a_connect_whose_answer_is_longer_than_the_client_takes():
    client = Client(MqttHub().listener, V5)
    answer = client.connect("c", properties={"maximum_packet_size": 10})
    assert answer in ([], packets.Connack(code=0x95))
    assert client.closed
