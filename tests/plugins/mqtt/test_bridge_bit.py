"""plugins/mqtt: brokers that dial hubbub, and say by a bit that they are bridges."""

from __future__ import annotations

import pytest

from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V31
from mqtt_client import V5, V311, Client, MqttHub


@pytest.mark.parametrize("version", [V31, V311])
def test_a_bridge_of_mosquitto_gets_no_message_back_and_keeps_retain_flags(version):
    """With the high bit of its version it says that it is one; 3.1.1 has no other way to ask for both."""
    hub = MqttHub()
    bridge, other = Client(hub.listener, version), hub.client("other")
    said = bytearray(packets.Connect(version=version, client="bridge").encode(version))
    said[said.index(b"MQTT" if version == V311 else b"MQIsdp") + (4 if version == V311 else 6)] |= 0x80
    assert bridge.raw(bytes(said)) == [packets.Connack()]
    bridge.subscribe("a/#")
    assert bridge.publish("a/b", retain=True) == []
    other.publish("a/c", b"kept", retain=True)
    (output,) = bridge.output()
    assert (output.topic, output.payload, output.retain) == ("a/c", b"kept", True)


def test_version_5_has_no_bit_for_bridges():
    """It has No Local and Retain As Published."""
    said = bytearray(packets.Connect(client="bridge").encode(V5))
    said[said.index(b"MQTT") + 4] |= 0x80
    client = Client(MqttHub().listener, V311)
    assert [one.code for one in client.raw(bytes(said))] == [1]
    assert client.closed
