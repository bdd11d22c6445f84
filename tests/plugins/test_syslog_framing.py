"""plugins/syslog: where a message ends, in streams of every kind, however they are cut."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import Close, DialectContext, Fault, Message, Notice, Publish
from hubbub.dialects.lines import Lines
from hubbub.kernel.sessions.session import Session
from hubbub.option import configure
from hubbub.testing import CUTTINGS, World
from hubbub_plugins.syslog import Syslog
from hubbub_plugins.syslog.dialect import SILENCE_SECONDS
from hubbub_plugins.syslog.framing import Frames

PEER = Session("192.0.2.9", 514, "tcp", "logs")
MAX = 2000


def syslog(transport: str = "tcp", max_message: int = MAX, **options: Any) -> Syslog:
    return configure(Syslog, options)(DialectContext(transport, max_message), PEER)


def payloads(events: list[Any]) -> list[Any]:
    return [event.payload if isinstance(event, Publish) else type(event) for event in events]


def feed(pieces: Any, **options: Any) -> list[Any]:
    """The messages of a stream as it comes; `...` is a silence, long enough to end a message."""
    dialect, events = syslog("tcp", **{"format": "raw", **options}), []
    for piece in pieces:
        if piece is ...:
            assert dialect.deadline is None or 0 < dialect.deadline <= SILENCE_SECONDS
            events += dialect.timeout(dialect.deadline) if dialect.deadline is not None else []
        else:
            events += dialect.receive(piece, 0)
    return payloads(events)


UNITS = [
    b"11 <13>counted",
    b"<13>line\n",
    b"<13>line\r\n",
    b"14 <13>with\na \r\n1",
    b"2 <x",
    b"\n",
    b"12 monkeys\n",
    b"2026 was odd\n",
    b"7\n",
    b"Use the BFG!\n",
    b"12345678901 <13>no count has 11 digits\n",
    b"012 <13>nor a zero in front\n",
    b"6 <13>ab",
]
FRAMES = [
    b"<13>counted", b"<13>line", b"<13>line", b"<13>with\na \r\n1", b"<x", b"12 monkeys", b"2026 was odd", b"7",
    b"Use the BFG!", b"12345678901 <13>no count has 11 digits", b"012 <13>nor a zero in front", b"<13>ab",
]  # fmt: skip


@pytest.mark.parametrize("cutting", CUTTINGS.values(), ids=CUTTINGS)
def test_streams_however_they_are_cut(cutting):
    dialect = syslog("tcp", format="raw")
    assert payloads([event for piece in cutting(UNITS) for event in dialect.receive(piece, 0)]) == FRAMES
    assert dialect.eof(0) == []


@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=40))), st.data())
def test_both_framings_carry_anything_that_they_can(messages, more):
    sent, wanted = [], []
    for counted, message in messages:
        frame = b"<13>" + message
        if counted:
            sent.append(b"%d %b" % (len(frame), frame))
        else:
            frame = frame.translate(None, b"\n\0").rstrip(b"\r")  # a CR before LF belongs to it
            sent.append(frame + b"\n")
        wanted.append(frame.removesuffix(b"\n"))  # one that is counted may be syslog-ng's own
    stream = b"".join(sent)
    at = more.draw(st.integers(0, len(stream)))
    frames = Frames(100)
    assert frames.feed(stream[:at]) + frames.feed(stream[at:]) == wanted
    assert frames.rest() == b""


@pytest.mark.parametrize(("tail", "last"), [(b"<13>x", [b"x"]), (b"<13>x\r", [b"x"]), (b"12", [b"12"]), (b"", []),
                                            (b"9 <13>cut", [Fault])])  # fmt: skip
def test_the_end_of_input_ends_a_line_and_not_a_count(tail, last):
    dialect = syslog("tcp")
    assert payloads(dialect.receive(b"<13>first\n" + tail, 0)) == [b"first"]
    assert payloads(dialect.eof(0)) == last


@pytest.mark.parametrize(
    ("sent", "before"),
    [
        (b"<13>ok\n" + b"x" * (MAX + 2), [b"ok"]),
        (b"<13>ok\n" + b"x" * (MAX + 1) + b"\n<13>lost\n", [b"ok"]),
        (b"6 <13>ok2001 <13>", [b"ok"]),
        (b"9999999999 <", []),
    ],
)
def test_a_frame_over_the_maximum_closes(sent, before):
    for pieces in ([sent], [sent[at : at + 1] for at in range(len(sent))]):
        dialect, found = syslog("tcp"), []
        for piece in pieces:
            found += dialect.receive(piece, 0)
            if found and isinstance(found[-1], Close):
                break
        assert payloads(found) == [*before, Close]
        assert found[-1].refusal.code == "too-long"


def test_the_maximum_itself_is_taken():
    longest = b"<13>" + b"x" * (MAX - 4)
    stream = b"%d %b%b\r\n" % (MAX, longest, longest)
    assert payloads(syslog("tcp", format="raw").receive(stream, 0)) == [longest, longest]
    assert payloads(syslog("udp", format="raw").receive(longest, 0)) == [longest]
    assert payloads(syslog("udp").receive(longest + b"x", 0)) == [Close]
    assert payloads(syslog("udp", format="json").receive(b"\x01" * MAX, 0)) == [Fault]  # six bytes each in JSON


@given(st.lists(st.binary(max_size=60) | st.sampled_from(UNITS)), st.sampled_from(["text", "json", "raw"]))
def test_anything_may_come(pieces, form):
    for transport in ("tcp", "udp"):
        dialect = syslog(transport, 100, format=form)
        for piece in pieces:
            for event in dialect.receive(piece, 0):
                assert not isinstance(event, Message) or len(event.payload) <= 100
        dialect.eof(0)


@pytest.mark.parametrize("piece", [b"x" * 65_536, b"9" * 65_536, b"9 <" * 20_000, b"\r" * 65_536, b"99 <" + b"\n" * 90])
def test_memory_is_bounded(piece):
    dialect = syslog("tcp")
    tracemalloc.start()
    for _ in range(64):
        dialect.receive(piece, 0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200_000


# NUL

NUL = {
    "Python's SysLogHandler": (b"<14>a\0<11>b\0", [b"<14>a", b"<11>b"]),
    "LF in its text": (b"<11>a\0<12>b\nc\0<11>d\0", [b"<11>a", b"<12>b\nc", b"<11>d"]),
    "a line of a log in its text": (b"<11>a\0<12>b\n<0>c\0", [b"<11>a", b"<12>b\n<0>c"]),
    "a count in its text": (b"<11>a\0<12>b\n9 <13>cdef\0<11>d\0", [b"<11>a", b"<12>b\n9 <13>cdef", b"<11>d"]),
    "LF in its first text, before NUL is known": (b"<12>b\nc\0<11>d\ne\0", [b"<12>b", b"c", b"<11>d\ne"]),
    "NUL and LF": (b"<11>a\0\n<11>b\0\n", [b"<11>a", b"<11>b"]),
    "a NUL within a line": (b"<11>a\0b\n<11>c\n<11>d\n", [b"<11>a", b"b", b"<11>c", b"<11>d"]),
    "nothing but NUL": (b"\0\0<11>a\0\0\0<11>b\0", [b"<11>a", b"<11>b"]),
    "a CR is text": (b"<11>a\r\0<11>b\0", [b"<11>a\r", b"<11>b"]),
    "counted, with NUL in its text": (b"8 <11>a\0<b6 <11>c\0", [b"<11>a\0<b", b"<11>c\0"]),
}
COUNTED = {
    "LF text whose second line begins like a count": (b"<13>a\n20 <a>\n<13>c\n", [b"<13>a", b"20 <a>", b"<13>c"]),
    "a count in a stream of lines": (b"<13>a\n6 <13>b\n<13>c\n", [b"<13>a", b"<13>b", b"<13>c"]),
    "no priority in a stream of lines": (b"<13>a\n9 <192>b\n", [b"<13>a", b"9 <192>b"]),
    "any text in a counted stream": (b"6 <13>b\n4 <a>\n<13>c\n", [b"<13>b", b"<a>", b"<13>c"]),
    "syslog-ng counts its own LF": (b"7 <13>ab\n7 <13>cd\n", [b"<13>ab", b"<13>cd"]),
    "one LF, not those of the text": (b"9 <13>ab\n\n\n6 <13>c\n", [b"<13>ab\n\n", b"<13>c"]),
    "CR and LF that are counted": (b"8 <13>ab\r\n", [b"<13>ab\r"]),
    "a number alone": (b"<13>a\n20\n", [b"<13>a", b"20"]),
    "a number and a space": (b"<13>a\n20 \n", [b"<13>a", b"20 "]),
    "a number and half a priority": (b"<13>a\n20 <13\n", [b"<13>a", b"20 <13"]),
}


@pytest.mark.parametrize("cut", CUTTINGS.values(), ids=CUTTINGS)
@pytest.mark.parametrize(("stream", "wanted"), [*NUL.values(), *COUNTED.values()], ids=[*NUL, *COUNTED])
def test_ends_and_counts(stream: bytes, wanted: list[bytes], cut: Any) -> None:
    assert feed(cut([stream])) == wanted  # without the end of input


# Nothing between messages

AT = b"Nov 28 18:04:48 web shop[7]: "
ONE, TWO, THREE = (b"<13%d>" % n + AT + b'{"m":"%d"}' % n for n in (4, 1, 2))
NEW = b'<134>1 2026-11-28T18:04:57.327Z web shop 7 - - {"m":"1"}'


@pytest.mark.parametrize("cut", CUTTINGS.values(), ids=CUTTINGS)
@pytest.mark.parametrize(
    ("stream", "wanted"),
    [
        (ONE + TWO, [ONE, TWO]),  # winston-syslog
        (NEW + NEW, [NEW, NEW]),
        (b"<13>a<14>b", [b"<13>a", b"<14>b"]),
        (b"<13>a\nb<14>c\n", [b"<13>a\nb", b"<14>c"]),
        (b"<13>a\n<14>b\0<15>c", [b"<13>a", b"<14>b", b"<15>c"]),
        (b"a<13>b<192>c<1", [b"a", b"<13>b<192>c<1"]),
        (b"\n<13>a", [b"<13>a"]),
        (b"6 <13>a\n<13>b\n", [b"<13>a", b"<13>b"]),  # told by its first frame
    ],
)
def test_with_gap_a_priority_begins_a_message_and_silence_ends_it(stream: bytes, wanted: Any, cut: Any) -> None:
    pieces = cut([stream])
    assert feed([*pieces, ...], gap="100ms") == wanted
    assert feed([*pieces, ..., *pieces, ...], gap="100ms")[: len(wanted) + 1] == [*wanted, wanted[0]]


def test_gap_is_how_long_it_waits() -> None:
    dialect = syslog(gap="100ms")
    assert payloads(dialect.receive(ONE + TWO, 5.0)) == [b'{"m":"4"}']
    assert dialect.deadline == 5.1
    assert payloads(dialect.timeout(5.1)) == [b'{"m":"1"}']
    assert dialect.deadline is None
    assert payloads(dialect.receive(ONE, 6.0) + dialect.eof(6.0)) == [b'{"m":"4"}']
    assert dialect.deadline is None


@pytest.mark.parametrize("cut", CUTTINGS.values(), ids=CUTTINGS)
def test_without_gap_silence_shows_it_and_one_line_says_so(cut: Any) -> None:
    pieces = cut([ONE + TWO])
    assert feed(pieces) == []
    assert feed([*pieces, ..., *pieces, ...]) == [Notice, ONE, TWO, ONE, TWO]
    assert feed([ONE, ..., TWO, ...]) == [Notice, ONE, TWO]  # one alone may be half a line


def test_without_gap_the_end_of_input_shows_it_too() -> None:
    dialect = syslog(format="raw")
    dialect.receive(NEW + NEW, 0)
    assert payloads(dialect.eof(0)) == [Notice, NEW, NEW]


@pytest.mark.parametrize("cut", CUTTINGS.values(), ids=CUTTINGS)
def test_without_gap_a_flood_shows_it_too(cut: Any) -> None:
    sent = feed(cut([ONE * 100]))
    assert sent[0] is Notice
    assert len(sent) > 90
    assert set(sent[1:]) == {ONE}


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ([b"<13>first\n" + ONE + TWO, ..., b"\n"], [b"<13>first", ONE + TWO]),  # it has shown its end mark
        ([b"<13>quotes " + TWO, ..., b"\n"], [b"<13>quotes " + TWO]),  # it begins without a time
        ([b"5 <13>a", b"99 " + ONE + TWO, ...], [b"<13>a"]),
        ([ONE[:9], ..., ONE[9:], ..., b"\n"], [ONE]),
    ],
)
def test_what_may_be_a_line_waits_for_its_end(sent: list[Any], wanted: list[bytes]) -> None:
    assert feed(sent) == wanted


def test_a_message_without_an_end_has_a_bound() -> None:
    (close,) = syslog(gap="1s").receive(b"<13>" + b"x" * (MAX + 100), 0)
    assert isinstance(close, Close)
    longest = b"<13>" + b"x" * (MAX - 4)
    assert feed([longest, b"<14>a", ...], gap="1s") == [longest, b"<14>a"]
    assert feed([longest + b"x", ...], gap="1s") == [Fault]


def test_the_hub_s_clock_ends_it_and_its_operator_gets_one_line() -> None:
    world, notices = World(), []
    screen = world.listen("tcp", Lines, id="screen", subscribe="#").connect()
    client = world.listen("tcp", Syslog, notice=notices.append).connect()
    for _ in range(2):
        client.send(ONE + TWO)
        world.advance(SILENCE_SECONDS)
    assert screen.received() == b'MSG syslog/web/shop/info {"m":"4"}\nMSG syslog/web/shop/err {"m":"1"}\n' * 2
    assert len(notices) == 1
    assert "gap=100ms" in notices[0]
