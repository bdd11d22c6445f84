"""line_dialect.py: lines from streams and units, their bound, what isn't read any more, and HTTP turned away."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub import Close, DialectContext, LineDialect, Message, Publish, Refusal, Subscribe
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.framing import HTTP_400
from hubbub.kernel.sessions.session import Session
from hubbub.testing import CUTTINGS, DialectContract, World
from hubbub_plugins.gelf import Gelf
from hubbub_plugins.graphite import Graphite
from hubbub_plugins.influx import Influx
from hubbub_plugins.nmea import Nmea
from hubbub_plugins.statsd import Statsd
from hubbub_plugins.syslog import Syslog

PEER = Session("127.0.0.1", 1, "tcp", "test")
MAX = 20
NOTE = b'{"op":"publish","topic":"notes","data":"%b"}\n'
REQUEST = b"POST /a HTTP/1.1\r\nHost: x\r\n\r\n"


class Notes(LineDialect):
    """Each line is a note; `bye` leaves, and what is refused is answered."""

    name = "notes"

    def read_line(self, line: bytes, now: float) -> list[Any]:
        return [Close("bye")] if line == b"bye" else [Publish("notes", line)]

    def outcome(self, event: Any, result: Any) -> bytes:
        return b"! %b%b" % (result.code.encode(), self.unit_end) if isinstance(result, Refusal) else b""

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return context.max_message

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        payload = message.payload
        return payload + form if payload and b"\n" not in payload and payload[-1:] != b"\r" else None


class Frames(Notes):
    """Notes that end with CR, and are whole on a WebSocket whatever is in them."""

    line_end = b"\r"
    single_line = ("websocket",)


def notes(transport: str = "tcp", dialect: type[LineDialect] = Notes, **more: Any) -> LineDialect:
    return dialect(DialectContext(transport, MAX, **more), PEER)


def said(events: list[Any]) -> list[Any]:
    return [event.payload if isinstance(event, Publish) else event.refusal and event.refusal.code for event in events]


@pytest.mark.parametrize("cut", CUTTINGS.values(), ids=CUTTINGS.keys())
def test_a_stream_is_cut_at_ends_of_line(cut: Any) -> None:
    one = notes()
    pieces = cut([b"a\n", b"\n", b"b\r\n", b"\r\n", b" c \n", b"d"])
    assert said([event for piece in pieces for event in one.receive(piece, 0)]) == [b"a", b"b", b" c "]
    assert one.held() == "1 bytes held, no end mark"
    assert said(one.eof(0)) == [b"d"]
    assert (one.eof(0), one.held()) == ([], "")


@pytest.mark.parametrize("transport", ["udp", "websocket"])
def test_a_unit_has_lines_and_ends_one(transport: str) -> None:
    one = notes(transport)
    units = [(b"a\nb\r\n", None), (b"", None), (b"c", None)]
    assert said(one.receive_units(units, 0)) == [b"a", b"b", b"c"]
    assert said(one.receive(b"d\n\ne", 0)) == [b"d", b"e"]
    assert (one.eof(0), one.held()) == ([], "")


def test_other_ends_and_units_of_one_line() -> None:
    assert said(notes("tcp", Frames).receive(b"a\nb\r\rc\r", 0)) == [b"a\nb", b"c"]
    assert said(notes("udp", Frames).receive(b"a\nb\rc", 0)) == [b"a\nb", b"c"]
    assert said(notes("websocket", Frames).receive(b"a\rb\r", 0)) == [b"a\rb\r"]
    assert [notes(transport, Frames).form(Subscribe("a")) for transport in ("tcp", "udp")] == [b"\r", b""]


@pytest.mark.parametrize(("transport", "unit"), [("tcp", "a line"), ("udp", "a datagram"), ("websocket", "a message")])
def test_what_is_too_long_ends_the_link_in_the_words_of_the_dialect(transport: str, unit: str) -> None:
    one = notes(transport)
    ok, long = (b"a\n", b"x" * (MAX + 1) + b"\n")
    events = one.receive(ok + long, 0) if transport == "tcp" else one.receive_units([(ok, None), (long, None)], 0)
    assert said(events) == [b"a", "too-long"]
    assert events[-1].reason == f"{unit} is longer than {MAX} bytes"
    assert events[-1].data == b"! too-long" + one.unit_end
    assert said(notes(transport).receive(b"x" * MAX, 0) + notes(transport).eof(0)) == [b"x" * MAX] * (
        transport != "tcp"
    )


def test_what_is_too_long_behind_the_end_is_not_reported() -> None:
    assert said(notes().receive(b"bye\na\n" + b"x" * 100, 0)) == [None]


@pytest.mark.parametrize("dialect", [Notes, Lines, Json, Nmea, Statsd, Syslog, Gelf, Graphite, Influx])
@pytest.mark.parametrize("behind", [b"", b"PUB a x\n", b'{"op":"bye"}\n' + b"x" * 100_000 + b"\n"])
def test_http_is_turned_away_with_all_that_is_behind_it(dialect: type[LineDialect], behind: bytes) -> None:
    (close,) = dialect(DialectContext("tcp", 1_000), PEER).receive(REQUEST + behind, 0)
    assert isinstance(close, Close)
    assert (close.data, close.refusal.code) == (HTTP_400, "bad-command")  # type: ignore[union-attr]


def test_http_is_a_line_like_others_where_no_page_can_send_it() -> None:
    line = REQUEST[:16]
    assert said(notes().receive(b"a\n" + line + b"\n", 0)) == [b"a", line]
    assert said(notes(role="client").receive(line + b"\n", 0)) == [line]
    for transport in ("udp", "websocket"):
        assert said(notes(transport).receive(line, 0)) == [line]


@pytest.mark.parametrize(
    ("dialect", "bye", "note"),
    [
        (Notes, b"bye\n", b"x\n"),
        (Lines, b"QUIT\n", b"PUB notes x\n"),
        (Lines, b"PUB notes 123456789\n", b"PUB notes x\n"),
        (Json, b'{"op":"bye"}\n', NOTE % b"x"),
        (Json, NOTE % b"123456789", NOTE % b"x"),
        (Json, b"x" * 70_000 + b"\n", NOTE % b"x"),
    ],
)
@pytest.mark.parametrize("piecewise", [True, False])
def test_nothing_acts_behind_the_end(dialect: type[LineDialect], bye: bytes, note: bytes, piecewise: bool) -> None:
    world = World()
    screen = world.listen("tcp", Notes, id="screen", subscribe="notes").connect()
    client = world.listen("tcp", dialect, max_message=8).connect()
    for piece in (note, bye, note) if piecewise else (note + bye + note,):
        client.send(piece)
    world.turn()
    assert screen.received() == b"x\n"


class TestNotes(DialectContract):
    """What holds for every dialect."""

    dialect = Notes
    topic = "notes"
    samples = [(b"hello\n", ["Publish notes 'hello'"]), (b"a\r\n\nb\n", ["Publish notes 'a'", "Publish notes 'b'"])]
    round_trip = [Message("notes", b"hello")]


class TestFrames(TestNotes):
    """The same with another end."""

    dialect = Frames
    transports = ("tcp", "udp")
    samples = [(b"hello\r", ["Publish notes 'hello'"]), (b"a\r\rb\n\r", ["Publish notes 'a'", r"Publish notes 'b\n'"])]
    round_trip = []
