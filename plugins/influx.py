r"""influx: points in InfluxDB's line protocol, as Telegraf and its clients send them; several may come in a datagram.

    --udp udp:8089:dialect=influx                load,host=web1 short=0.75,procs=7i 1700000000000000000
    --tcp tcp:8094:dialect=influx:format=text    lines ended by LF

    <measurement>[,<tag>=<value>...] <field>=<value>[,<field>=<value>...] [<timestamp>]
    names    `\,` `\=` and `\ ` are a comma, = and a blank of a name or a tag's value; other backslashes are themselves
    values   1.5 a float, 7i an integer, 7u an unsigned one, t T true True TRUE f F false False FALSE,
             "text", in which `\"` and `\\` are a quote and a backslash, and an LF is an LF and ends no line
    # ...    a comment

The point above goes to influx/load, or where `topic=` says, which may use {measurement} and {hostname}, its tag `host`.
It is published as JSON: {"measurement": "load", "tags": {"host": "web1"}, "fields": {"short": 0.75, "procs": 7},
"timestamp": 1700000000000000000}. Properties: each tag as `tag.<name>`, as far as there is room, and `timestamp`. That
is in nanoseconds, unless its sender means something else: it is passed on as it was sent, and is null where it is left
out. Where a tag or a field is repeated the last one counts.
"""

from __future__ import annotations

import json
import math
import re
from typing import NamedTuple

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
from hubbub.framing import EndReader, TooLong
from hubbub.limits import PROPERTIES, UNIT_LINES

NAME_CHARACTERS = 1_024  # characters of a measurement: real ones are below 100, and each is a topic
FIELDS = 1_000  # fields of a point, and tags: Telegraf's widest have 300, and more take over a millisecond
_NUMBER = re.compile(r"[+-]?([0-9]{1,64}(\.[0-9]{0,64})?|\.[0-9]{1,64})([eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"([+-]?[0-9]{1,20})[iu]")
_TIMESTAMP = re.compile(r"-?[0-9]{1,20}")
_FLAGS = dict.fromkeys("t T true True TRUE".split(), True) | dict.fromkeys("f F false False FALSE".split(), False)
_BLANK, _COMMA, _EQUALS = (re.compile(rf"(?<!\\){mark}") for mark in (" +", ",", "="))
# Python before 3.11.4 matches possessive groups wrongly, so only single characters are possessive here.
_FIELD = re.compile(r'((?:[^\\,= ]++|\\.)+)=("[^"\\]*+(?:\\.[^"\\]*+)*"|[^", ]+)(,|(?= )|\Z)', re.DOTALL)
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_SERIES_END = re.compile(rb"(?<!\\) ")
_TEXT_END = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*"', re.DOTALL)
_TEXTS = re.compile(rb'(?:\\.|="[^"\\]*+(?:\\.[^"\\]*+)*"|[^\\=]++|=(?!"))*', re.DOTALL)  # up to a text without its end


class Point(NamedTuple):
    """One line. `timestamp` is None where it has none."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | bool | str]
    timestamp: int | None

    def properties(self) -> dict[str, str]:
        """What of it a message can carry as such."""
        room = PROPERTIES - 1
        properties = {f"tag.{tag}": value for tag, value in list(self.tags.items())[:room]}
        return properties if self.timestamp is None else {**properties, "timestamp": str(self.timestamp)}


def parse(line: bytes) -> Point:
    """Read one line. Raises Refusal (bad-utf8, bad-payload)."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Refusal("bad-utf8", "a line is UTF-8") from None
    series, *rest = _BLANK.split(text, maxsplit=1)
    name, *tags = _COMMA.split(series, maxsplit=FIELDS + 1)
    measurement = _name(name)
    if not measurement or len(measurement) > NAME_CHARACTERS or _CONTROL.search(series):
        reason = f"a measurement has 1 to {NAME_CHARACTERS} characters, and as tags no control characters"
        raise Refusal("bad-payload", reason)
    pairs = [_EQUALS.split(tag, maxsplit=1) for tag in tags]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise Refusal("bad-payload", "a tag is <name>=<value>")
    if len(pairs) > FIELDS:
        raise Refusal("bad-payload", f"a point has more than {FIELDS} tags")
    fields, timestamp = _fields(rest[0] if rest else "")
    return Point(measurement, {_name(tag): _name(value) for tag, value in pairs}, fields, timestamp)


def _fields(text: str) -> tuple[dict[str, float | bool | str], int | None]:
    """Read what stands behind a series. Raises Refusal."""
    fields: dict[str, float | bool | str] = {}
    at, more = 0, True
    for _ in range(FIELDS):
        found = _FIELD.match(text, at)
        if not more or found is None:
            break
        fields[_name(found[1])] = _value(found[2])
        at, more = found.end(), found[3] == ","
    if more:
        raise Refusal("bad-payload", f"a point has 1 to {FIELDS} fields, <name>=<value>, with commas between")
    timestamp = text[at:].strip()
    if timestamp and not _TIMESTAMP.fullmatch(timestamp):
        raise Refusal("bad-payload", "a timestamp is a whole number")
    return fields, int(timestamp) if timestamp else None


def _name(text: str) -> str:
    return text.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ") if "\\" in text else text


def _value(text: str) -> float | bool | str:
    """Read the value of a field. Raises Refusal."""
    if text[0] == '"':
        return "\\".join(part.replace('\\"', '"') for part in text[1:-1].split("\\\\"))
    if text in _FLAGS:
        return _FLAGS[text]
    if integer := _INTEGER.fullmatch(text):
        return int(integer[1])
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    raise Refusal("bad-payload", 'a value is a number that a double can hold, true, false, or "text"')


class LineProtocolReader:
    """Lines that end with LF, but not with one inside a text. Each byte is looked at once, however it comes."""

    def __init__(self, max_frame: int) -> None:
        self.max_frame = max_frame
        self._pieces = EndReader(b"\n", max_frame)
        self._line = bytearray()  # pieces that end inside a text, each with its LF

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes. Raises TooLong."""
        lines: list[bytes] = []
        try:
            pieces, whole = self._pieces.feed(data), True
        except TooLong as error:
            pieces, whole = error.frames, False
        for piece in pieces:
            inside = _ends_in_text(piece, bool(self._line))
            self._line += piece
            if len(self._line) > self.max_frame:
                raise TooLong(lines, self.max_frame)
            if inside:
                self._line += b"\n"
            else:
                lines.append(bytes(self._line))
                self._line.clear()
        if not whole:
            raise TooLong(lines, self.max_frame)
        return lines

    def held(self) -> str:
        """Say what makes no line yet; empty: nothing is left."""
        return f"{len(self._line)} bytes held, a text without its end" if self._line else self._pieces.held()

    def rest(self) -> bytes:
        """Take what is left: a last line without its end."""
        rest = bytes(self._line) + self._pieces.rest()
        self._line.clear()
        return rest


def _ends_in_text(piece: bytes, inside: bool) -> bool:
    """Tell whether the end of `piece`, which may begin inside a text, is inside one."""
    if inside:
        begin = _TEXT_END.match(piece)
    elif piece.lstrip().startswith(b"#"):
        return False
    else:
        begin = _SERIES_END.search(piece, len(piece) - len(piece.lstrip()))
    if begin is None:
        return inside
    texts = _TEXTS.match(piece, begin.end())
    return texts is not None and piece.startswith(b'="', texts.end())


class Influx(LineDialect):
    """Points in InfluxDB's line protocol, each published as it comes; it only receives."""

    fields = ("measurement", "hostname")
    single_line = ("udp", "websocket")

    format = option(
        "json",
        choice("json", "text", "raw"),
        "what is published: json, an object; text, the line; raw, the line with no content type",
    )

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._topic = context.topic or Template("influx/{measurement}")
        self._sender = peer.fields()

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A unit is some lines."""
        return context.max_message

    def make_reader(self) -> LineProtocolReader:
        """Return a reader to which an LF inside a text is no end of a line."""
        return LineProtocolReader(self.context.max_message)

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        """Publish the points of lines; a unit may have several lines."""
        if self.context.stream:
            return self._points(lines)
        events: list[Event | Message] = []
        for unit in lines:
            reader = self.make_reader()
            found = [*reader.feed(unit), reader.rest()]
            if len(found) > UNIT_LINES:
                events.append(Fault(Refusal("too-long", f"more than {UNIT_LINES} lines came as one unit")))
            else:
                events += self._points(found)
        return events

    def _points(self, lines: list[bytes]) -> list[Event | Message]:
        lines = [line.strip() for line in lines]
        return [self._event(line) for line in lines if line and not line.startswith(b"#")]

    def _event(self, line: bytes) -> Event | Message:
        try:
            point = parse(line)
        except Refusal as refusal:
            return Fault(refusal)
        named = {"measurement": point.measurement, "hostname": point.tags.get("host", "")}
        payload, kind = line, None
        if self.format == "json":
            payload, kind = json.dumps(point._asdict(), ensure_ascii=False).encode(), "application/json"
        elif self.format == "text":
            kind = "text/plain; charset=utf-8"
        if len(payload) > self.context.max_message:  # JSON has more to say
            return Fault(Refusal("too-long", f"a point as JSON is longer than {self.context.max_message} bytes"))
        topic = self._topic.fill({**self._sender, **named})
        return Publish(topic, payload, content_type=kind, properties=point.properties())
