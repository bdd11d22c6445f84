"""What arrives on one connection: packets cut from the stream, PUBLISH packets with their topics."""

from __future__ import annotations

from hubbub import Ack, QosPublish, Release
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.aliases import InboundAliases
from hubbub_plugins.mqtt.messages import qos_publish, too_large
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL
from hubbub_plugins.mqtt.reader import Reader
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed

_STAGES = {PUBACK: "acknowledged", PUBREC: "received", PUBCOMP: "completed"}


class Inbound:
    """Packets in the order of their arrival.

    kind, name   of the packet that has to come first
    max_packet   bytes of the longest body of a packet
    max_message  bytes of the longest payload
    """

    __slots__ = ("max_packet", "_aliases", "_begun", "_first", "_max_message", "_name", "_reader")

    def __init__(self, kind: int, name: str, max_packet: int, max_message: int) -> None:
        self.max_packet = max_packet
        self._aliases = InboundAliases()
        self._begun = False
        self._first = kind << 4
        self._max_message = max_message
        self._name = name
        self._reader = Reader(max_packet)

    def read(self, data: bytes, text: bool | None) -> tuple[list[tuple[int, bytes]], Malformed | None]:
        """Return the packets that `data` completes, first byte and body each, and the error after them."""
        if text:
            return [], Malformed("MQTT goes in binary messages")  # MQTT-6.0.0-1
        if not self._begun and data:
            self._begun = True
            if data[0] != self._first:  # MQTT-3.1.0-1, MQTT-3.2.0-1
                return [], Malformed(f"the first packet isn't {self._name}", PROTOCOL_ERROR)
        return self._reader.feed(data)

    def topic(self, packet: packets.Publish) -> str:
        """Return the topic of a PUBLISH. Raises Malformed."""
        return self._aliases.topic(packet)

    def publish(self, topic: str, packet: packets.Publish) -> QosPublish:
        """Return the event of a PUBLISH. Raises Malformed."""
        self.check_size(packet.payload)
        tag = packet.id if packet.qos else None
        return qos_publish(topic, packet.payload, packet.qos, packet.retain, packet.id, packet.properties, tag)

    def check_size(self, payload: bytes) -> None:
        """Raise Malformed for a payload that is too long."""
        if len(payload) > self._max_message:
            raise too_large(self._max_message)

    def held(self) -> str:
        """Describe the incomplete packet; empty: there is none."""
        return self._reader.held()


def acknowledgement(packet: packets.Ack) -> Ack | Release:
    """Return the event of PUBACK, PUBREC, PUBREL or PUBCOMP."""
    if packet.kind == PUBREL:
        return Release(packet.id, packet)
    rejected = packet.kind == PUBREC and packet.code >= 0x80  # section 4.3.3: then neither PUBREL nor PUBCOMP follows
    return Ack(packet.id, "rejected" if rejected else _STAGES[packet.kind], packet)
