"""The control packets of MQTT 3.1, 3.1.1 and 5.0 (section 3): decoded strictly, and encoded.

    decode(first byte, body, version)  ->  a packet, or Malformed
    packet.encode(version)             ->  bytes

CONNECT carries its own version; every other packet needs that of its connection: V31, V311 or V5.
"""

from __future__ import annotations

from collections.abc import Callable

from hubbub_plugins.mqtt import properties as kinds
from hubbub_plugins.mqtt.packets.connect import UNSUPPORTED_VERSION, Connack, Connect, Will
from hubbub_plugins.mqtt.packets.control import Auth, Disconnect, Pingreq, Pingresp
from hubbub_plugins.mqtt.packets.header import V5, V31, V311, packet
from hubbub_plugins.mqtt.packets.publish import Ack, Publish
from hubbub_plugins.mqtt.packets.subscribe import Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from hubbub_plugins.mqtt.wire import Cursor, Malformed

__all__ = [
    "UNSUPPORTED_VERSION", "V5", "V31", "V311", "Ack", "Auth", "Connack", "Connect", "Disconnect", "Packet", "Pingreq",
    "Pingresp", "Publish", "Suback", "Subscribe", "Subscription", "Unsuback", "Unsubscribe", "Will", "begin", "decode",
    "packet",
]  # fmt: skip

Packet = (
    Connect | Connack | Publish | Ack | Subscribe | Suback | Unsubscribe | Unsuback
    | Pingreq | Pingresp | Disconnect | Auth
)  # fmt: skip

_FLAGS = {kinds.PUBREL: 2, kinds.SUBSCRIBE: 2, kinds.UNSUBSCRIBE: 2}  # section 2.1.3; PUBLISH has flags of its own
_DECODERS: dict[int, Callable[[int, Cursor, int], Packet]] = {
    kinds.CONNECT: Connect.decode,
    kinds.CONNACK: Connack.decode,
    kinds.PUBLISH: Publish.decode,
    **{kind: Ack.decoder(kind) for kind in (kinds.PUBACK, kinds.PUBREC, kinds.PUBREL, kinds.PUBCOMP)},
    kinds.SUBSCRIBE: Subscribe.decode,
    kinds.SUBACK: Suback.decode,
    kinds.UNSUBSCRIBE: Unsubscribe.decode,
    kinds.UNSUBACK: Unsuback.decode,
    kinds.PINGREQ: Pingreq.decode,
    kinds.PINGRESP: Pingresp.decode,
    kinds.DISCONNECT: Disconnect.decode,
    kinds.AUTH: Auth.decode,
}


def begin(first: int, body: bytes, version: int) -> Subscribe | Unsubscribe | None:
    """Decode SUBSCRIBE or UNSUBSCRIBE but for the filters, which are decoded as they are looked at; None: another kind.

    Raises Malformed, and so do the filters.
    """
    if first == kinds.SUBSCRIBE << 4 | 2:
        return Subscribe.begin(Cursor(body), version)
    return Unsubscribe.begin(Cursor(body), version) if first == kinds.UNSUBSCRIBE << 4 | 2 else None


def decode(first: int, body: bytes, version: int) -> Packet:
    """Decode a packet from the first byte of its fixed header and its body. Raises Malformed."""
    kind, flags = first >> 4, first & 0x0F
    if kind not in _DECODERS:
        raise Malformed("a packet of the reserved kind 0")
    if kind != kinds.PUBLISH and flags != _FLAGS.get(kind, 0):
        raise Malformed("the flags of a fixed header aren't as they must be")  # MQTT-2.1.3-1
    cursor = Cursor(body)
    found = _DECODERS[kind](flags, cursor, version)
    if not cursor.done():
        raise Malformed("a packet has bytes after its last field", version=getattr(found, "version", 0))
    return found
