"""transports/frames.py: what it reads, and what it leaves to Autobahn."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hubbub.transports.frames import BINARY, TEXT, FrameReader, frame
from hubbub.transports.masks import mask, unmask

KEY = b"\x01\xfe\x80\x7f"
SIZES = [0, 1, 125, 126, 127, 65535]


def masked(payload: bytes, first: int = BINARY, key: bytes = KEY) -> bytes:
    plain = frame(payload, first)
    head = len(plain) - len(payload)
    return bytes((plain[0], plain[1] | 0x80)) + plain[2:head] + key + mask(payload, key)


def read(*pieces: bytes) -> tuple[list[tuple[bytes, bool | None]], bytes]:
    reader, found, other = FrameReader(70_000), [], b""
    for piece in pieces:
        if other:
            other += piece
            continue
        result = reader.read(piece)
        found += result.found
        other = result.other
    return found, other


def test_sizes() -> None:
    for size in SIZES:
        payload = bytes(at % 251 for at in range(size))
        assert read(masked(payload)) == ([(payload, False)], b"")


@given(st.lists(st.tuples(st.binary(max_size=300), st.booleans())), st.lists(st.integers(0, 2000)))
def test_any_cut(messages: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    """What it finds and what it leaves are the stream, in order, however that is cut."""
    wanted = [(p.hex().encode() if text else p, text) for p, text in messages]
    frames = [masked(p, TEXT if text else BINARY) for p, text in wanted]
    stream = b"".join(frames)
    contexts = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    found, other = read(*(stream[a:b] for a, b in pairwise(contexts)))
    assert found == wanted[: len(found)]
    assert other == b"" if len(found) == len(wanted) else other == b"".join(frames[len(found) :])


def test_a_frame_may_come_in_two_pieces_each() -> None:
    one, two = masked(b"one", TEXT), masked(b"x" * 130)
    for at in range(len(one)):
        assert read(one[:at], one[at:] + two) == ([(b"one", True), (b"x" * 130, False)], b"")
    for at in range(1, len(two)):
        assert read(one + two[:at], two[at:] + masked(b"", 0x89)) == (
            [(b"one", True), (b"x" * 130, False), (masked(b"", 0x89), None)],
            b"",
        )


def test_what_comes_in_more_pieces_is_autobahns() -> None:
    stream = masked(b"one", TEXT) + masked(b"two")
    found, other = read(*(stream[at : at + 1] for at in range(len(stream))))
    assert (found, other) == ([], stream)


def test_what_is_wrong_needs_no_more_bytes() -> None:
    for head in (b"\x89\x00", b"\x81\x05", b"\xc1\x85", b"\x82\xff"):
        assert read(head) == ([], head)


def test_left_to_autobahn() -> None:
    good = masked(b"good")
    strange = [
        frame(b"not masked", BINARY),
        masked(b"first of two", 0x02),
        masked(b"reserved", 0xC2),
        masked(b"\xff", TEXT),
        masked(b"x" * 65536),
        b"\x82\xfe\x00\x05" + KEY + b"short",  # five bytes do not need two bytes of length
        b"\x89\xfe\x00\x7e" + KEY,  # a control frame of 126 bytes
    ]
    for one in strange:
        assert read(good + one + good) == ([(b"good", False)], one + good)


def test_it_says_where_control_frames_stand_between() -> None:
    reader = FrameReader(70_000)
    assert reader.read(masked(b"a") + masked(b"b")).plain
    assert not reader.read(masked(b"a") + masked(b"", 0x89) + masked(b"b")).plain


def test_too_long_a_message_is_autobahns() -> None:
    reader, short, long = FrameReader(200), masked(b"x" * 200), masked(b"x" * 201)
    assert reader.read(short + long) == ([(b"x" * 200, False)], long, True)


@given(st.binary(), st.binary(min_size=4, max_size=4), st.binary(max_size=9))
def test_mask(data: bytes, key: bytes, head: bytes) -> None:
    data *= 1 + data.count(b"x") * 500
    masked = mask(data, key)
    assert masked == bytes(b ^ key[at % 4] for at, b in enumerate(data))
    assert unmask(head + key + masked + head, len(head) + 4, len(data)) == data
