"""graphite: the metrics that programs send to Graphite's carbon, as lines of text or pickled.

    --tcp tcp:2003:dialect=graphite                web1.load 0.75 1700000000 is the message 0.75 on graphite/web1.load
    --tcp tcp:2004:dialect=graphite                the pickle protocol, which its first byte tells
    --udp udp:2003:dialect=graphite:format=json    several lines may come in a datagram

    <path> <value> <timestamp>      ended by LF, or CR and LF; white space between
    path        <name>[;<tag>=<value>...]
    timestamp   Unix seconds; -1 is the time of arrival

    pickle      a length of 4 bytes, big-endian, then the pickle of [(path, (timestamp, value)), ...]

Each data point goes to graphite/{name}, or where `topic=` says. A name is one level, dots and all; what stands before
value and timestamp belongs to it, blanks too. Properties: `timestamp`, unless that is -1, and each tag as `tag.<name>`.
A value is passed on as it was written: carbon drops `nan` and what is no number, and subscribers may as well.
In JSON numbers, true and false are such, and everything else is text.

A pickle is never loaded: Python's pickletools takes it apart, and only lists, tuples, numbers and texts are built.
"""

from __future__ import annotations

import json
import math
import pickletools
import re
from collections.abc import Iterator
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
from hubbub.framing import EndReader, LengthReader
from hubbub.limits import PROPERTIES

PATH_CHARACTERS = 2_048  # characters of a name with its tags: real ones are below 500, and each name is a topic
PICKLE_OPCODES = 10_000  # opcodes of one pickle, about 1,000 data points in 40 ms: carbon's relay sends 500
INTEGER_BITS = 64  # bits of a whole number in a pickle: to write a long one takes long
_NUMBER = re.compile(r"[+-]?([0-9]{1,64}(\.[0-9]{0,64})?|\.[0-9]{1,64})([eE][+-]?[0-9]{1,3})?")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_FLAGS = {"true": True, "false": False}


class Metric(NamedTuple):
    """One data point of one metric.

    value      as it was sent
    timestamp  Unix seconds as they were sent, "" for -1
    tags       name -> value
    """

    name: str
    value: str
    timestamp: str
    tags: dict[str, str]

    def properties(self) -> dict[str, str]:
        """What isn't name and value."""
        properties = {f"tag.{tag}": value for tag, value in self.tags.items()}
        return {**properties, "timestamp": self.timestamp} if self.timestamp else properties

    def object(self) -> dict[str, Any]:
        """All of it as an object of JSON."""
        value = _FLAGS.get(self.value.lower(), _number(self.value))
        timestamp = _number(self.timestamp) if self.timestamp else None
        return {**self._asdict(), "value": self.value if value is None else value, "timestamp": timestamp}


def parse(line: bytes) -> Metric:
    """Read one line. Raises Refusal (bad-utf8, bad-payload)."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Refusal("bad-utf8", "a line is UTF-8") from None
    parts = text.strip().rsplit(None, 2)
    if len(parts) < 3:
        raise Refusal("bad-payload", "a line is <path> <value> <timestamp>")
    return _metric(*parts)


def _metric(path: str, value: str, timestamp: str) -> Metric:
    """Check a data point. Raises Refusal."""
    if len(path) > PATH_CHARACTERS or len(value) > PATH_CHARACTERS:
        raise Refusal("bad-payload", f"a path or a value is longer than {PATH_CHARACTERS} characters")
    if _CONTROL.search(path) or _CONTROL.search(value):
        raise Refusal("bad-payload", "a path or a value has control characters")
    moment = _number(timestamp)
    if moment is None:
        raise Refusal("bad-payload", "a timestamp is Unix seconds")
    name, *tags = path.split(";")
    pairs = [tag.partition("=") for tag in tags]
    if not name or not all(tag and equals for tag, equals, _ in pairs):
        raise Refusal("bad-payload", "a path is <name>[;<tag>=<value>...]")
    if len(pairs) >= PROPERTIES:  # besides the timestamp
        raise Refusal("bad-payload", f"more than {PROPERTIES - 1} tags")
    return Metric(name, value, "" if moment == -1 else timestamp, {tag: text for tag, _, text in pairs})


def _number(text: str) -> float | None:
    """Read a finite number, whole ones without loss; None where it isn't one."""
    if not _NUMBER.fullmatch(text):
        return None
    if text.lstrip("+-").isdecimal():
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None


# The pickle protocol

_PLAIN = frozenset("BININT BININT1 BININT2 INT LONG LONG1 BINFLOAT FLOAT BINBYTES SHORT_BINBYTES STRING".split())
_PLAIN |= {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_COUNTED = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}  # tuples of so many of the last values


def unpickle(data: bytes) -> Iterator[Metric | Refusal]:
    """Yield the data points of one pickle, and a Refusal for each bad one. Raises Refusal where it can't be read."""
    try:
        found = _values(data)
    except (ValueError, IndexError, KeyError):  # of pickletools; of a stack or a memo where nothing is
        raise Refusal("bad-payload", "a message is no pickle") from None
    if not isinstance(found, list):
        raise Refusal("bad-payload", "a pickle is a list of (path, (timestamp, value))")
    for one in found:
        try:
            yield _data_point(one)
        except Refusal as refusal:
            yield refusal


def _values(data: bytes) -> Any:
    """Build what a pickle says of lists, tuples, numbers and texts. Raises Refusal, and errors of what is malformed."""
    machine = _Machine()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if count >= PICKLE_OPCODES:
            raise Refusal("too-long", f"a pickle has more than {PICKLE_OPCODES} opcodes; send fewer data points in one")
        machine.step(opcode.name, argument)
    return machine.stack.pop()


class _Machine:
    """What Python's pickle machine does for plain values, and nothing else."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Do what one opcode says. Raises Refusal for one that makes other values."""
        stack = self.stack
        if name in _PLAIN:
            stack.append(argument)
        elif name in ("BINSTRING", "SHORT_BINSTRING"):  # bytes of Python 2, which pickletools reads as Latin-1
            stack.append(argument.encode("latin-1"))
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name in _COUNTED:
            stack.append(tuple(self._take(len(stack) - _COUNTED[name])))
        elif name == "TUPLE":
            stack.append(tuple(self._take(self._marks.pop())))
        elif name in ("LIST", "EMPTY_LIST"):
            stack.append(self._take(self._marks.pop() if name == "LIST" else len(stack)))
        elif name in ("APPEND", "APPENDS"):
            values = self._take(self._marks.pop() if name == "APPENDS" else len(stack) - 1)
            _list(stack[-1]).extend(values)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise Refusal("bad-payload", f"a pickle is lists, tuples, numbers and texts; {name} isn't read")

    def _take(self, at: int) -> list[Any]:
        if not 0 <= at <= len(self.stack):
            raise IndexError("nothing is there")
        values = self.stack[at:]
        del self.stack[at:]
        return values


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise ValueError("only a list can be appended to")


def _data_point(one: Any) -> Metric:
    """Read a (path, (timestamp, value)). Raises Refusal."""
    match one:
        case [str() | bytes() as path, [timestamp, value]]:
            return _metric(_text(path), _text(value), _text(timestamp))
    raise Refusal("bad-payload", "a data point is (path, (timestamp, value))")


def _text(value: Any) -> str:
    """Write a value of a pickle as a line has it. Raises Refusal."""
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= INTEGER_BITS):
        return str(value)
    if not isinstance(value, str | bytes):
        raise Refusal("bad-payload", f"a value is text or a number, a whole one of at most {INTEGER_BITS} bits")
    try:
        return (value.encode() if isinstance(value, str) else value).decode()
    except UnicodeError:
        raise Refusal("bad-utf8", "a path and a value are UTF-8") from None


class PointReader:
    """Lines, or pickles behind their length: the first byte of a stream tells which, as no line begins with NUL."""

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._reader: EndReader | LengthReader | None = None

    @property
    def pickled(self) -> bool:
        """Whether these are pickles; a length below 16 MiB begins with NUL."""
        return isinstance(self._reader, LengthReader)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines or pickles that `data` completes. Raises TooLong."""
        if self._reader is None:
            longest = self._max_frame
            self._reader = LengthReader("u32be", longest) if data.startswith(b"\0") else EndReader(b"\n", longest)
        return self._reader.feed(data)

    def held(self) -> str:
        """Say what is no whole line or pickle yet."""
        return self._reader.held() if self._reader is not None else ""

    def rest(self) -> bytes:
        """Take what is left."""
        return self._reader.rest() if self._reader is not None else b""


class Graphite(LineDialect):
    """Metrics of Graphite, as lines or pickled, each published as it comes; it only receives."""

    fields = ("name",)

    format = option(
        "text",
        choice("text", "json", "raw"),
        "what is published: text, the value; json, an object of all fields; raw, the line",
    )

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._topic = context.topic or Template("graphite/{name}")
        self._sender = peer.fields()

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A unit is some data points."""
        return context.max_message

    def make_reader(self) -> PointReader:
        """Return what tells lines and pickles apart."""
        return PointReader(self.context.max_message)

    @property
    def _pickled(self) -> bool:
        return isinstance(self.reader, PointReader) and self.reader.pickled

    def eof(self, now: float) -> list[Event | Message]:
        """The last line needs no LF; a pickle shorter than its length is none."""
        if self._pickled and self.reader is not None and self.reader.rest():
            return [Fault(Refusal("bad-payload", "the last message is shorter than its length"))]
        return super().eof(now)

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        """Turn data points into publishes."""
        return self._pickles(lines) if self._pickled else [self._point(line) for line in lines if line.strip()]

    def _point(self, line: bytes) -> Event | Message:
        try:
            return self._publish(parse(line), line.removesuffix(b"\r"))
        except Refusal as refusal:
            return Fault(refusal)

    def _pickles(self, pickles: list[bytes]) -> list[Event | Message]:
        events: list[Event | Message] = []
        for data in pickles:
            try:
                events += [Fault(one) if isinstance(one, Refusal) else self._publish(one) for one in unpickle(data)]
            except Refusal as refusal:
                events.append(Fault(refusal))
        return events

    def _publish(self, metric: Metric, line: bytes | None = None) -> Event | Message:
        topic = self._topic.fill({**self._sender, "name": metric.name})
        payload, kind = line or _line(metric), None
        if self.format == "text":
            payload, kind = metric.value.encode(), "text/plain; charset=utf-8"
        elif self.format == "json":
            payload, kind = json.dumps(metric.object(), ensure_ascii=False).encode(), "application/json"
        if len(payload) > self.context.max_message:  # JSON has more to say
            return Fault(Refusal("too-long", f"a data point is longer than {self.context.max_message} bytes"))
        return Publish(topic, payload, content_type=kind, properties=metric.properties())


def _line(metric: Metric) -> bytes:
    """Write a data point that was pickled as a line."""
    tags = "".join(f";{tag}={value}" for tag, value in metric.tags.items())
    return f"{metric.name}{tags} {metric.value} {metric.timestamp or -1}".encode()
