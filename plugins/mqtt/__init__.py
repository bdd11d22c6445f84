"""MQTT 3.1, 3.1.1 and 5.0: see dialect.py for what it speaks, packets.py for how that is written."""

from hubbub_plugins.mqtt.dialect import Mqtt

__all__ = ["Mqtt"]
