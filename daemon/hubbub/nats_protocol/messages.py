"""Messages as operations: MSG and HMSG of a server, PUB and HPUB of a client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubbub import Message, limits
from hubbub.joined_frames import JoinedFrames
from hubbub.nats_protocol.headers import write_headers
from hubbub.nats_protocol.subjects import subject_of

_SIZES = tuple([b" %d\r\n" % size for size in range(1_024)])  # the ends of lines for the sizes of most payloads


class Heads(dict[str, bytes]):
    """The beginning of an operation, up to the subject, for each topic. Bounded."""

    def __init__(self, operation: bytes) -> None:
        self._operation = operation

    def __missing__(self, topic: str) -> bytes:
        head = b"%b %b" % (self._operation, subject_of(topic).encode())
        if len(topic) <= limits.MATCH_CACHE_TOPIC:
            if len(self) >= limits.MATCH_CACHE:
                self.clear()
            self[topic] = head
        return head


_MSG, _PUB = Heads(b"MSG"), Heads(b"PUB")


def encode_message(message: Message, id: bytes, headers: bool) -> bytes:
    """Encode MSG for a subscription with that id behind a space, or HMSG if the client takes `headers`."""
    head, tail = encode_around(message, headers)
    return head + id + tail


def encode_messages(messages: Sequence[Message], form: Any) -> Sequence[bytes]:
    """Encode messages for subscriptions with that form, an IdForm, each as `encode_message` does.

    form.shared is a tuple: whether the client takes headers, and whether its transport is a stream.
    """
    headers, stream = form.shared
    if stream and len(messages) > 1 and (alike := _encode_alike(messages, form.id)) is not None:
        return alike
    frames: list[bytes] = []
    for message in messages:
        payload = message.payload
        size = len(payload)
        plain = message.reply_to is None and message.properties is None and message.content_type is None
        if plain and size < len(_SIZES):
            frames.append(b"".join((_MSG[message.topic], form.id, _SIZES[size], payload, b"\r\n")))
        else:
            frames.append(encode_message(message, form.id, headers))
    return frames


def _encode_alike(messages: Sequence[Message], id: bytes) -> JoinedFrames | None:
    """Encode plain messages of one topic and size, which share their line, in one piece. None: they are others."""
    topic, size = messages[0].topic, len(messages[0].payload)
    if len(messages[-1].payload) != size:
        return None
    payloads = [
        message.payload
        for message in messages
        if message.reply_to is None
        and message.properties is None
        and message.content_type is None
        and message.topic == topic
    ]
    if len(payloads) < len(messages) or set(map(len, payloads)) != {size}:
        return None
    line = b"%b%b %d\r\n" % (_MSG[topic], id, size)
    data = b"".join((line, (b"\r\n" + line).join(payloads), b"\r\n"))
    whole = len(line) + size + 2
    return JoinedFrames(data, len(payloads), ends=range(whole, len(data) + 1, whole))


def encode_around(message: Message, headers: bool) -> tuple[bytes, bytes]:
    """Encode what stands before the id in MSG or HMSG, and what stands behind it."""
    return _encode(_MSG[message.topic], message, headers)


def encode_publish(message: Message, headers: bool) -> bytes:
    """Encode PUB, or HPUB if the server takes `headers`."""
    head, tail = _encode(_PUB[message.topic], message, headers)
    return head + tail


def _encode(head: bytes, message: Message, headers: bool) -> tuple[bytes, bytes]:
    reply = b"" if message.reply_to is None else b" " + subject_of(message.reply_to).encode()
    payload = message.payload
    if headers and (block := write_headers(message)):
        sizes = b" %d %d\r\n" % (len(block), len(block) + len(payload))
        return b"H" + head, b"".join((reply, sizes, block, payload, b"\r\n"))
    return head, b"".join((reply, b" %d\r\n" % len(payload), payload, b"\r\n"))
