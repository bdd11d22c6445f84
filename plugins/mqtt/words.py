"""What the hub's words are in MQTT: refusals as reason codes, a message's headers as properties."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hubbub import Message, QosPublish, Refusal
from hubbub.errors import BadTopic
from hubbub.limits import NAME_CHARACTERS, PROPERTIES
from hubbub.topics import check_topic
from hubbub_plugins.mqtt.properties import Properties, write_properties
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, TEXT_BYTES, Malformed

NOBODY, NO_SUBSCRIPTION = 0x10, 0x11
UNSPECIFIED, IMPLEMENTATION, NOT_AUTHORIZED, UNAVAILABLE = 0x80, 0x83, 0x87, 0x88
BAD_CLIENT, BAD_LOGIN, BAD_METHOD = 0x85, 0x86, 0x8C
SHUTTING_DOWN, KEEP_ALIVE, TAKEN_OVER, BY_OPERATOR = 0x8B, 0x8D, 0x8E, 0x98
FILTER_INVALID, TOPIC_INVALID, UNKNOWN_ID, RECEIVE_MAXIMUM, ALIAS_INVALID = 0x8F, 0x90, 0x92, 0x93, 0x94
TOO_LARGE, QUOTA, FORMAT_INVALID, TOO_OFTEN = 0x95, 0x97, 0x99, 0x9F

NODE = "hubbub-node"  # a user property of CONNECT and CONNACK between two hubs: what each is known as
REASONS = {
    "not-authorized": NOT_AUTHORIZED,
    "bad-topic": TOPIC_INVALID,
    "bad-filter": FILTER_INVALID,
    "too-long": TOO_LARGE,
    "rate-limited": 0x96,
    "quota": QUOTA,
    "bad-payload": FORMAT_INVALID,
}
_RETURNS = {0x84: 1, 0x85: 2, 0x86: 4, NOT_AUTHORIZED: 5, UNAVAILABLE: 3, QUOTA: 3, TOO_OFTEN: 3}  # 3.1.1, 3.2.2.3


def reason(refusal: Refusal) -> int:
    """Tell the reason code of a refusal (MQTT 5.0 section 2.4)."""
    return REASONS.get(refusal.code, UNSPECIFIED)


def taken(refusal: Refusal) -> int:
    """The same for PUBACK and PUBREC, which have no word for rates and lengths (section 3.4.2.1)."""
    code = reason(refusal)
    return QUOTA if code in (0x96, TOO_LARGE) else code


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
) -> QosPublish:
    """Make the event of a PUBLISH or a will. Raises Malformed."""
    kind, reply_to = properties.get("content_type"), properties.get("response_topic")
    if kind is not None and len(kind) > NAME_CHARACTERS:
        raise Malformed(f"a content type of more than {NAME_CHARACTERS} characters", IMPLEMENTATION)
    if reply_to is not None:
        try:
            check_topic(reply_to)
        except BadTopic as refusal:
            raise Malformed(f"the response topic: {refusal.reason}", PROTOCOL_ERROR) from None
    pairs, form = properties.get("user_property", ()), properties.get("payload_format_indicator")
    if len(pairs) > PROPERTIES:
        raise Malformed(f"a message has more than {PROPERTIES} user properties", QUOTA)
    headers = Headers(pairs, form) if pairs or form is not None else None
    once = id if qos == 2 else None
    found = QosPublish(topic, payload, qos, once, retain, kind, reply_to, headers, tag)
    found.message_expiry = properties.get("message_expiry_interval")
    found.correlation = properties.get("correlation_data")
    return found


def properties_of(message: Message, identifiers: tuple[int, ...]) -> bytes | None:
    """Write the properties that a message has for version 5. None: they can't be."""
    found: dict[str, Any] = {}
    headers = message.properties
    if headers is not None:
        if headers:
            found["user_property"] = list(getattr(headers, "pairs", None) or headers.items())
        if (form := getattr(headers, "format", None)) is not None:
            found["payload_format_indicator"] = form
    if message.content_type is not None:
        found["content_type"] = message.content_type
    if message.reply_to is not None:
        found["response_topic"] = message.reply_to
    if isinstance(message, QosPublish):
        if message.correlation is not None:
            found["correlation_data"] = message.correlation
        if message.message_expiry is not None:
            found["message_expiry_interval"] = max(0, min(int(message.message_expiry), 0xFFFFFFFF))
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
    properties = properties_of(message, identifiers) if five else b""
    if properties is None:
        return None
    id, payload = b"\0\0" if qos else b"", message.payload
    size = 2 + len(topic) + len(id) + len(properties) + len(payload)
    retain = message.retained or (keeps_retain and message.retain)
    head = bytearray((0x30 | qos << 1 | retain,))
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head += bytes((size, len(topic) >> 8, len(topic) & 0xFF))
    return b"".join((head, topic, id, properties, payload))


def own(frame: bytes, id: int, again: bool) -> bytes:
    """Put the packet identifier, and whether it was sent before, into what `encode_publish` wrote."""
    at = 1
    while frame[at] >= 0x80:
        at += 1
    at += 3 + (frame[at + 1] << 8 | frame[at + 2])
    owned = frame[:at] + id.to_bytes(2, "big") + frame[at + 2 :]
    return bytes((frame[0] | 8,)) + owned[1:] if again else owned
