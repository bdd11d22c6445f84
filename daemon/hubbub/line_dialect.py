"""The base class of line dialects: it cuts the input into lines and bounds their length.

    class Notes(LineDialect):
        def read_line(self, line, now):
            return [Publish("notes", line)]

On a stream a line ends with `line_end`, and the last line with the end of input. On UDP and WebSocket the end of a unit
ends a line too. A line longer than `max_unit` closes the link. So does an HTTP request line at the beginning of a
stream, because a web page can send any text to a port.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from mypy_extensions import mypyc_attr

from hubbub.dialect import Dialect, DialectContext
from hubbub.errors import Refusal
from hubbub.events import Close, Event, Fault, Subscribe
from hubbub.framing import HTTP_400, EndReader, Reader, TooLong, http_request
from hubbub.limits import UNIT_LINES
from hubbub.message import Message, Sender

_UNITS = {"tcp": "a line", "udp": "a datagram", "websocket": "a message"}


@mypyc_attr(allow_interpreted_subclasses=True)
class LineDialect(Dialect):
    """A dialect of lines. Override `read_line`, or `read_lines` where several lines at once are cheaper.

    line_end     bytes: the end mark of a line on a stream; it isn't part of the line
    single_line  the transports on which a unit is one line, line ends in it included
    reader       cuts a stream into lines; None on UDP and WebSocket
    unit_end     bytes: the end of each unit that it sends, `line_end` on a stream, empty elsewhere
    """

    name = ""  # so that each subclass gets a name of its own
    line_end: ClassVar[bytes] = b"\n"
    single_line: ClassVar[Sequence[str]] = ()

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._max_line = self.max_unit(context)
        self._single = context.transport in self.single_line
        self._datagrams = context.transport == "udp"
        self._first = context.stream and context.role == "server"
        self.reader: Reader | None = self.make_reader() if context.stream else None
        self.unit_end = self.line_end if context.stream else b""

    def make_reader(self) -> Reader:
        """Return the reader of a stream; override it for another framing than an end mark."""
        return EndReader(self.line_end, self._max_line)

    def read_line(self, line: bytes, now: float) -> Sequence[Event | Message]:
        """Return the events of one line, which has no end mark and isn't empty. Never raises for a peer's fault."""
        raise NotImplementedError

    def read_lines(self, lines: list[bytes], now: float) -> list[Event | Message]:
        """Return the events of lines, up to a Close. Skips empty lines, and strips the CR of a CR LF."""
        events: list[Event | Message] = []
        cr = b"\r" if self.line_end == b"\n" else b""
        for line in lines:
            if line := line.removesuffix(cr):
                events += self.read_line(line, now)
                if events and type(events[-1]) is Close:
                    break
        return events

    def too_long(self, reason: str, tag: Any = None) -> Close:
        """Return a Close for a Refusal `too-long`; its last unit is the `outcome` of a Fault with that tag."""
        refusal = Refusal("too-long", reason)
        words = self.outcome(Fault(refusal, tag), refusal)
        return Close(reason, words if isinstance(words, bytes) else words.data, refusal)

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        """Return the events of a piece of a stream, or of one unit."""
        reader, longest, whole = self.reader, self._max_line, True
        if reader is None:
            return self.receive_units(((data, text),), now)
        if type(reader) is EndReader and not reader.left and data.endswith(reader.end) and len(data) <= longest:
            lines = data.split(reader.end)  # whole lines: the reader has nothing to add, and nothing to keep
            lines.pop()
        else:
            try:
                lines = reader.feed(data)
            except TooLong as error:
                lines, whole = error.frames, False
        if self._first and lines:
            self._first = False
            if http_request(lines[0]):
                return [Close("an HTTP request", HTTP_400, Refusal("bad-command", "an HTTP request"))]
        return self.read_lines(lines, now) if whole else self._read_until_too_long(lines, now)

    def receive_units(self, units: Sequence[tuple[bytes, bool | None]], now: float) -> list[Event | Message]:
        """Return the events of whole units; a datagram of very many lines is refused."""
        lines: list[bytes] = []
        longest, single, end, too_many = self._max_line, self._single, self.line_end, 0
        for data, _ in units:
            if len(data) > longest:
                return self._read_until_too_long(lines, now)
            if single:
                lines.append(data)
            elif self._datagrams and data.count(end) > UNIT_LINES:
                too_many += 1
            else:
                lines += data.split(end)
                if not lines[-1]:
                    lines.pop()
        if not too_many:
            return self.read_lines(lines, now)
        refusal = Refusal("too-long", f"a datagram has more than {UNIT_LINES} lines")
        return [*self.read_lines(lines, now), *[Fault(refusal) for _ in range(too_many)]]

    def cut(self, data: bytes, most: int) -> int:
        if self.reader is not None:
            return most
        if self._single or len(data) > self._max_line:
            return len(data)
        at = data.find(self.line_end, most)
        return len(data) if at < 0 else at + len(self.line_end)

    def units(self, data: bytes) -> int:
        return 0 if self._single else data.count(self.line_end)

    def _read_until_too_long(self, lines: list[bytes], now: float) -> list[Event | Message]:
        events = self.read_lines(lines, now)
        if not events or type(events[-1]) is not Close:
            unit = _UNITS[self.context.transport]
            events.append(self.too_long(f"{unit} is longer than {self._max_line} bytes"))
        return events

    def eof(self, now: float) -> list[Event | Message]:
        """Return the events of the last line, which needs no end mark."""
        rest = self.reader.rest() if self.reader is not None else b""
        return self.read_lines([rest], now) if rest else []

    def held(self) -> str:
        """Describe an incomplete line."""
        return self.reader.held() if self.reader is not None else ""

    def form(self, subscription: Subscribe) -> Hashable:
        """Return `unit_end`, the form that `encode` gets."""
        return self.unit_end
