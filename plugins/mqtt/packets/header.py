"""What all control packets share: versions, the fixed header, packet identifiers, reason codes (MQTT 5.0 section 2)."""

from __future__ import annotations

from hubbub_plugins.mqtt.properties import (
    AUTH,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Properties,
    read_properties,
    write_properties,
)
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Cursor, Malformed, varint

V31, V311, V5 = 3, 4, 5

_PUBLISH_CODES = frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
_RELEASE_CODES = frozenset({0x00, 0x92})
_REASON_CODES = {
    PUBACK: _PUBLISH_CODES,  # MQTT-3.4.2-1
    PUBREC: _PUBLISH_CODES,  # MQTT-3.5.2-1
    PUBREL: _RELEASE_CODES,  # MQTT-3.6.2-1
    PUBCOMP: _RELEASE_CODES,  # MQTT-3.7.2-1
    AUTH: frozenset({0x00, 0x18, 0x19}),  # MQTT-3.15.2-1
    DISCONNECT: frozenset({0x00, 0x04, *range(0x80, 0xA3)} - {0x84, 0x85, 0x86, 0x88, 0x8A, 0x91, 0x92}),
}  # MQTT-3.14.2-1


def packet(first: int, body: bytes) -> bytes:
    """Put the fixed header (section 2.1) before `body`."""
    return bytes((first,)) + varint(len(body)) + body


def read_packet_id(body: Cursor) -> int:
    """Read a packet identifier (section 2.2.1). Raises Malformed."""
    number = body.u16()
    if not number:
        raise Malformed("a packet identifier of 0", PROTOCOL_ERROR)  # MQTT-2.2.1-3
    return number


def read_reason(body: Cursor, kind: int) -> tuple[int, Properties]:
    """Read the reason code and the properties of a packet of that kind; both may be left out. Raises Malformed."""
    code = 0 if body.done() else body.u8()
    if code not in _REASON_CODES[kind]:
        raise Malformed(f"0x{code:02X} is no reason code of that packet", PROTOCOL_ERROR)
    return code, {} if body.done() else read_properties(body, kind)


def write_reason(code: int, properties: Properties, version: int) -> bytes:
    """Write a reason code and properties in the shortest form; nothing for success, or before 5.0."""
    if version != V5 or not (code or properties):
        return b""
    return bytes((code,)) + (write_properties(properties) if properties else b"")
