"""What the hub's words are in MQTT: refusals as reason codes, a message's headers as properties."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hubbub import Letter, Message, Publish, Refusal
from hubbub.errors import BadTopic
from hubbub.limits import NAME_CHARACTERS, PROPERTIES
from hubbub.topics import check_topic
from hubbub_plugins.mqtt.properties import Properties, write_properties
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, TEXT_BYTES, Malformed

UNSPECIFIED, IMPLEMENTATION, NOT_AUTHORIZED, UNAVAILABLE = 0x80, 0x83, 0x87, 0x88
FILTER_INVALID, TOPIC_INVALID, RECEIVE_MAXIMUM, ALIAS_INVALID = 0x8F, 0x90, 0x93, 0x94
QUOTA, FORMAT_INVALID, NO_SHARED = 0x97, 0x99, 0x9E

REASONS = {
    "not-authorized": NOT_AUTHORIZED,
    "bad-topic": TOPIC_INVALID,
    "bad-filter": FILTER_INVALID,
    "too-long": 0x95,
    "rate-limited": 0x96,
    "quota": QUOTA,
    "bad-payload": FORMAT_INVALID,
}
_RETURNS = {0x84: 1, 0x85: 2, 0x86: 4, NOT_AUTHORIZED: 5, UNAVAILABLE: 3}  # of 3.1.1 section 3.2.2.3


def reason(no: Refusal) -> int:
    """Tell the reason code of a refusal (MQTT 5.0 section 2.4)."""
    return REASONS.get(no.code, UNSPECIFIED)


def return_code(code: int) -> int:
    """Tell the return code of 3.1.1's CONNACK for a reason code of 5.0; 0: there is none, so it closes in silence."""
    return _RETURNS.get(code, 0)


class Headers(dict[str, str]):
    """User properties: for handlers a mapping, for MQTT all pairs in order.

    format  the payload format indicator: None where it isn't said
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], format: int | None = None) -> None:
        self.pairs = tuple(pairs)
        self.format = format
        super().__init__(self.pairs)


def publish(
    topic: str, payload: bytes, qos: int, retain: bool, id: int, properties: Properties, tag: Any = None
) -> Publish:
    """Make the event of a PUBLISH or a will. Raises Malformed."""
    kind, reply_to = properties.get("content_type"), properties.get("response_topic")
    if kind is not None and len(kind) > NAME_CHARACTERS:
        raise Malformed(f"a content type of more than {NAME_CHARACTERS} characters", IMPLEMENTATION)
    if reply_to is not None:
        try:
            check_topic(reply_to)
        except BadTopic as no:
            raise Malformed(f"the response topic: {no.reason}", PROTOCOL_ERROR) from None
    pairs, form = properties.get("user_property", ()), properties.get("payload_format_indicator")
    if len(pairs) > PROPERTIES:
        raise Malformed(f"a message has more than {PROPERTIES} user properties", QUOTA)
    headers = Headers(pairs, form) if pairs or form is not None else None
    once = id if qos == 2 else None
    found = Letter(topic, payload, qos, once, retain, kind, reply_to, headers, tag)
    found.lifetime = properties.get("message_expiry_interval")
    found.correlation = properties.get("correlation_data")
    return found


def properties_of(message: Message, identifiers: tuple[int, ...]) -> bytes | None:
    """Write the properties that a message has for version 5. None: they can't be."""
    found: dict[str, Any] = {}
    headers = message.properties
    if headers:
        found["user_property"] = list(getattr(headers, "pairs", None) or headers.items())
    if (form := getattr(headers, "format", None)) is not None:
        found["payload_format_indicator"] = form
    if message.content_type is not None:
        found["content_type"] = message.content_type
    if message.reply_to is not None:
        found["response_topic"] = message.reply_to
    if isinstance(message, Letter):
        found["correlation_data"] = message.correlation
        if message.lifetime is not None:
            found["message_expiry_interval"] = max(0, min(int(message.lifetime), 0xFFFFFFFF))
    if identifiers:
        found["subscription_identifier"] = list(identifiers)
    if not found:
        return b"\0"
    try:
        return write_properties(found)
    except ValueError:  # a lone surrogate, or more than 65,535 bytes
        return None


def encode_publish(
    message: Message, five: bool, qos: int, keeps_retain: bool, identifiers: tuple[int, ...]
) -> bytes | None:
    """Write a PUBLISH (section 3.3); at quality 1 and 2 with the packet identifier 0, see `own`."""
    topic = message.topic.encode()
    if len(topic) > TEXT_BYTES or "\0" in message.topic:
        return None
    retain = message.retained or (keeps_retain and message.retain)
    parts = [len(topic).to_bytes(2, "big"), topic]
    if qos:
        parts.append(b"\0\0")
    if five:
        properties = properties_of(message, identifiers)
        if properties is None:
            return None
        parts.append(properties)
    parts.append(message.payload)
    size = sum(map(len, parts))
    head = bytearray((0x30 | qos << 1 | retain,))
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + b"".join(parts)


def own(frame: bytes, id: int, again: bool) -> bytes:
    """Put the packet identifier, and whether it was sent before, into what `encode_publish` wrote."""
    at = 1
    while frame[at] >= 0x80:
        at += 1
    at += 3 + int.from_bytes(frame[at + 1 : at + 3], "big")
    return bytes((frame[0] | 8 * again,)) + frame[1:at] + id.to_bytes(2, "big") + frame[at + 2 :]
