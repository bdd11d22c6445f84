"""client/wire.py: units are the same, however the stream is cut."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.client import wire as module
from hubbub.client.address import parse
from hubbub.client.errors import Lost
from hubbub.client.wire import LineWire, WebSocketWire, wire_of

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
UNITS = [b"{}", b'{"op":"pong"}', b"x" * 200, b"y" * 70_000]


def frame(data: bytes, first: int = 0x81) -> bytes:
    size = len(data)
    if size < 126:
        return bytes((first, size)) + data
    head = (
        bytes((first, 126)) + size.to_bytes(2, "big")
        if size < 65_536
        else bytes((first, 127)) + size.to_bytes(8, "big")
    )
    return head + data


def opened() -> tuple[WebSocketWire, bytes]:
    """A wire, and what the hub answers to its handshake."""
    wire = wire_of(parse("ws://hub:1/path?x", None, None, None))
    assert isinstance(wire, WebSocketWire)
    lines = wire.hello().split(b"\r\n")
    assert lines[:2] == [b"GET /path?x HTTP/1.1", b"Host: hub:1"]
    (key,) = (line.split(b": ")[1] for line in lines if line.startswith(b"Sec-WebSocket-Key"))
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return wire, b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-ACCEPT:  " + accept + b"\r\n\r\n"


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def test_a_line_that_comes_byte_by_byte_is_copied_nowhere() -> None:
    wire = LineWire()
    wire.receive(b"x")
    held = wire._read
    wire.receive(b"x")
    assert wire._read is held
    assert wire.receive(b"\nx") == ([b"xx"], b"")


def test_many_pings_have_one_pong() -> None:
    wire, head = opened()
    wire.receive(head)
    _, answer = wire.receive(frame(b"first", 0x89) * 1_000 + frame(b"last", 0x89))
    assert len(answer) == 6 + len(b"last")


@pytest.mark.parametrize("first", [0x88, 0x89, 0x8A])
def test_a_control_frame_is_short(first: int) -> None:
    wire, head = opened()
    wire.receive(head)
    with pytest.raises(Lost, match="control frame"):
        wire.receive(frame(b"x" * 126, first))


def test_what_a_server_says_moves_no_cursor() -> None:
    wire, head = opened()
    with pytest.raises(Lost) as lost:
        wire.receive(b"HTTP/1.1 200 \x1b[2J\r\n\r\n")
    assert str(lost.value).isprintable()
    wire, head = opened()
    wire.receive(head)
    with pytest.raises(Lost) as lost:
        wire.receive(frame(b"\x03\xe8\x1b[2J", 0x88))
    assert str(lost.value).isprintable()


cuts = st.lists(st.integers(0, 100_000), max_size=6)


@given(cuts)
def test_frames(where: list[int]) -> None:
    wire, head = opened()
    fragments = frame(b"{", 0x01) + frame(b"ping", 0x89) + frame(b'"a"', 0x00) + frame(b":1}", 0x80)
    units, answers = [], b""
    for piece in pieces(head + b"".join(map(frame, UNITS)) + fragments, where):
        found, answer = wire.receive(piece)
        units += found
        answers += answer
    assert wire.opened
    assert units == [*UNITS, b'{"a":1}']
    assert answers[0] == 0x8A


@given(cuts)
def test_lines(where: list[int]) -> None:
    wire = LineWire()
    units = [unit for piece in pieces(b"\n".join(UNITS) + b"\n{", where) for unit in wire.receive(piece)[0]]
    assert units == UNITS
    assert wire.encode(b"{}") == b"{}\n"


def test_what_a_client_sends_is_masked() -> None:
    wire, _ = opened()
    sent = wire.encode(b"hello")
    assert sent[:2] == bytes((0x81, 0x85))
    assert bytes(byte ^ sent[2 + at % 4] for at, byte in enumerate(sent[6:])) == b"hello"
    assert wire.goodbye()[:2] == bytes((0x88, 0x82))


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: x\r\n\r\n", b"x" * 100_000],
)
def test_no_websocket_there(answer: bytes) -> None:
    with pytest.raises(Lost, match="there is no WebSocket"):
        opened()[0].receive(answer)


def test_a_closing_frame_has_its_reason() -> None:
    wire, head = opened()
    wire.receive(head)
    with pytest.raises(Lost, match="too slow"):
        wire.receive(frame(b"\x03\xe8too slow", 0x88))


def test_units_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 100)
    for data in (frame(b"x" * 101), frame(b"x" * 60, 0x01) + frame(b"x" * 60, 0x00)):
        wire, head = opened()
        wire.receive(head)
        with pytest.raises(Lost, match="more than 100 bytes"):
            wire.receive(data)
    with pytest.raises(Lost, match="more than 100 bytes"):
        LineWire().receive(b"x" * 101)
