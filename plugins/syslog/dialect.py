"""The dialect: publishes log messages, and sends messages as log messages in the client role."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from hubbub import (
    DialectContext,
    Event,
    Fault,
    LineDialect,
    Message,
    Notice,
    Publish,
    Refusal,
    Sender,
    Subscribe,
    Template,
    choice,
    duration,
    option,
)
from hubbub.limits import PROPERTIES
from hubbub_plugins.syslog import cisco, rfc3164, rfc5424
from hubbub_plugins.syslog.entry import Entry
from hubbub_plugins.syslog.framing import Frames, cut_short, uncounted

SILENCE_SECONDS = 2.0  # seconds of silence until a stream without an end mark is checked for joined messages
_JOINED = (
    "a client sends messages without an end mark: each ends where the next begins, and the last one after a pause of "
    "2 s; gap=100ms on this listener shortens the pause"
)


def parse(frame: bytes) -> Entry:
    """Parse any message; one that follows neither RFC is text."""
    frame = frame.rstrip(b"\0\r\n")  # many senders end a message like a C string or a line
    return rfc5424.parse(frame) or cisco.parse(frame) or rfc3164.parse(frame)


class Syslog(LineDialect):
    """Log messages of RFC 5424 and 3164, over UDP, TCP and TLS; it sends only where it dials."""

    roles = ("server", "client")
    fields = ("hostname", "app", "severity", "facility", "procid", "msgid")
    single_line = ("udp", "websocket")

    format = option(
        "text",
        choice("text", "json", "raw"),
        "what is published: text, the message alone; json, an object of all fields; raw, the bytes as they came",
    )
    gap_ = option(
        None, duration, "for streams without end marks: <PRI> begins a message, and a pause of this length ends it"
    )

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._topic = context.topic or Template("syslog/{hostname}/{app}/{severity}")
        self._sender = peer.fields()
        self._silence = SILENCE_SECONDS if self.gap_ is None else self.gap_
        self._noticed = False

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A unit is a message."""
        return context.max_message

    def make_reader(self) -> Frames:
        """Return the reader that detects the framing."""
        return Frames(self.context.max_message, joined=self.gap_ is not None)

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        """Publish log messages; the last of a stream may wait for a pause."""
        events = super().receive(data, now, text)
        if isinstance(self.reader, Frames):
            self.deadline = now + self._silence if self.reader.waits else None
            events = [*self._notice(self.reader), *events]
        return events

    def timeout(self, now: float) -> list[Event | Message]:
        """Publish the messages that the pause has ended."""
        self.deadline = None
        if not isinstance(self.reader, Frames):
            return []
        events = self.read_lines(self.reader.pause(), now)
        return [*self._notice(self.reader), *events]

    def eof(self, now: float) -> list[Event | Message]:
        """Publish the last message, which needs no end mark; refuse a part of a counted one."""
        events = self.timeout(now)
        rest = self.reader.rest().removesuffix(b"\r") if self.reader is not None else b""
        if cut_short(rest):
            return [*events, _bad("the last message is shorter than its length")]
        return [*events, *self.read_lines([rest], now)] if rest else events

    def _notice(self, reader: Frames) -> list[Event | Message]:
        if not reader.guessed or self._noticed:
            return []
        self._noticed = True
        return [Notice(_JOINED)]

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        """Publish log messages."""
        return [self._message(line if self.context.stream else uncounted(line)) for line in lines]

    def _message(self, frame: bytes) -> Event | Message:
        if not frame:
            return _bad("an empty message")
        entry = parse(frame)
        fields = entry.fields
        fields.setdefault("hostname", self._sender["host"])
        topic = self._topic.fill({**self._sender, **fields})
        payload, kind = self._payload(frame, entry)
        if len(payload) > self.context.max_message:  # JSON writes some bytes as six
            return Fault(Refusal("too-long", f"a message as {self.format} is longer than {self._max_line} bytes"))
        return Publish(topic, payload, content_type=kind, properties=_properties(entry))

    def _payload(self, frame: bytes, entry: Entry) -> tuple[bytes, str | None]:
        """Return what is published of a message, and its content type."""
        if self.format == "raw":
            return frame, None
        try:
            text = entry.msg.decode()
        except UnicodeDecodeError:
            text = None
        if self.format == "text":
            return entry.msg, None if text is None else "text/plain; charset=utf-8"
        whole: dict[str, Any] = {**entry.fields, "structured_data": entry.data}
        whole |= {"base64": b64encode(entry.msg).decode()} if text is None else {"message": text}
        return json.dumps(whole, ensure_ascii=False).encode(), "application/json"

    def form(self, subscription: Subscribe) -> bool | None:
        """Return whether the link is a stream; None in the server role, which sends nothing."""
        return self.context.stream if self.context.role == "client" else None

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        """Write a message as RFC 5424 has it, on a stream behind its length (RFC 6587 section 3.4.1)."""
        if form is None:
            return None
        frame = rfc5424.write(message)
        return b"%d %b" % (len(frame), frame) if form else frame


def _properties(entry: Entry) -> dict[str, str]:
    """The fields, and then structured data as far as a message can have properties."""
    properties = dict(entry.fields)
    for element, params in entry.data.items():
        for name, values in params.items() or [("", [""])]:
            if len(properties) < PROPERTIES:
                properties.setdefault(f"{element}.{name}" if name else element, ",".join(values))
    return properties


def _bad(reason: str) -> Fault:
    return Fault(Refusal("bad-payload", reason))
