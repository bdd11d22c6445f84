"""SEND and MESSAGE frames, and the hub's messages: one becomes the other (STOMP 1.2, SEND and MESSAGE)."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from functools import cache

from hubbub import Message, Publish, QosPublish, Text, limits
from hubbub.message import is_utf8
from hubbub_plugins.stomp.destinations import PLAIN, QUEUE, TOPIC, destination_of, style_of, topic_of
from hubbub_plugins.stomp.frames import V10, V11, V12, Frame, Malformed, write_header, write_headers

_BASE64 = "base64:"
_OWN = frozenset(
    "destination content-length content-type receipt transaction persistent expires reply-to correlation-id retain "
    "retained message-id subscription ack redelivered".split()
)
"""Headers with a meaning of their own; all others are user properties."""
_TIME_DIGITS = 15  # of Unix milliseconds


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


class Heads(dict[str, bytes]):
    """How a MESSAGE begins, for each topic; empty: the version can't say that one. Bounded.

    style  how its destinations begin, see destinations.py
    """

    def __init__(self, version: str, style: str) -> None:
        super().__init__()
        self.version = version
        self.style = style

    def __missing__(self, topic: str) -> bytes:
        line = write_header("destination", destination_of(topic, self.style), self.version)
        head = b"MESSAGE\n" + line if line else b""
        if len(topic) <= limits.MATCH_CACHE_TOPIC:
            if len(self) >= limits.MATCH_CACHE:
                self.clear()
            self[topic] = head
        return head


HEADS = {(version, style): Heads(version, style) for version in (V10, V11, V12) for style in (PLAIN, TOPIC, QUEUE)}


class Form:
    """The wire format of a subscription, without the header of its id. There is one of each, see `form_of`.

    heads      how its messages begin
    acked      whether the client acknowledges its messages
    websocket  whether a unit is a text message or a binary one
    """

    __slots__ = ("acked", "heads", "websocket")

    def __init__(self, heads: Heads, acked: bool, websocket: bool) -> None:
        self.acked = acked
        self.heads = heads
        self.websocket = websocket


@cache
def form_of(version: str, style: str, acked: bool, websocket: bool) -> Form:
    """Return the form for a version and a style of destinations: equal ones are the same object."""
    return Form(HEADS[version, style], acked, websocket)


class _Numbers:
    """The number of the last message; encodings of one message that are made one after the other share it.

    high, low  its digits: all but the last three, and these. Looking them up costs less than formatting a number
    """

    __slots__ = ("high", "low", "_last", "_next", "_thousands")

    def __init__(self) -> None:
        self.high = self.low = b""
        self._last: Message | None = None
        self._next = 1_000
        self._thousands = 999_999

    def take(self, message: Message) -> None:
        """Number a message."""
        if message is not self._last:
            self._last = message
            if self._next == 1_000:
                self._next = 0
                self._thousands += 1
                self.high = b"%d" % self._thousands
            self.low = _DIGITS[self._next]
            self._next += 1


_DIGITS = [b"%03d" % number for number in range(1_000)]
_LENGTHS = [b"-0\ncontent-length:%d\n\n" % size for size in range(1_024)]  # behind a number, for most payloads
_numbers = _Numbers()


def encode_plain(messages: Sequence[Message], form: Form, id: bytes) -> list[bytes | None]:
    """Encode messages that have no more than a short payload; `id`: the header of the id. None: one has more."""
    if form.acked or form.websocket:
        return [None] * len(messages)
    heads, numbers = form.heads, _numbers
    units: list[bytes | None] = []
    for message in messages:
        payload, head = message.payload, heads[message.topic]
        size = len(payload)
        if size < 1_024 and head and _is_plain(message):
            numbers.take(message)
            parts = (head, id, b"message-id:", numbers.high, numbers.low, _LENGTHS[size], payload, b"\0")
            units.append(b"".join(parts))
        else:
            units.append(None)
    return units


def encode_around(message: Message, form: Form) -> tuple[bytes, bytes] | None:
    """Encode what stands before the header of the id, and behind it. None: the version can't say its topic."""
    head = form.heads[message.topic]
    if not head:
        return None
    _numbers.take(message)
    number, payload = _numbers.high + _numbers.low, message.payload
    if not form.acked and not form.websocket and _is_plain(message):
        return head, b"message-id:%b-0\ncontent-length:%d\n\n%b\0" % (number, len(payload), payload)
    ack = b"ack:%b-0\n" % number if form.acked else b""
    more = write_headers(_headers_of(message, form.heads), form.heads.version)
    tail = b"message-id:%b-0\n%b%bcontent-length:%d\n\n%b\0" % (number, ack, more, len(payload), payload)
    return Text(head) if form.websocket and is_utf8(payload) else head, tail


def _is_plain(message: Message) -> bool:
    """Return whether a MESSAGE has no header that depends on more than its topic and its length."""
    return (
        type(message) is Publish
        and message.properties is None
        and message.content_type is None
        and message.reply_to is None
        and not message.retained
    )


def _headers_of(message: Message, heads: Heads) -> dict[str, str]:
    found: dict[str, str] = {}
    if message.content_type is not None:
        found["content-type"] = message.content_type
    if message.reply_to is not None:
        found["reply-to"] = destination_of(message.reply_to, heads.style)
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


def with_ack_id(unit: bytes, id: int) -> tuple[bytes, bytes, str]:
    """Put a packet identifier into what was encoded for a client that acknowledges.

    Returns the unit, the id of the subscription as it is written there, and what the client will call the message.
    """
    start = unit.index(_SUBSCRIPTION) + len(_SUBSCRIPTION)  # no value before has an LF
    at = unit.index(_MESSAGE_ID, start)
    end = unit.index(b"-0\n", at)
    token = b"%b-%d" % (unit[at + len(_MESSAGE_ID) : end], id)
    rest = end + 2
    if unit.startswith(b"\nack:", rest):
        rest = unit.index(b"\n", rest + 1)
    whole = b"%bmessage-id:%b\nack:%b%b" % (unit[: at + 1], token, token, unit[rest:])
    return whole, unit[start:at], token.decode()


_SUBSCRIPTION, _MESSAGE_ID = b"\nsubscription:", b"\nmessage-id:"
