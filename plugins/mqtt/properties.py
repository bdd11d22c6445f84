"""Properties (MQTT 5.0 section 2.2.2) and the packet types that may have them (section 2.1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hubbub_plugins.mqtt.codes import QUOTA_EXCEEDED
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Cursor, Malformed, binary, text, varint

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(9, 16)
WILL = 0  # the will in CONNECT has properties of its own (section 3.1.3.2)

Properties = Mapping[str, Any]
"""By name. A value is an int, a bool, a str or bytes; `user_property` is a list of pairs, and the
`subscription_identifier` of a PUBLISH a list of ints."""


class Property(NamedTuple):
    """One row of the table.

    kind     u8, flag (a byte of 0 or 1), u16, u32, varint, text, binary or pair
    packets  the packet types that may have it
    nonzero  whether 0 is a protocol error
    """

    code: int
    name: str
    kind: str
    packets: frozenset[int]
    nonzero: bool = False


_ANSWERS = frozenset({CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH})
_EVERYWHERE = _ANSWERS | {CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, WILL}
_MESSAGE, _LOGIN, _BOTH = frozenset({PUBLISH, WILL}), frozenset({CONNECT, CONNACK, AUTH}), frozenset({CONNECT, CONNACK})

TABLE = (
    Property(0x01, "payload_format_indicator", "flag", _MESSAGE),
    Property(0x02, "message_expiry_interval", "u32", _MESSAGE),
    Property(0x03, "content_type", "text", _MESSAGE),
    Property(0x08, "response_topic", "text", _MESSAGE),
    Property(0x09, "correlation_data", "binary", _MESSAGE),
    Property(0x0B, "subscription_identifier", "varint", frozenset({PUBLISH, SUBSCRIBE}), nonzero=True),
    Property(0x11, "session_expiry_interval", "u32", _BOTH | {DISCONNECT}),
    Property(0x12, "assigned_client_identifier", "text", frozenset({CONNACK})),
    Property(0x13, "server_keep_alive", "u16", frozenset({CONNACK})),
    Property(0x15, "authentication_method", "text", _LOGIN),
    Property(0x16, "authentication_data", "binary", _LOGIN),
    Property(0x17, "request_problem_information", "flag", frozenset({CONNECT})),
    Property(0x18, "will_delay_interval", "u32", frozenset({WILL})),
    Property(0x19, "request_response_information", "flag", frozenset({CONNECT})),
    Property(0x1A, "response_information", "text", frozenset({CONNACK})),
    Property(0x1C, "server_reference", "text", frozenset({CONNACK, DISCONNECT})),
    Property(0x1F, "reason_string", "text", _ANSWERS),
    Property(0x21, "receive_maximum", "u16", _BOTH, nonzero=True),
    Property(0x22, "topic_alias_maximum", "u16", _BOTH),
    Property(0x23, "topic_alias", "u16", frozenset({PUBLISH})),
    Property(0x24, "maximum_qos", "flag", frozenset({CONNACK})),
    Property(0x25, "retain_available", "flag", frozenset({CONNACK})),
    Property(0x26, "user_property", "pair", _EVERYWHERE),
    Property(0x27, "maximum_packet_size", "u32", _BOTH, nonzero=True),
    Property(0x28, "wildcard_subscription_available", "flag", frozenset({CONNACK})),
    Property(0x29, "subscription_identifier_available", "flag", frozenset({CONNACK})),
    Property(0x2A, "shared_subscription_available", "flag", frozenset({CONNACK})),
)
_BY_CODE = {one.code: one for one in TABLE}
_BY_NAME = {one.name: one for one in TABLE}
MAX_PROPERTIES = 1_000  # properties of one packet: real ones have under 20, and each costs an object


def read_properties(cursor: Cursor, packet: int) -> dict[str, Any]:
    """Read the properties of a packet of kind `packet`. Raises Malformed."""
    size = cursor.varint()
    inner = Cursor(cursor.data, cursor.at, cursor.at + size)
    cursor.take(size)
    found: dict[str, Any] = {}
    for _ in range(MAX_PROPERTIES + 1):  # once more to see the end
        if inner.done():
            return found
        _read_one(inner, packet, found)
    raise Malformed(f"a packet has more than {MAX_PROPERTIES} properties", QUOTA_EXCEEDED)


def _read_one(cursor: Cursor, packet: int, found: dict[str, Any]) -> None:
    row = _BY_CODE.get(cursor.varint())
    if row is None or packet not in row.packets:
        raise Malformed("a property doesn't belong here" if row else "there is no such property")
    value: Any = _READERS[row.kind](cursor)
    if row.nonzero and not value:
        raise Malformed(f"{row.name} is 0", PROTOCOL_ERROR)
    if row.kind == "flag" and value > 1:
        raise Malformed(f"{row.name} is neither 0 nor 1", PROTOCOL_ERROR)
    if row.kind == "pair" or (row.kind == "varint" and packet == PUBLISH):
        found.setdefault(row.name, []).append(value)
    elif row.name in found:
        raise Malformed(f"{row.name} is given twice", PROTOCOL_ERROR)
    else:
        found[row.name] = value


_READERS = {
    "u8": Cursor.u8,
    "flag": Cursor.u8,
    "u16": Cursor.u16,
    "u32": Cursor.u32,
    "varint": Cursor.varint,
    "text": Cursor.text,
    "binary": Cursor.binary,
    "pair": lambda cursor: (cursor.text(), cursor.text()),
}


def write_properties(properties: Properties, more: bytes = b"", length: bool = True) -> bytes:
    """Write properties, with their length before them unless not `length`; those that are None are left out.

    more  others that are written already
    """
    found = []
    for name, value in properties.items():
        if value is None:
            continue
        row = _BY_NAME[name]
        head = bytes((row.code,))
        values = value if isinstance(value, (list, tuple)) else (value,)
        found += [head + _WRITERS[row.kind](one) for one in values]
    found.append(more)
    data = b"".join(found)
    return varint(len(data)) + data if length else data


_WRITERS: dict[str, Any] = {
    "u8": lambda value: bytes((value,)),
    "flag": lambda value: bytes((value,)),
    "u16": lambda value: value.to_bytes(2, "big"),
    "u32": lambda value: value.to_bytes(4, "big"),
    "varint": varint,
    "text": text,
    "binary": binary,
    "pair": lambda pair: text(pair[0]) + text(pair[1]),
}
