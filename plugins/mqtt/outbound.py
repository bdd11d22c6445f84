"""What goes out on one connection besides messages: acknowledgements and DISCONNECT, as the other side accepts them."""

from __future__ import annotations

from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V5, Disconnect
from hubbub_plugins.mqtt.properties import PUBREL


class Outbound:
    """What the other side accepts, and the packets that answer it.

    version          of the protocol; 0 until it is known
    max_packet       bytes of the longest packet that it accepts, or None (MQTT-3.1.2-24)
    explain          whether answers may have a reason string (request problem information, MQTT-3.1.2-29)
    """

    __slots__ = ("explain", "max_packet", "version")

    def __init__(self, version: int = 0, max_packet: int | None = None, explain: bool = False) -> None:
        self.version = version
        self.max_packet = max_packet
        self.explain = explain

    def fits(self, data: bytes) -> bool:
        """Return whether the other side accepts a packet of that length."""
        return self.max_packet is None or len(data) <= self.max_packet

    def ack(self, kind: int, id: int, code: int = 0, reason: str = "") -> bytes:
        """Encode PUBACK, PUBREC, PUBREL or PUBCOMP."""
        if not code:
            return bytes((kind << 4 | 2 * (kind == PUBREL), 2, id >> 8, id & 0xFF))  # section 3.4.2.1
        if reason and self.explain:
            data = packets.Ack(kind=kind, id=id, code=code, properties={"reason_string": reason}).encode(self.version)
            if self.fits(data):
                return data
        return packets.Ack(kind=kind, id=id, code=code).encode(self.version)

    def disconnect(self, code: int, reason: str) -> bytes:
        """Encode a DISCONNECT of version 5; empty if it doesn't fit (MQTT-3.14.2-3), or for another version."""
        if self.version != V5:
            return b""
        for properties in ({"reason_string": reason}, {}):
            data = Disconnect(code=code, properties=properties).encode(V5)
            if self.fits(data):
                return data
        return b""
