"""MQTT 3.1, 3.1.1 and 5.0: dialect.py is the server's side, client.py the client's, packets/ the wire format."""

from hubbub_plugins.mqtt.dialect import Mqtt

__all__ = ["Mqtt"]
