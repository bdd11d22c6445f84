"""PUBLISH packets and the hub's messages: one becomes the other (MQTT 5.0 section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from hubbub import Message, QosPublish
from hubbub.dialect import IdForm
from hubbub.errors import BadFilter, BadTopic
from hubbub.limits import MATCH_CACHE, MATCH_CACHE_TOPIC, NAME_CHARACTERS, PROPERTIES
from hubbub.topics import SHARE, check_filter, check_topic
from hubbub.user_properties import UserProperties, pairs_of
from hubbub_plugins.mqtt.codes import (
    IMPLEMENTATION_SPECIFIC_ERROR,
    PACKET_TOO_LARGE,
    QUOTA_EXCEEDED,
    TOPIC_NAME_INVALID,
)
from hubbub_plugins.mqtt.properties import Properties, write_properties
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, TEXT_BYTES, Malformed

POSITION = "position"  # a user property of messages of a subscription that began with the history
LOCAL_LIMITS = (IMPLEMENTATION_SPECIFIC_ERROR, QUOTA_EXCEEDED, PACKET_TOO_LARGE)
"""Reason codes of a PUBLISH that MQTT allows, and that is more than this hub accepts."""


def checked_topic(topic: str) -> str:
    """Return a topic name as it is (section 4.7). Raises Malformed."""
    if "\0" in topic:
        raise Malformed("a string contains U+0000")  # MQTT-1.5.4-2
    try:
        return check_topic(topic)
    except BadTopic as error:
        raise Malformed(f"a topic: {error.reason}", TOPIC_NAME_INVALID) from None


def checked_filter(filter: str, v5: bool) -> str:
    """Return a topic filter as it is. Raises Malformed, not for one that only this hub doesn't accept."""
    plain = filter
    if v5 and filter.startswith(SHARE):
        group, _, plain = filter[len(SHARE) :].partition("/")
        if not group or not plain or "+" in group or "#" in group:  # MQTT-4.8.2-1, MQTT-4.8.2-2
            raise Malformed("a shared filter is $share/GROUP/FILTER, with no + or # in the name of the group")
    try:
        check_filter(plain)
    except BadFilter as error:
        if not error.limit:  # MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.7.3-1
            raise Malformed(f"a filter: {error.reason}") from None
    return filter


def too_large(max_message: int) -> Malformed:
    """Return the error for a payload of more than `max_message` bytes."""
    return Malformed(f"a payload has more than {max_message} bytes", PACKET_TOO_LARGE)


def qos_publish(
    topic: str, payload: bytes, qos: int, retain: bool, id: int, properties: Properties, tag: Any = None
) -> QosPublish:
    """Return the event of a PUBLISH or a will message. Raises Malformed."""
    content_type, reply_to = properties.get("content_type"), properties.get("response_topic")
    if content_type is not None and len(content_type) > NAME_CHARACTERS:
        raise Malformed(f"a content type of more than {NAME_CHARACTERS} characters", IMPLEMENTATION_SPECIFIC_ERROR)
    if reply_to is not None:
        try:
            check_topic(reply_to)
        except BadTopic as error:
            raise Malformed(f"the response topic: {error.reason}", PROTOCOL_ERROR) from None  # MQTT-3.3.2-14
    pairs, format = properties.get("user_property", ()), properties.get("payload_format_indicator")
    if len(pairs) > PROPERTIES:
        raise Malformed(f"a message has more than {PROPERTIES} user properties", QUOTA_EXCEEDED)
    user_properties = UserProperties(pairs, format) if pairs or format is not None else None
    dedup_id = id if qos == 2 else None
    event = QosPublish(topic, payload, qos, dedup_id, retain, content_type, reply_to, user_properties, tag)
    event.message_expiry = properties.get("message_expiry_interval")
    event.correlation = properties.get("correlation_data")
    return event


@lru_cache(64)
def written_identifiers(identifiers: tuple[int, ...]) -> bytes:
    """Write subscription identifiers as properties; a client may have 10,000 that one message matches."""
    return write_properties({"subscription_identifier": list(identifiers)}, length=False)


def _properties_of(message: Message, identifiers: bytes, position: str) -> bytes | None:
    """Write the properties of a PUBLISH of version 5, and its position unless "". None: they can't be encoded."""
    found: dict[str, Any] = {}
    user_properties = message.properties
    if position:
        others = [pair for pair in pairs_of(user_properties) if pair[0] != POSITION]
        found["user_property"] = [*others, (POSITION, position)]
    if user_properties is not None:
        if user_properties and not position:
            found["user_property"] = list(pairs_of(user_properties))
        if (format := getattr(user_properties, "format", None)) is not None:
            found["payload_format_indicator"] = format
    if message.content_type is not None:
        found["content_type"] = message.content_type
    if message.reply_to is not None:
        found["response_topic"] = message.reply_to
    if isinstance(message, QosPublish):
        if message.correlation is not None:
            found["correlation_data"] = message.correlation
        if message.message_expiry is not None:
            found["message_expiry_interval"] = _whole_seconds(message.message_expiry)
    if not found and not identifiers:
        return b"\0"
    try:
        return write_properties(found, identifiers)
    except ValueError:  # a lone surrogate, or more than 65,535 bytes
        return None


def _whole_seconds(expiry: float) -> int:
    """Return a message expiry interval, rounded up: 0 is for ever to some brokers. Clocks differ by less than 1 ms."""
    return max(1, math.ceil(round(min(expiry, 0xFFFFFFFF), 3)))


def encode_publish(message: Message, form: Any) -> bytes | None:
    """Encode a PUBLISH (section 3.3); at QoS 1 and 2 with the packet identifier 0, see `MqttBase.frame_qos`.

    form  what `MqttBase.form` returned

    None: MQTT can't carry the message, or the other side takes no packet of that length.
    """
    v5, qos, retain_as_published, identifiers, max_packet, positions = form
    qos = min(qos, message.qos) if isinstance(message, QosPublish) else 0
    topic = message.topic.encode()
    if len(topic) > TEXT_BYTES or "\0" in message.topic:
        return None
    properties = _properties_of(message, identifiers, message.position if positions else "") if v5 else b""
    if properties is None:
        return None
    id, payload = b"\0\0" if qos else b"", message.payload
    size = 2 + len(topic) + len(id) + len(properties) + len(payload)
    retain = message.retained or (retain_as_published and message.retain)
    head = bytearray((0x30 | qos << 1 | retain,))
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head += bytes((size, len(topic) >> 8, len(topic) & 0xFF))
    frame = b"".join((head, topic, id, properties, payload))
    return frame if max_packet is None or len(frame) <= max_packet else None  # MQTT-3.1.2-24


class _TopicNames(dict[str, bytes]):
    """Topics as they stand in a PUBLISH: the length, then UTF-8. Bounded."""

    def __missing__(self, topic: str) -> bytes:
        name = topic.encode()
        if len(topic) > MATCH_CACHE_TOPIC or "\0" in topic:
            return b""
        if len(self) >= MATCH_CACHE:
            self.clear()
        self[topic] = written = len(name).to_bytes(2, "big") + name
        return written


_TOPIC_NAMES = _TopicNames()
_TWO_DIGITS = 0x4000  # a remaining length below it has two bytes at most (section 1.5.5), the fixed header three


def encode_publishes(messages: Sequence[Message], form: Any) -> list[bytes | None]:
    """Encode messages that go out together, as `encode_publish` does: those without properties in fewer steps."""
    if type(form) is IdForm:
        shared: Any = form.shared
        form = (*shared[:3], form.id, *shared[4:])
    v5, max_qos, _, identifiers, max_packet, positions = form
    if identifiers or positions or (max_packet is not None and max_packet < _TWO_DIGITS + 2):
        return [encode_publish(message, form) for message in messages]
    frames: list[bytes | None] = []
    end = b"\0" if v5 else b""  # no properties
    for message in messages:
        name, payload = _TOPIC_NAMES[message.topic], message.payload
        qos = min(message.qos, max_qos) if isinstance(message, QosPublish) else 0
        size = len(name) + len(end) + len(payload) + (2 if qos else 0)
        if not name or size >= _TWO_DIGITS or not _is_plain(message):
            frames.append(encode_publish(message, form))
            continue
        first = 0x30 | qos << 1
        head = bytes((first, size)) if size < 0x80 else bytes((first, size & 0x7F | 0x80, size >> 7))
        frames.append(b"".join((head, name, b"\0\0", end, payload) if qos else (head, name, end, payload)))
    return frames


def encode_around(message: Message, shared: Any) -> tuple[bytes, bytes] | None:
    """Return what comes before the identifiers of a PUBLISH, which end its properties, and its payload behind them.

    shared  as a form, with the length of the identifiers
    """
    v5, qos, as_published, size, max_packet, positions = shared
    frame = encode_publish(message, (v5, qos, as_published, bytes(size), max_packet, positions))
    return None if frame is None else (frame[: len(frame) - len(message.payload) - size], message.payload)


def _is_plain(message: Message) -> bool:
    """Return whether a PUBLISH of a message has neither RETAIN nor properties."""
    if message.retain or message.retained or message.properties is not None or message.content_type is not None:
        return False
    if isinstance(message, QosPublish) and (message.correlation is not None or message.message_expiry is not None):
        return False
    return message.reply_to is None


def topic_of(frame: bytes) -> str:
    """Return the topic of what `encode_publish` returned."""
    at = 1
    while frame[at] >= 0x80:
        at += 1
    size = int.from_bytes(frame[at + 1 : at + 3], "big")
    return frame[at + 3 : at + 3 + size].decode()
