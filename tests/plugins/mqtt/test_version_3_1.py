"""MQTT 3.1, where it differs from 3.1.1: bits that had no meaning yet, and fields that may be missing."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt.packets import V31, Connack, Pingresp, packet
from hubbub_plugins.mqtt.wire import text
from mqtt_client import V311, Client, MqttHub, kept

ACCEPTED = b"\x20\x02\0\0"


@pytest.fixture
def hub():
    return MqttHub()


def connect(name, version, flags, rest=b""):
    return packet(0x10, text(name) + bytes((version, flags)) + b"\0\x3c" + text("c") + rest)


def test_a_resumed_session_is_no_new_one_for_the_dialect(hub):
    """The first byte of CONNACK is reserved in 3.1 (section 3.2), and session present from 3.1.1 on."""
    for version, byte in ((V31, 0), (V311, 1)):
        name = f"c{version}"
        hub.client(name, version, **kept(version)).end.vanish()
        hub.world.turn()
        again = Client(hub.listener, version)
        hello = packet(
            0x10, text("MQIsdp" if version == V31 else "MQTT") + bytes((version, 0)) + b"\0\x3c" + text(name)
        )
        assert again.end.say(hello) == bytes((0x20, 2, byte, 0))


@pytest.mark.parametrize(
    ("flags", "rest", "code"),
    [
        pytest.param(0x03, b"", 0, id="the reserved bit"),
        pytest.param(0x0A, b"", 0, id="a will QoS without a will"),
        pytest.param(0x22, b"", 0, id="a will retain without a will"),
        pytest.param(0x82, b"", 0, id="a user name that is missing"),
        pytest.param(0xC2, text("ann"), 5, id="a password that is missing, of a user who is unknown"),
        pytest.param(0xC2, b"", 0, id="both missing"),
    ],
)
def test_flags_that_3_1_leaves_open_are_served(hub, flags, rest, code):
    """3.1 section 3.1: unused bits say nothing, and the remaining length goes before the flags of user and password."""
    old, new = Client(hub.listener, V31), Client(hub.listener, V311)
    assert old.raw(connect("MQIsdp", V31, flags, rest)) == [Connack(code=code)]
    assert code or old.ping() == [Pingresp()]
    assert new.raw(connect("MQTT", V311, flags, rest)) == []
    assert new.closed


@pytest.mark.parametrize(
    ("flags", "rest"),
    [
        pytest.param(0x1A, b"", id="a will of QoS 3"),
        pytest.param(0x1E, text("w") + text("x"), id="a will of QoS 3 that is there"),
        pytest.param(0x42, text("secret"), id="a password without a user name"),
        pytest.param(0x82, b"\0\5an", id="a user name that ends early"),
        pytest.param(0x02, text("x"), id="more behind the end"),
    ],
)
def test_what_is_malformed_in_3_1_too(hub, flags, rest):
    client = Client(hub.listener, V31)
    assert client.raw(connect("MQIsdp", V31, flags, rest)) == []
    assert client.closed
