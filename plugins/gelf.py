"""gelf: what programs log in Graylog's GELF, versions 1.0 and 1.1: objects of JSON, over UDP compressed or in chunks.

    --udp udp:12201:dialect=gelf                {"host":"web1","short_message":"hi","level":3} goes to gelf/web1/err
    --tcp tcp:12201:dialect=gelf:format=text    hi alone

    datagram    JSON, or zlib (RFC 1950) or gzip (RFC 1952) of JSON, or a chunk of one of these
    chunk       1e 0f, an id of 8 bytes, its number from 0 on and how many there are, a byte each, and the part
    stream      each object ends with NUL, LF, or both, and has no LF inside

A message goes to gelf/{hostname}/{severity}, or where `topic=` says, which may use {facility} too; severity is the word
that syslog has for the level (RFC 5427), or the level as it was sent where there is none. A host that isn't said is the
sender's address. Properties: hostname severity facility file line timestamp, and each further field as `field.<name>`,
without its `_`. What isn't text is written as JSON there. `full_message`, and what is long, is in the JSON alone.

Senders differ more than the specification allows: `message` stands in for a missing `short_message`, and NaN and the
infinities, which aren't JSON, become text. Chunks are put together by host and id, whatever port they come from; a
message whose chunks don't all come within 5 s is refused when the next datagram comes.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, NamedTuple

from hubbub import (
    DialectContext,
    Event,
    Fault,
    LineDialect,
    Message,
    Publish,
    Refusal,
    Sender,
    Template,
    choice,
    option,
)
from hubbub.limits import PROPERTIES, MiB

CHUNKS = 128  # chunks of one message: GELF's own bound
CHUNK_SECONDS = 5.0  # seconds in which all chunks of a message must come: GELF's own too
CHUNK_COST = 200  # bytes that a chunk takes beside its part
CHUNKED_MESSAGES = 1_024  # messages of all peers of a listener that wait for chunks: the oldest gives way
CHUNKED_BYTES = 8 * MiB  # bytes of their chunks: eight of the longest messages
PROPERTY_CHARACTERS = 1_024  # characters of a name or a value that becomes a property: tracebacks are longer
SEVERITIES = "emerg alert crit err warning notice info debug".split()
_SEVERITY = {str(level): word for level, word in enumerate(SEVERITIES)}
_READ = ("facility", "file", "line", "timestamp")  # what is a property under its own name
_STANDARD = frozenset({*_READ, "version", "host", "short_message", "message", "full_message", "level"})
_CHUNK = b"\x1e\x0f"
_HEADER = 12  # bytes of a chunk before its part
_COMPRESSED = (b"\x78", b"\x1f\x8b")  # what zlib, by its usual window, and gzip begin with
_AROUND = "\ufeff\0\r\n\t "  # what may stand around an object


class Entry(NamedTuple):
    """One message.

    text        its short message
    json        the object, as it was sent unless that is no JSON
    properties  what of it a message can carry as such
    """

    text: str
    json: str
    properties: dict[str, str]


def parse(data: bytes, host: str) -> Entry:
    """Read one object; `host` sent it. Raises Refusal (bad-utf8, bad-payload)."""
    constants: list[str] = []

    def constant(name: str) -> str:
        constants.append(name)
        return name

    try:
        text = data.decode().strip(_AROUND)
        whole = json.loads(text, parse_constant=constant)
        text = json.dumps(whole, allow_nan=False) if constants else text
    except UnicodeDecodeError:
        raise Refusal("bad-utf8", "a message is UTF-8") from None
    except (ValueError, RecursionError):
        raise Refusal("bad-payload", "a message is JSON") from None
    if not isinstance(whole, dict):
        raise Refusal("bad-payload", "a message is an object")
    short = whole.get("short_message", whole.get("message"))
    if short is None:
        raise Refusal("bad-payload", "a message has a short_message")
    return Entry(_text(short), text, _properties(whole, host))


def _properties(whole: dict[str, Any], host: str) -> dict[str, str]:
    level = _text(whole.get("level", ""))
    pairs = [("hostname", whole.get("host") or host), ("severity", _SEVERITY.get(level, level))]
    pairs += [(name, whole.get(name, "")) for name in _READ]
    properties = {name: text for name, value in pairs if 0 < len(text := _text(value)) <= PROPERTY_CHARACTERS}
    for key, value in whole.items():
        name, text = f"field.{_text(key).removeprefix('_')}", _text(value)
        if key in _STANDARD or max(len(name), len(text)) > PROPERTY_CHARACTERS:
            continue
        if len(properties) < PROPERTIES:
            properties.setdefault(name, text)
    return properties


def _text(value: Any) -> str:
    """Write a value as text that UTF-8 can carry."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode(errors="replace").decode()


def unpack(data: bytes, longest: int) -> bytes:
    """Inflate what is compressed, up to `longest` bytes. Raises Refusal (bad-payload, too-long)."""
    if not data.startswith(_COMPRESSED):
        return data
    inflater = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)  # either kind
    try:
        whole = inflater.decompress(data, longest + 1)
    except zlib.error:
        raise Refusal("bad-payload", "a message can't be inflated") from None
    if len(whole) > longest:
        raise Refusal("too-long", f"a message inflates to more than {longest} bytes")
    if not inflater.eof:
        raise Refusal("bad-payload", "a compressed message is cut short")
    return whole


class _Parts:
    """The chunks of one message that have come: number -> part."""

    __slots__ = ("began", "count", "parts", "size")

    def __init__(self, count: int, began: float) -> None:
        self.count = count
        self.began = began
        self.size = 0
        self.parts: dict[int, bytes] = {}

    def missing(self, why: str) -> Refusal:
        """Return the Refusal of a message whose chunks never were complete."""
        return Refusal("bad-payload", f"{len(self.parts)} of {self.count} chunks of a message came {why}")


class Chunks:
    """The messages of all peers of a listener that wait for chunks; over UDP each chunk may find a new link."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, bytes], _Parts] = {}  # by host and id, the oldest first
        self._size = 0

    def add(self, host: str, chunk: bytes, now: float, longest: int) -> bytes | None:
        """Return the message that a chunk makes whole. Raises Refusal (bad-payload, too-long)."""
        key, number, count, part = (host, chunk[2:10]), *_numbers(chunk), chunk[_HEADER:]
        found = self._waiting.setdefault(key, _Parts(count, now))
        if found.count != count:
            raise Refusal("bad-payload", "the chunks of a message disagree how many there are")
        if number not in found.parts:
            found.parts[number] = part
            found.size += len(part)
            self._size += len(part) + CHUNK_COST
        if found.size > longest:
            self._drop(key)
            raise Refusal("too-long", f"the chunks of a message have more than {longest} bytes")
        if len(found.parts) < count:
            return None
        self._drop(key)
        return b"".join(found.parts[at] for at in range(count))

    def given_up(self, now: float) -> list[Refusal]:
        """Drop what waits for too long, and the oldest of what is too much; say so of each."""
        refusals = []
        while self._waiting:
            key, one = next(iter(self._waiting.items()))
            if now - one.began > CHUNK_SECONDS:
                why = f"within {CHUNK_SECONDS:g} s"
            elif len(self._waiting) > CHUNKED_MESSAGES or (len(self._waiting) > 1 and self._size > CHUNKED_BYTES):
                why = "before others took its room"
            else:
                break
            self._drop(key)
            refusals.append(one.missing(why))
        return refusals

    def held(self) -> str:
        """Say what waits."""
        found = sum(len(one.parts) for one in self._waiting.values())
        return f"{found} chunks of {len(self._waiting)} messages held" if found else ""

    def _drop(self, key: tuple[str, bytes]) -> None:
        gone = self._waiting.pop(key)
        self._size -= gone.size + CHUNK_COST * len(gone.parts)


def _numbers(chunk: bytes) -> tuple[int, int]:
    """Read the number of a chunk, and how many there are. Raises Refusal."""
    if len(chunk) < _HEADER:
        raise Refusal("bad-payload", f"a chunk begins with {_HEADER} bytes")
    number, count = chunk[10], chunk[11]
    if not number < count <= CHUNKS:
        raise Refusal("bad-payload", f"a message has 1 to {CHUNKS} chunks, numbered from 0 on")
    return number, count


class Gelf(LineDialect):
    """Log messages in Graylog's GELF, each published as it comes; it only receives."""

    fields = ("hostname", "severity", "facility")
    single_line = ("udp", "websocket")

    format = option(
        "json",
        choice("json", "text", "raw"),
        "what is published: json, the object; text, its short message; raw, what was sent, but for its packing",
    )

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._empty = False  # whether the last line was
        self._chunks: Chunks = context.memory.setdefault("chunks", Chunks())
        self._topic = context.topic or Template("gelf/{hostname}/{severity}")
        self._sender = peer.fields()

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A unit is a message."""
        return context.max_message

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        """Turn log messages into publishes."""
        return super().receive(data.replace(b"\0", b"\n") if self.context.stream else data, now, text)

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        """Read the objects of a stream, or units."""
        return self._objects(lines) if self.context.stream else [e for unit in lines for e in self._unit(unit, now)]

    def held(self) -> str:
        """Say what is no whole message yet."""
        return super().held() if self.context.stream else self._chunks.held()

    def _unit(self, data: bytes, now: float) -> list[Event | Message]:
        longest = self.context.max_message
        events: list[Event | Message] = []
        try:
            whole = self._chunks.add(self._sender["host"], data, now, longest) if data.startswith(_CHUNK) else data
            if whole is not None:
                events.append(self._message(unpack(whole, longest)))
        except Refusal as refusal:
            events.append(Fault(refusal))
        return [*events, *map(Fault, self._chunks.given_up(now))]

    def _objects(self, lines: list[bytes]) -> list[Event | Message]:
        """An empty line is what stands between a NUL and an LF; more of them are a mistake."""
        events: list[Event | Message] = []
        for line in lines:
            empty = not line.strip()
            if not empty or self._empty:
                events.append(self._message(line))
            self._empty = empty
        return events

    def _message(self, data: bytes) -> Event | Message:
        try:
            entry = parse(data, self._sender["host"])
        except Refusal as refusal:
            return Fault(refusal)
        topic = self._topic.fill({**self._sender, **entry.properties})
        payload, kind = data, None
        if self.format == "json":
            payload, kind = entry.json.encode(), "application/json"
        elif self.format == "text":
            payload, kind = entry.text.encode(), "text/plain; charset=utf-8"
        if len(payload) > self.context.max_message:  # NaN and its like are longer as text
            return Fault(Refusal("too-long", f"a message is longer than {self.context.max_message} bytes"))
        return Publish(topic, payload, content_type=kind, properties=entry.properties)
