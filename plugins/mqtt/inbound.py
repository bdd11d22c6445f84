"""What arrives on one connection beside the frequent packets: PUBLISH packets as they are, and acknowledgements."""

from __future__ import annotations

from hubbub import Ack, PublishOnce, QosPublish, Release
from hubbub.user_properties import ONCE
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.aliases import InboundAliases
from hubbub_plugins.mqtt.messages import qos_publish, too_large
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL

_STAGES = {PUBACK: "acknowledged", PUBREC: "received", PUBCOMP: "completed"}


class Inbound:
    """PUBLISH packets with their topics. `max_message`: bytes of the longest payload."""

    __slots__ = ("_aliases", "_max_message")

    def __init__(self, max_message: int) -> None:
        self._aliases = InboundAliases()
        self._max_message = max_message

    def topic(self, packet: packets.Publish) -> str:
        """Return the topic of a PUBLISH. Raises Malformed."""
        return self._aliases.topic(packet)

    def publish_once(self, topic: str, packet: packets.Publish) -> QosPublish | PublishOnce:
        """Return the event of a PUBLISH, whose user property `once` is an idempotency key. Raises Malformed."""
        message = self.publish(topic, packet)
        key = message.properties.get(ONCE) if message.properties else None
        return message if key is None else PublishOnce(key, message)

    def publish(self, topic: str, packet: packets.Publish) -> QosPublish:
        """Return the event of a PUBLISH. Raises Malformed."""
        self.check_size(packet.payload)
        tag = packet.id if packet.qos else None
        return qos_publish(topic, packet.payload, packet.qos, packet.retain, packet.id, packet.properties, tag)

    def check_size(self, payload: bytes) -> None:
        """Raise Malformed for a payload that is too long."""
        if len(payload) > self._max_message:
            raise too_large(self._max_message)


def acknowledgement(packet: packets.Ack) -> Ack | Release:
    """Return the event of PUBACK, PUBREC, PUBREL or PUBCOMP."""
    if packet.kind == PUBREL:
        return Release(packet.id, packet)
    rejected = packet.kind == PUBREC and packet.code >= 0x80  # section 4.3.3: then neither PUBREL nor PUBCOMP follows
    return Ack(packet.id, "rejected" if rejected else _STAGES[packet.kind], packet)
