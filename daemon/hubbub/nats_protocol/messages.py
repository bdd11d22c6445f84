"""Messages as operations: MSG and HMSG of a server, PUB and HPUB of a client."""

from __future__ import annotations

from collections.abc import Sequence

from hubbub import Message, limits
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


def encode_messages(messages: Sequence[Message], id: bytes, headers: bool) -> list[bytes]:
    """Encode each as `encode_message` does; those without headers and reply subject are joined here, in one loop."""
    frames: list[bytes] = []
    for message in messages:
        payload = message.payload
        size = len(payload)
        plain = message.reply_to is None and message.properties is None and message.content_type is None
        if plain and size < len(_SIZES):
            frames.append(b"".join((_MSG[message.topic], id, _SIZES[size], payload, b"\r\n")))
        else:
            frames.append(encode_message(message, id, headers))
    return frames


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
