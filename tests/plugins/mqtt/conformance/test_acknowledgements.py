"""MQTT 5.0 section 4.3, 3.1.1 likewise: each QoS and stage of a delivery takes its own acknowledgement alone."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt.packets import Ack, Disconnect, Publish
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, MqttHub, case, kept, subscription

BOTH = pytest.mark.parametrize("version", [V311, V5])


def in_flight(version, qos):
    """A client with one message in flight to it, and what resumes its session."""
    hub = MqttHub()
    client = hub.client("c", version, **kept(version))
    client.subscribe(subscription("a", 2))
    hub.client("w").publish("a", b"once", qos=qos, id=1)
    (message,) = client.output()
    return client, message.id, lambda: hub.client("c", version, **kept(version))


def is_a_protocol_error(version, qos, before, kind, code=0):
    client, id, resume = in_flight(version, qos)
    for one in before:
        client.ack(one, id)
    found = client.ack(kind, id, code)
    assert client.closed
    assert [(type(one), one.code) for one in found] == ([(Disconnect, 0x82)] if version == V5 else [])
    (again,) = resume().first
    if before:
        assert again == Ack(kind=PUBREL, id=id)
    else:
        assert isinstance(again, Publish)
        assert (again.id, again.payload, again.qos, again.dup) == (id, b"once", qos, True)


@BOTH
@pytest.mark.parametrize(
    ("qos", "before", "kind"),
    [
        case("PUBREC at QoS 1", 1, (), PUBREC, shows="5:4.3.2-3 3.1.1:4.3.2-1"),
        case("PUBCOMP at QoS 1", 1, (), PUBCOMP, shows="5:4.3.2-3 3.1.1:4.3.2-1"),
        case("PUBACK at QoS 2", 2, (), PUBACK, shows="5:4.3.3-3 3.1.1:4.3.3-1"),
        case("PUBCOMP before PUBREC", 2, (), PUBCOMP, shows="5:4.3.3-3 3.1.1:4.3.3-1"),
        case("PUBACK after PUBREC", 2, (PUBREC,), PUBACK, shows="5:4.3.3-5 3.1.1:4.3.3-1"),
    ],
)
@pytest.mark.mqtt("5:4.13.1-1")
def test_a_wrong_acknowledgement_ends_the_connection_and_loses_nothing(version, qos, before, kind):
    is_a_protocol_error(version, qos, before, kind)


@pytest.mark.parametrize(
    ("qos", "before", "kind"),
    [
        case("PUBREC at QoS 1", 1, (), PUBREC, shows="5:4.3.2-3"),
        case("PUBACK at QoS 2", 2, (), PUBACK, shows="5:4.3.3-3"),
        case("PUBREC after PUBREC", 2, (PUBREC,), PUBREC, shows="5:4.3.3-5"),
    ],
)
@pytest.mark.mqtt("5:4.13.1-1")
def test_so_does_a_wrong_one_that_refuses_the_message(qos, before, kind):
    is_a_protocol_error(V5, qos, before, kind, 0x80)


@BOTH
@pytest.mark.mqtt("5:4.3.3-3", "5:4.3.3-4", "5:4.3.3-5", "3.1.1:4.3.3-1")
def test_a_pubrec_that_comes_again_is_answered_again(version):
    client, id, _ = in_flight(version, 2)
    for _ in range(2):
        assert client.ack(PUBREC, id) == [Ack(kind=PUBREL, id=id)]
    assert client.ack(PUBCOMP, id) == []
    assert not client.closed


@pytest.mark.parametrize(("qos", "kind"), [(1, PUBACK), (2, PUBREC)])
@pytest.mark.mqtt("5:4.3.2-3", "5:4.3.3-3", "5:4.3.3-4")
def test_a_message_that_the_client_refuses_is_not_sent_again(qos, kind):
    client, id, resume = in_flight(V5, qos)
    assert client.ack(kind, id, 0x97) == []
    assert not client.closed
    assert resume().first == []
