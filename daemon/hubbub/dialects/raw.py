"""raw: messages without commands. Each frame is a message on `topic=`; what matches `subscribe=` is written out.

    dialect=raw:end=crlf:topic=plant/7      T=21.5\\r\\n is the message T=21.5 on plant/7
    dialect=raw:length=u16be:topic=scale    two bytes of length, then the message
    dialect=raw:size=8:topic=meter          eight bytes a message
    dialect=raw:gap=20ms:topic=rtu          a pause of 20 ms ends a message
    dialect=raw:topic=echo                  each chunk that arrives; over UDP each datagram, on WebSocket each message

What goes out is framed the same way.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from hubbub.dialect import Dialect, DialectContext, Text
from hubbub.errors import Refusal
from hubbub.events import Close, Event, Fault, Subscribe
from hubbub.framing import LENGTHS, EndReader, LengthReader, Reader, SizeReader, TooLong, prefixed
from hubbub.message import Message, Sender
from hubbub.option import choice, duration, option
from hubbub.publish import Publish
from hubbub.template import Template

_MARKS = {"crlf": b"\r\n", "lf": b"\n", "cr": b"\r", "nul": b"\0"}
_TOPIC = Template("raw/{id}")
_TEXT = "text/plain; charset=utf-8"
_BINARY = "application/octet-stream"


def mark(text: Any) -> bytes:
    """Read an end mark: a name, or hexadecimal digits of 1 to 8 bytes."""
    found = _MARKS.get(str(text))
    if found is None:
        try:
            found = bytes.fromhex(str(text))
        except ValueError:
            found = b""
    if not 1 <= len(found) <= 8:
        raise ValueError("expected crlf, lf, cr, nul or the hexadecimal digits of 1 to 8 bytes, such as 0d0a")
    return found


def positive(text: Any) -> int:
    """Read a frame's size in bytes, at least 1."""
    if not str(text).isdecimal() or int(text) < 1:
        raise ValueError("expected a number of bytes, at least 1, such as 8")
    return int(text)


class Raw(Dialect):
    """Messages without commands, for devices that know no protocol."""

    roles = ("server", "client")
    full = "disconnect"  # a hole would corrupt the stream

    end = option(None, mark, "the mark that ends a frame: crlf, lf, cr, nul or hexadecimal digits")
    size = option(None, positive, "bytes in each frame")
    length = option(None, choice(*LENGTHS), "the length field before each frame: u8, u16be, u16le, u32be, u32le")
    gap_ = option(None, duration, "the silence that ends a frame")

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._reader = self._make_reader()
        self._topic: str | None = None
        self._waiting = bytearray()  # what a gap will end

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return context.max_message

    def _make_reader(self) -> Reader | None:
        longest = self.context.max_message
        if self.end is not None:
            return EndReader(self.end, longest)
        if self.size is not None:
            return SizeReader(self.size)
        if self.length is not None:
            return LengthReader(self.length, longest)
        return None

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        if self._reader is None and (self.gap_ is None or not self.context.stream):
            return self._messages([data], text)
        if self._reader is None:
            return self._wait(data, now)
        try:
            frames = self._reader.feed(data)
        except TooLong as error:
            return [*self._messages(error.frames, text), self._too_long()]
        if not self.context.stream:
            return self._messages(frames, text) + self._unit_ends(text)
        return self._messages(frames, text)

    def _wait(self, data: bytes, now: float) -> list[Event | Message]:
        assert self.gap_ is not None
        self._waiting += data
        self.deadline = now + self.gap_
        if len(self._waiting) > self.context.max_message:
            self.deadline = None
            return [self._too_long()]
        return []

    def timeout(self, now: float) -> list[Event | Message]:
        self.deadline = None
        frame = bytes(self._waiting)
        self._waiting.clear()
        return self._messages([frame], None) if frame else []

    def eof(self, now: float) -> list[Event | Message]:
        if self._reader is None:
            return self.timeout(now)
        return self._unit_ends(None)

    def held(self) -> str:
        if self._reader is not None:
            return self._reader.held()
        return f"{len(self._waiting)} bytes held until a pause ends them" if self._waiting else ""

    def _unit_ends(self, text: bool | None) -> list[Event | Message]:
        """The end of a unit, or of a stream, is a mark too; what a length or a size promised is missing."""
        assert self._reader is not None
        rest = self._reader.rest()
        if not rest:
            return []
        if self.end is not None:
            return self._messages([rest], text)
        return [Fault(Refusal("bad-payload", f"the last frame is cut short: {len(rest)} bytes of it"))]

    def _messages(self, frames: list[bytes], text: bool | None) -> list[Event | Message]:
        topic = self._topic
        if topic is None:
            topic = self._topic = (self.context.topic or _TOPIC).fill(self.peer.fields())
        kind = None if text is None else _TEXT if text else _BINARY
        longest = self.context.max_message
        if frames and len(frames[0]) > longest:
            return [self._too_long()]
        return [Publish(topic, frame, content_type=kind) for frame in frames]

    def _too_long(self) -> Close:
        refusal = Refusal("too-long", f"a frame is longer than {self.context.max_message} bytes")
        return Close(refusal.reason, b"", refusal)

    def form(self, subscription: Subscribe) -> Hashable:
        return self.context.transport

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        payload = message.payload
        if cls.end is not None:
            frame = payload + cls.end if cls.end not in payload else None
        elif cls.size is not None:
            frame = payload if len(payload) == cls.size else None
        elif cls.length is not None:
            frame = prefixed(payload, cls.length) if len(payload) < 256 ** LENGTHS[cls.length][0] else None
        else:
            frame = payload if payload or form != "tcp" else None
        if frame is not None and form == "websocket" and _is_text(message):
            return Text(frame)
        return frame


def _is_text(message: Message) -> bool:
    kind = message.content_type or ""
    return kind.startswith(("text/", "application/json")) and message.text is not None
