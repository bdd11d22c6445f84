"""Messages as operations: MSG and HMSG of a server, PUB and HPUB of a client."""

from __future__ import annotations

from hubbub import Message, Splice, limits
from hubbub_plugins.nats.headers import write_headers
from hubbub_plugins.nats.subjects import subject_of


class Heads(dict[str, bytes]):
    """The beginning of an operation, up to the subject, for each topic. Bounded."""

    def __init__(self, operation: bytes) -> None:
        self._operation = operation

    def __missing__(self, topic: str) -> bytes:
        head = b"%b %b " % (self._operation, subject_of(topic).encode())
        if len(topic) <= limits.MATCH_CACHE_TOPIC:
            if len(self) >= limits.MATCH_CACHE:
                self.clear()
            self[topic] = head
        return head


_MSG, _PUB = Heads(b"MSG"), Heads(b"PUB")


def encode_message(message: Message, headers: bool) -> Splice:
    """Encode MSG, or HMSG if the client takes `headers`; the id of each subscription goes in at `at`."""
    head = _MSG[message.topic]
    if headers and (block := write_headers(message)):
        head = b"H" + head
        return Splice(head + _sized(message, block), len(head))
    return Splice(
        b"".join((head, _reply(message), b" %d\r\n" % len(message.payload), message.payload, b"\r\n")), len(head)
    )


def encode_publish(message: Message, headers: bool) -> bytes:
    """Encode PUB, or HPUB if the server takes `headers`."""
    head = _PUB[message.topic][:-1]
    if headers and (block := write_headers(message)):
        return b"H" + head + _sized(message, block)
    return b"".join((head, _reply(message), b" %d\r\n" % len(message.payload), message.payload, b"\r\n"))


def _sized(message: Message, block: bytes) -> bytes:
    """Return what follows the subject and id of a message with headers."""
    size = b" %d %d\r\n" % (len(block), len(block) + len(message.payload))
    return b"".join((_reply(message), size, block, message.payload, b"\r\n"))


def _reply(message: Message) -> bytes:
    return b"" if message.reply_to is None else b" " + subject_of(message.reply_to).encode()
