"""SEND and MESSAGE frames, and the hub's messages: one becomes the other (STOMP 1.2, SEND and MESSAGE)."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Any, NamedTuple

from hubbub import Message, Publish, QosPublish, Splice, Text, limits
from hubbub_plugins.stomp.destinations import QUEUE, destination_of, style_of, topic_of
from hubbub_plugins.stomp.frames import Frame, Malformed, write_header, write_headers

ACKED = b"MESSAGE\nsubscription:"  # what each MESSAGE begins with
_BASE64 = "base64:"
_MESSAGE_ID = b"message-id:"
_OWN = frozenset(
    "destination content-length content-type receipt transaction persistent expires reply-to correlation-id retain "
    "retained message-id subscription ack redelivered".split()
)
"""Headers with a meaning of their own; all others are user properties."""
_TIME_DIGITS = 15  # of Unix milliseconds


class Form(NamedTuple):
    """The wire format of a subscription.

    style      how its destinations begin, see destinations.py
    acked      whether the client acknowledges its messages
    websocket  whether a unit is a text message or a binary one
    """

    version: str
    style: str
    acked: bool
    websocket: bool


# SEND


def send_event(frame: Frame) -> Publish | QosPublish:
    """Return the event of a SEND frame. Raises Malformed, BadTopic."""
    destination, headers, body = frame.header("destination"), frame.headers, frame.body
    topic = topic_of(destination)
    reply_to, content_type = headers.get("reply-to"), headers.get("content-type")
    if reply_to is not None:
        reply_to = topic_of(reply_to)
    if content_type is not None and len(content_type) > limits.NAME_CHARACTERS:
        raise Malformed(f"a content-type has more than {limits.NAME_CHARACTERS} characters")
    properties = {name: value for name, value in headers.items() if name not in _OWN} or None
    if properties is not None and len(properties) > limits.PROPERTIES:
        raise Malformed(f"a message has more than {limits.PROPERTIES} headers of its own", "quota")
    retain, receipt = headers.get("retain") == "true", headers.get("receipt")
    qos = int(style_of(destination) == QUEUE or headers.get("persistent") == "true")
    correlation, expires = headers.get("correlation-id"), _expires(headers.get("expires", "0"))
    if not qos and correlation is None and expires is None:
        return Publish(topic, body, retain, content_type, reply_to, properties, receipt)
    event = QosPublish(topic, body, qos, None, retain, content_type, reply_to, properties, receipt)
    event.expires = expires
    event.correlation = None if correlation is None else _read_correlation(correlation)
    return event


def _expires(value: str) -> float | None:
    """Return Unix seconds when a message expires; 0 is never."""
    if not (value.isascii() and value.isdigit() and len(value) <= _TIME_DIGITS):
        raise Malformed("expires is a time in Unix milliseconds, or 0")
    return int(value) / 1_000 or None


def _read_correlation(value: str) -> bytes:
    """Return correlation data. Bytes that no header can say are written in base64, and nothing else is read so."""
    if value.startswith(_BASE64):
        try:
            data = b64decode(value[len(_BASE64) :], validate=True)
        except (binascii.Error, ValueError):
            return value.encode()
        if _write_correlation(data) == value:
            return data
    return value.encode()


def _write_correlation(data: bytes) -> str:
    try:
        if b"\0" not in data and b"\n" not in data:
            return data.decode()
    except UnicodeDecodeError:
        pass
    return _BASE64 + b64encode(data).decode()


# MESSAGE


class _Numbers:
    """Numbers messages, so that each has an id of its own. Formats of one message that are encoded at once share it."""

    def __init__(self) -> None:
        self._last: Message | None = None
        self._number = 0

    def of(self, message: Message) -> int:
        if message is not self._last:
            self._last = message
            self._number += 1
        return self._number


class _Destinations(dict[tuple[str, Form], bytes | None]):
    """Header lines of topics, None for one that the version can't say. Bounded."""

    def __missing__(self, key: tuple[str, Form]) -> bytes | None:
        topic, form = key
        line = write_header("destination", destination_of(topic, form.style), form.version) or None
        if len(topic) <= limits.MATCH_CACHE_TOPIC:
            if len(self) >= limits.MATCH_CACHE:
                self.clear()
            self[key] = line
        return line


_NUMBERS = _Numbers()
_DESTINATIONS = _Destinations()


class TextSplice(Splice, Text):
    """A unit that a WebSocket sends as a text message."""


def encode_message(message: Message, form: Form) -> bytes | None:
    """Encode a MESSAGE, without the id of the subscription. None: the version can't say its topic."""
    destination = _DESTINATIONS[message.topic, form]
    if destination is None:
        return None
    payload, id = message.payload, b"%d-0" % _NUMBERS.of(message)
    more = write_headers(_headers_of(message, form), form.version) if _has_more(message) else b""
    ack = b"ack:%b\n" % id if form.acked else b""
    unit = b"%b\nmessage-id:%b\n%b%b%bcontent-length:%d\n\n%b\0" % (
        ACKED, id, ack, destination, more, len(payload), payload,
    )  # fmt: skip
    return (TextSplice if form.websocket and _is_text(payload) else Splice)(unit, len(ACKED))


def _has_more(message: Message) -> bool:
    return bool(
        message.content_type
        or message.reply_to
        or message.properties
        or message.retained
        or isinstance(message, QosPublish)
    )


def _headers_of(message: Message, form: Form) -> dict[str, str]:
    found: dict[str, Any] = {}
    if message.content_type is not None:
        found["content-type"] = message.content_type
    if message.reply_to is not None:
        found["reply-to"] = destination_of(message.reply_to, form.style)
    if message.retained:
        found["retained"] = "true"
    if isinstance(message, QosPublish):
        if message.qos:
            found["persistent"] = "true"
        if (expires := message.expires_at()) is not None:
            found["expires"] = str(round(1_000 * expires))
        if message.correlation is not None:
            found["correlation-id"] = _write_correlation(message.correlation)
    properties = message.properties or {}
    return {**{name: value for name, value in properties.items() if name not in _OWN}, **found}


def _is_text(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def with_ack_id(unit: bytes, id: int) -> tuple[bytes, bytes, str]:
    """Put a packet identifier into what `encode_message` returned, with the id of its subscription.

    Returns the unit, the subscription as it is written there, and what the client will call the message.
    """
    start = unit.index(b"\n", len(ACKED)) + 1  # a subscription's id has no LF
    number = unit[start + len(_MESSAGE_ID) : unit.index(b"-", start + len(_MESSAGE_ID))]
    token, end = b"%b-%d" % (number, id), unit.index(b"destination:", start)
    whole = b"%bmessage-id:%b\nack:%b\n%b" % (unit[:start], token, token, unit[end:])
    return whole, unit[len(ACKED) : start - 1], token.decode()
