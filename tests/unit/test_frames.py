"""transports/frames.py: what it reads, and what it leaves to Autobahn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hubbub.transports.frames import BINARY, TEXT, FrameReader, frame, unmask

KEY = b"\x01\xfe\x80\x7f"
SIZES = [0, 1, 125, 126, 127, 65535]


def masked(payload: bytes, first: int = BINARY, key: bytes = KEY) -> bytes:
    plain = frame(payload, first)
    head = len(plain) - len(payload)
    return bytes((plain[0], plain[1] | 0x80)) + plain[2:head] + key + unmask(payload, key)


def read(*pieces: bytes) -> tuple[list[tuple[bytes, bool | None]], bytes]:
    reader, found, other = FrameReader(), [], b""
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
    wanted = [(p.hex().encode() if text else p, text) for p, text in messages]
    stream = b"".join(masked(p, TEXT if text else BINARY) for p, text in wanted)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in zip(places, places[1:], strict=False)]
    assert read(*pieces) == (wanted, b"")


def test_byte_by_byte() -> None:
    stream = masked(b"one", TEXT) + masked(b"", 0x89) + masked(b"x" * 130)
    found, other = read(*(stream[at : at + 1] for at in range(len(stream))))
    assert found == [(b"one", True), (masked(b"", 0x89), None), (b"x" * 130, False)]
    assert other == b""


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


@given(st.binary(), st.binary(min_size=4, max_size=4))
def test_mask(data: bytes, key: bytes) -> None:
    assert unmask(unmask(data, key), key) == data
    assert unmask(data, key) == bytes(b ^ key[at % 4] for at, b in enumerate(data))
