"""Messages between nodes that have a topic, a payload and a QoS alone: most, so this is quick. See message_codec.

    HPUB a.b 96 100 CR LF  NATS/1.0 CR LF  hubbub-path: NODE CR LF  Hubbub-Number: 17 CR LF  CR LF  payload CR LF

A node has an id of 16 characters; what is otherwise, or on a line that didn't come before, is left to the other reader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hubbub import limits
from hubbub.errors import BadTopic, Refusal
from hubbub.loop_prevention import PATH
from hubbub.message import Message
from hubbub.nats_protocol.messages import Heads
from hubbub.nats_protocol.subjects import topic_of
from hubbub.publish import Publish, QosPublish

BEGIN = f"NATS/1.0\r\n{PATH}: ".encode()
NUMBER = b"Hubbub-Number: "
DIGITS = 15  # of a number
_NODE = 16  # characters of an id
_BEGINNING = len(BEGIN) + _NODE + 2 + len(NUMBER)
_END = b"\r\n\r\n"


class KnownNode:
    """A node. `last`: the number of its newest message."""

    __slots__ = ("last", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.last = 0


class PlainHead:
    """A line that came before. `headers`, `size`: bytes of the headers, and of these with the payload."""

    __slots__ = ("headers", "line", "size", "topic")

    def __init__(self, line: bytes, topic: str, headers: int, size: int) -> None:
        self.line = line
        self.topic = topic
        self.headers = headers
        self.size = size


class PlainReader:
    """Publishes plain messages of other nodes.

    publish  publishes messages with one topic, one at least; session: their sender
    nodes    those that are known, by the first bytes of their headers
    count    messages; refused: those that couldn't be published
    """

    __slots__ = ("count", "nodes", "publish", "refused", "session", "_heads")

    def __init__(self, publish: Callable[[list[Publish]], object], session: Any) -> None:
        self.count = 0
        self.nodes: dict[bytes, KnownNode] = {}
        self.publish = publish
        self.refused = 0
        self.session = session
        self._heads: dict[bytes, PlainHead] = {}

    def know(self, node: KnownNode) -> None:
        """Take plain messages of a node from now on."""
        self.nodes[_beginning(node.path)] = node

    def forget(self, node: KnownNode) -> None:
        """Know a node no longer."""
        self.nodes.pop(_beginning(node.path), None)

    def learn(self, line: bytes, subject: bytes, headers: int, size: int) -> None:
        """Read messages behind that line, when it comes again; not on what begins with $, which may be refused."""
        plain = _BEGINNING < headers - len(_END) <= _BEGINNING + DIGITS and not subject.startswith(b"$")
        if plain and len(line) <= limits.TOPIC_TABLE_BYTES:
            try:
                topic = topic_of(subject.decode())
            except (BadTopic, UnicodeDecodeError):
                return
            if len(self._heads) >= limits.TOPIC_TABLE:
                self._heads.clear()
            self._heads[line] = PlainHead(line, topic, headers, size)

    def read(self, data: bytes, at: int) -> int:
        """Publish the plain messages that stand at `at`, one behind the other; return where they end."""
        heads, nodes, end = self._heads, self.nodes, len(data)
        while at < end:
            start = data.find(b"\n", at) + 1
            head = heads.get(data[at:start]) if start else None  # slices begin and end within what is there
            if head is None or start + head.size + 2 > end:
                break
            beginning = data[start : start + _BEGINNING]
            node = nodes.get(beginning)
            digits = data[start + _BEGINNING : start + head.headers]
            if node is None or digits[-4:] != _END or not digits[:-4].isdigit():
                break
            number = int(digits)  # which takes no notice of the end
            found, behind = self._cut(data, at, head, beginning, number)
            if not found:
                break
            at = behind
            new = found[max(0, node.last + 1 - number) :]
            if new:
                node.last = number + len(found) - 1
                self._publish(new, node.path)
        return at

    def _cut(self, data: bytes, at: int, head: PlainHead, begin: bytes, number: int) -> tuple[list[Publish], int]:
        """Return the messages at `at` and behind that have one line, with numbers in a row, and where they end."""
        topic, line, beginning = head.topic, len(head.line), head.line + begin
        found: list[Publish] = []
        while data.startswith(b"%b%d\r\n\r\n" % (beginning, number), at):
            body, stop = at + line + head.headers, at + line + head.size
            if data[stop : stop + 2] != b"\r\n":
                break
            found.append(Publish(topic, data[body:stop]))
            number += 1
            at = stop + 2
        return found, at

    def _publish(self, messages: list[Publish], path: str) -> None:
        session = self.session
        for message in messages:
            message.sender, message.path = session, path
        self.count += len(messages)
        try:
            self.publish(messages)
        except Refusal:
            self.refused += len(messages)


def _beginning(node: str) -> bytes:
    """Return the first bytes of the headers of a node's messages."""
    return b"%b%b\r\n%b" % (BEGIN, node.encode(), NUMBER)


class PlainWriter:
    """Encodes the messages of one node, plain ones itself, and those that are in the stream too and have no properties.

    most    attribute: bytes of the longest payload that it encodes itself
    number  of the newest message
    other   encodes all other messages, which take their number by `next_number`
    taken   attribute: while there is something in it, no message is plain
    stored  by QoS: the header of a message that is in the stream too
    """

    __slots__ = ("most", "number", "other", "taken", "_begin", "_heads", "_node", "_size", "_stored")

    def __init__(
        self,
        node: str,
        other: Callable[[Message], bytes | None],
        taken: dict[Message, tuple[str, ...]],
        stored: Sequence[bytes],
    ) -> None:
        self.most = 0
        self.number = 0
        self.other = other
        self.taken = taken
        self._begin = _beginning(node)
        self._heads = Heads(b"HPUB")
        self._node = node
        self._size = len(self._begin) + len(_END)
        self._stored = [b"\r\n%b" % header for header in stored]

    def next_number(self) -> int:
        """Return the number of one more message."""
        self.number += 1
        return self.number

    def encode_all(self, messages: Sequence[Message]) -> list[bytes | None]:
        """Return messages as operations. None: NATS doesn't take one."""
        frames: list[bytes | None] = []
        prefix, topic, length, until, short = b"", "", -1, 0, False
        for message in messages:
            payload, number = message.payload, self.number + 1
            bare = message.properties is None and message.content_type is None and message.reply_to is None
            if message.topic is not topic or len(payload) != length or number >= until:
                # It begins otherwise than the last one did.
                topic, length, digits = message.topic, len(payload), len(b"%d" % number)
                short = length <= self.most and len(topic) <= limits.MATCH_CACHE_TOPIC
                size, until = self._size + digits, 10**digits
                prefix = b"%b %d %d\r\n%b" % (self._heads[topic], size, size + length, self._begin)
            if not bare or not short or message.hops or self.taken:
                frames.append(self.other(message))
            elif type(message) is not Publish or message.path:
                frames.append(self._encode_stored(message))
            else:
                self.number = number
                frames.append(b"%b%d\r\n\r\n%b\r\n" % (prefix, number, payload))
        return frames

    def _encode_stored(self, message: Message) -> bytes | None:
        if type(message) is not QosPublish or message.path != self._node:
            return self.other(message)
        if message.correlation is not None or message.message_expiry is not None:
            return self.other(message)
        payload, stored = message.payload, self._stored[message.qos]
        number = self.number = self.number + 1
        digits = b"%d" % number
        size = self._size + len(digits) + len(stored)
        return b"%b %d %d\r\n%b%b%b\r\n\r\n%b\r\n" % (
            self._heads[message.topic], size, size + len(payload), self._begin, digits, stored, payload,
        )  # fmt: skip


def encode_all(messages: Sequence[Message], writer: PlainWriter) -> list[bytes | None]:
    """Encode messages for a subscription whose form is a writer (kernel.routing.subscription.Encoding)."""
    return writer.encode_all(messages)
