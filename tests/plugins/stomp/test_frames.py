"""plugins/stomp/frames.py and reader.py: what is cut out of a stream, read and written."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub_plugins.stomp.frames import V10, V11, V12, read_frame, write_frame, write_header
from hubbub_plugins.stomp.reader import Reader


def feed(*pieces, max_body=100):
    """Return the frames as (command, headers, body), and the reason of the error after them."""

    def act(head, body, events):
        events.append(read_frame(head.raw, body, V12))
        return True

    reader, frames = Reader(max_body), []
    for piece in pieces:
        error = reader.feed(piece, frames, act)
        if error is not None:
            return frames, error.reason
    return frames, None


def headers(text, version=V12):
    return read_frame(b"SEND\n" + text.encode(), b"", version).headers


ONE = ("SEND", {"destination": "a"}, b"x")


@pytest.mark.parametrize(
    ("data", "frames"),
    [
        (b"SEND\ndestination:a\n\nx\0", [ONE]),
        (b"SEND\r\ndestination:a\r\n\r\nx\0\r\n", [ONE]),
        (b"SEND\r\ndestination:a\n\r\nx\0", [ONE]),
        (b"\n\n\r\nSEND\ndestination:a\n\nx\0\n\n\nSEND\ndestination:a\n\nx\0", [ONE, ONE]),
        (b"SEND\ncontent-length:3\n\n\0\n\0\0", [("SEND", {"content-length": "3"}, b"\0\n\0")]),
        (b"SEND\ncontent-length:0\n\n\0", [("SEND", {"content-length": "0"}, b"")]),
        (b"SEND\ncontent-length:1\ncontent-length:9\n\nx\0", [("SEND", {"content-length": "1"}, b"x")]),
        (b"SEND\n\na\n\nb\0", [("SEND", {}, b"a\n\nb")]),
        (b"SEND\na:\na:2\n\n\0", [("SEND", {"a": ""}, b"")]),
        (b"SEND\na:b:c\n\n\0", [("SEND", {"a": "b:c"}, b"")]),
        (b"SEND\n\n\0", [("SEND", {}, b"")]),
        (b"\n\r\n", []),
        (b"SEND\n\nx", []),
    ],
)
def test_frames_are_cut_out(data, frames):
    assert feed(data) == (frames, None)
    assert feed(*(bytes((byte,)) for byte in data)) == (frames, None)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SEND\na:b\0", "a NUL comes before"),
        (b"\0", "a NUL comes before"),
        (b"SEND\na\0:b\n\n\0", "a NUL comes before"),
        (b"SEND\ncontent-length:2\n\nabc\0", "a body is longer"),
        (b"SEND\ncontent-length:-1\n\n\0", "a content-length is"),
        (b"SEND\ncontent-length: 1\n\n\0", "a content-length is"),
        (b"SEND\ncontent-length:12345678901\n\n\0", "a content-length is"),
        (b"SEND\ncontent-length:101\n\n", "a body has more than 100 bytes"),
        (b"SEND\n\n" + b"x" * 101, "a body has more than 100 bytes"),
        (b"x" * limits.STOMP_HEAD_BYTES, "the head of a frame has more than"),
        (b"SEND\n" + b"a:b\n" * 20_000, "the head of a frame has more than"),
        (b"SEND\nx\n\n\0", "a header is NAME:VALUE"),
        (b"SEND\n:x\n\n\0", "a header is NAME:VALUE"),
        (b"SEND\na:\xff\n\n\0", "a header is UTF-8"),
        (b"\xff\n\n\0", "a header is UTF-8"),
        (b"SEND\n" + b"a:b\n" * 101 + b"\n\0", "a frame has more than 100 headers"),
        (rb"SEND" + b"\n" + rb"a:\t" + b"\n\n\0", "in a header"),
        (b"SEND\na:\\\n\n\0", "in a header"),
    ],
)
def test_what_is_malformed(data, reason):
    before = b"SEND\ndestination:a\n\nx\0"
    frames, found = feed(before, data)
    assert frames == [ONE]
    assert found.startswith(reason)
    if len(data) < 1_000:
        assert feed(before, *(bytes((byte,)) for byte in data)) == (frames, found)


def test_a_long_body_is_looked_at_once():
    """Each byte of what comes in small pieces is searched once, and copied a few times."""
    frames, error = feed(b"SEND\n\n", *[b"x" * 100] * 20_000, b"\0", max_body=10_000_000)
    assert (len(frames[0].body), error) == (2_000_000, None)


@pytest.mark.parametrize(
    ("version", "text", "found"),
    [
        (V12, r"a\cb:\n\r\\", {"a:b": "\n\r\\"}),
        (V11, r"a\cb:\n\r\\\t", {"a:b": "\n\\r\\\\t"}),
        (V10, r"a\cb:\n\\", {r"a\cb": r"\n\\"}),
        (V12, " a : b ", {" a ": " b "}),
    ],
)
def test_escapes_are_read_by_version(version, text, found):
    assert headers(text, version) == found


@pytest.mark.parametrize("version", [V10, V11, V12])
def test_connect_has_no_escapes(version):
    frame = read_frame(b"CONNECT\npasscode:a\\cb", b"", version)
    assert frame.headers == {"passcode": r"a\cb"}


@pytest.mark.parametrize(
    ("version", "pair", "line"),
    [
        (V12, ("a:b", "\n\r\\ü"), "a\\cb:\\n\\r\\\\ü\n"),
        (V11, ("a:b", "\n\r\\"), "a\\cb:\\n\r\\\\\n"),
        (V10, ("a", "b:c\\"), "a:b:c\\\n"),
        (V10, ("a:b", "c"), ""),
        (V10, ("a", "b\nc"), ""),
        (V12, ("", "c"), ""),
        (V12, ("a", "\0"), ""),
        (V12, ("a", "\ud800"), ""),
    ],
)
def test_escapes_are_written_by_version(version, pair, line):
    assert write_header(*pair, version) == line.encode()


def test_frames_are_written():
    assert write_frame("RECEIPT", {"receipt-id": "a:b"}, V12) == b"RECEIPT\nreceipt-id:a\\cb\n\n\0"
