"""PUBLISH and its acknowledgements (MQTT 5.0 sections 3.3 to 3.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hubbub_plugins.mqtt.packets.header import V5, packet, read_packet_id, read_reason, write_reason
from hubbub_plugins.mqtt.properties import PUBLISH, PUBREL, Properties, read_properties, write_properties
from hubbub_plugins.mqtt.wire import Cursor, Malformed, text


@dataclass(slots=True, kw_only=True)
class Publish:
    """PUBLISH (section 3.3). `id` is 0 at QoS 0."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    dup: bool = False
    id: int = 0
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decode(flags: int, body: Cursor, version: int) -> Publish:
        """Read the body of PUBLISH. Raises Malformed."""
        qos = flags >> 1 & 3
        if qos == 3:
            raise Malformed("a PUBLISH of QoS 3")  # MQTT-3.3.1-4
        if flags & 8 and not qos:
            raise Malformed("DUP in a PUBLISH of QoS 0")  # MQTT-3.3.1-2
        topic = body.text()
        number = read_packet_id(body) if qos else 0
        properties = read_properties(body, PUBLISH) if version == V5 else {}
        return Publish(
            topic=topic,
            payload=body.rest(),
            qos=qos,
            retain=bool(flags & 1),
            dup=bool(flags & 8),
            id=number,
            properties=properties,
        )

    def encode(self, version: int) -> bytes:
        """Return the whole packet."""
        parts = [text(self.topic)]
        if self.qos:
            parts.append(self.id.to_bytes(2, "big"))
        if version == V5:
            parts.append(write_properties(self.properties))
        parts.append(self.payload)
        return packet(PUBLISH << 4 | 8 * self.dup | self.qos << 1 | self.retain, b"".join(parts))


@dataclass(slots=True, kw_only=True)
class Ack:
    """PUBACK, PUBREC, PUBREL or PUBCOMP, as `kind` says (sections 3.4 to 3.7)."""

    kind: int
    id: int
    code: int = 0
    properties: Properties = field(default_factory=dict)

    @staticmethod
    def decoder(kind: int) -> Callable[[int, Cursor, int], Ack]:
        """Return the function that reads the body of that kind. It raises Malformed."""

        def decode(flags: int, body: Cursor, version: int) -> Ack:
            found = Ack(kind=kind, id=read_packet_id(body))
            if version == V5:
                found.code, found.properties = read_reason(body, kind)
            return found

        return decode

    def encode(self, version: int) -> bytes:
        """Return the whole packet; success without properties is short (section 3.4.2.1)."""
        body = self.id.to_bytes(2, "big") + write_reason(self.code, self.properties, version)
        return packet(self.kind << 4 | 2 * (self.kind == PUBREL), body)
