"""dialects/raw.py: every framing, both ways, however the bytes are cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.dialect import DialectContext, Text
from hubbub.dialects.raw import Raw
from hubbub.errors import ConfigError
from hubbub.events import Close, Fault
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.option import configure
from hubbub.publish import Publish
from hubbub.template import Template

PEER = Session("10.0.0.7", 1, "tcp", "plc7")


def raw(transport: str = "tcp", max_message: int = 1000, topic: str = "plant/{id}", **options: object) -> Raw:
    return configure(Raw, options)(DialectContext(transport, max_message, Template(topic)), PEER)


def payloads(events: list[Any]) -> list[Any]:
    return [event.payload if isinstance(event, Publish) else type(event) for event in events]


FRAMINGS: list[tuple[dict[str, object], list[bytes], bytes]] = [
    ({"end": "crlf"}, [b"T=21.5", b"", b"P=\r1\n"], b"T=21.5\r\n\r\nP=\r1\n\r\n"),
    ({"end": "lf"}, [b"a\r", b"b"], b"a\r\nb\n"),
    ({"end": "cr"}, [b"a", b"b"], b"a\rb\r"),
    ({"end": "nul"}, [b"a", b"b"], b"a\0b\0"),
    ({"end": "2a2A"}, [b"a*", b"b"], b"a***b**"),
    ({"size": 3}, [b"abc", b"def"], b"abcdef"),
    ({"length": "u8"}, [b"abc", b"", b"d"], b"\x03abc\x00\x01d"),
    ({"length": "u16be"}, [b"abc", b"d"], b"\x00\x03abc\x00\x01d"),
    ({"length": "u16le"}, [b"abc", b"d"], b"\x03\x00abc\x01\x00d"),
    ({"length": "u32be"}, [b"abc"], b"\x00\x00\x00\x03abc"),
    ({"length": "u32le"}, [b"abc"], b"\x03\x00\x00\x00abc"),
]
EVERY = pytest.mark.parametrize(("options", "frames", "stream"), FRAMINGS[:4] + FRAMINGS[5:])


@EVERY
def test_whole_and_byte_by_byte(options: dict[str, object], frames: list[bytes], stream: bytes) -> None:
    whole, bytewise = raw(**options), raw(**options)
    assert payloads(whole.receive(stream, 0)) == frames
    assert payloads([event for byte in stream for event in bytewise.receive(bytes((byte,)), 0)]) == frames
    assert whole.eof(0) == []


@EVERY
def test_any_cut(options: dict[str, object], frames: list[bytes], stream: bytes) -> None:
    for at in range(len(stream)):
        dialect = raw(**options)
        assert payloads(dialect.receive(stream[:at], 0) + dialect.receive(stream[at:], 0)) == frames


@EVERY
def test_out_as_in(options: dict[str, object], frames: list[bytes], stream: bytes) -> None:
    dialect = raw(**options)
    assert b"".join(dialect.encode(Message("t", frame), "tcp") or b"" for frame in frames) == stream


def test_a_hexadecimal_mark() -> None:
    assert payloads(raw(end="2a2A").receive(b"a**b**", 0)) == [b"a", b"b"]


@pytest.mark.parametrize("options", [{"end": "crlf"}, {}])
def test_a_tail(options: dict[str, object]) -> None:
    dialect = raw(**options)
    assert payloads(dialect.receive(b"tail", 0) + dialect.eof(0)) == [b"tail"]


@pytest.mark.parametrize("options", [{"size": 8}, {"length": "u8"}])
def test_a_frame_cut_short_is_a_fault(options: dict[str, object]) -> None:
    dialect = raw(**options)
    assert payloads(dialect.receive(b"\x05cut", 0) + dialect.eof(0)) == [Fault]


@pytest.mark.parametrize(
    ("options", "data"),
    [({"end": "lf"}, b"x" * 1002), ({"length": "u16be"}, b"\x03\xe9"), ({}, b"x" * 1001), ({"gap": "1s"}, b"x" * 1001)],
)
def test_too_long_closes(options: dict[str, object], data: bytes) -> None:
    assert payloads(raw(**options).receive(data, 0)) == [Close]


def test_a_gap_ends_a_message() -> None:
    dialect = raw(gap="20ms")
    assert dialect.receive(b"one ", 10.0) == []
    assert dialect.receive(b"message", 10.015) == []
    assert dialect.deadline == pytest.approx(10.035)
    assert payloads(dialect.timeout(10.035)) == [b"one message"]
    assert dialect.deadline is None
    assert payloads(dialect.receive(b"x", 11) + dialect.eof(11)) == [b"x"]


def test_the_topic_says_whose_it_is() -> None:
    (event,) = raw(topic="plant/{id}/{host}").receive(b"x", 0)
    assert event.topic == "plant/plc7/10.0.0.7"
    assert Raw(DialectContext(), PEER).receive(b"x", 0)[0].topic == "raw/plc7"


def test_units_are_frames() -> None:
    assert payloads(raw("websocket").receive(b"", 0, False)) == [b""]
    assert payloads(raw("udp").receive(b"", 0)) == [b""]
    assert payloads(raw("udp", end="lf").receive(b"a\nb", 0)) == [b"a", b"b"]
    assert payloads(raw("udp", size=2).receive(b"aabbc", 0)) == [b"aa", b"bb", Fault]


def test_websocket_text_and_binary() -> None:
    text, binary = raw("websocket").receive(b"x", 0, True) + raw("websocket").receive(b"x", 0, False)
    assert (text.content_type, binary.content_type) == ("text/plain; charset=utf-8", "application/octet-stream")
    encode = raw("websocket").encode
    assert isinstance(encode(Message("t", b"x", content_type="text/csv"), "websocket"), Text)
    assert isinstance(encode(Message("t", b"{}", content_type="application/json"), "websocket"), Text)
    assert not isinstance(encode(Message("t", b"\xff", content_type="text/csv"), "websocket"), Text)
    assert not isinstance(encode(Message("t", b"x"), "websocket"), Text)


@pytest.mark.parametrize(
    ("options", "payload"),
    [({"end": "lf"}, b"a\nb"), ({"size": 3}, b"ab"), ({"length": "u8"}, b"x" * 256), ({}, b"")],
)
def test_what_would_break_the_framing_is_not_carried(options: dict[str, object], payload: bytes) -> None:
    assert raw(**options).encode(Message("t", payload), "tcp") is None


@pytest.mark.parametrize("options", [{"end": "crfl"}, {"end": ""}, {"size": 0}, {"length": "u64"}, {"gap": "soon"}])
def test_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        raw(**options)


@given(st.lists(st.binary(max_size=50)), st.sampled_from(["u8", "u16be", "u16le", "u32be", "u32le"]))
def test_lengths_carry_anything(frames: list[bytes], length: str) -> None:
    dialect = raw(length=length)
    stream = b"".join(dialect.encode(Message("t", frame), "tcp") or b"" for frame in frames)
    assert payloads(dialect.receive(stream, 0)) == frames
