"""Each reader gives the same frames however the stream is cut, and never keeps more than its maximum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.framing import LENGTHS, EndReader, LengthReader, SizeReader, TooLong, cut_alike, prefixed
from unit.kernel_help import cut

MAX = 16
READERS = {
    "lf": lambda: EndReader(b"\n", MAX),
    "crlf": lambda: EndReader(b"\r\n", MAX),
    "three": lambda: EndReader(b"aab", MAX),
    "size": lambda: SizeReader(5),
    **{length: (lambda length=length: LengthReader(length, MAX)) for length in LENGTHS},
}


def read(reader, pieces):
    """All frames, whether the reader gave up, and the rest."""
    frames = []
    for piece in pieces:
        try:
            frames += reader.feed(piece)
        except TooLong as refusal:
            return frames + refusal.frames, True, b""
    return frames, False, reader.rest()


# Not parametrized: pytest-twisted wraps the function of a `given` test once for each parameter, one in the other.
@given(
    st.sampled_from(list(READERS)),
    st.lists(st.sampled_from([b"\r", b"\n", b"a", b"b", b"\0", b"\x02", b"\x10"])).map(b"".join),
    st.data(),
)
def test_the_cuts_make_no_difference(kind, data, more):
    at = more.draw(st.lists(st.integers(0, len(data)), max_size=8).map(sorted))
    frames, gave_up, rest = read(READERS[kind](), [data])
    for pieces in (cut(data, at), [data[i : i + 1] for i in range(len(data))]):
        found, gave_up_here, rest_here = read(READERS[kind](), pieces)
        assert found == frames
        if gave_up_here or not gave_up:  # cut, a reader may need another byte to know
            assert (gave_up_here, rest_here) == (gave_up, rest)
        else:
            assert len(rest_here) > MAX


@given(st.sampled_from([b"\n", b"\r\n", b"\0", b"aab"]), st.lists(st.binary(max_size=MAX)), st.binary(max_size=MAX))
def test_frames_behind_marks_come_back(end, frames, tail):
    frames = [frame for frame in frames if end not in frame + end[:-1]]
    tail = b"" if end in tail else tail
    data = b"".join(frame + end for frame in frames)
    assert read(EndReader(end, MAX), [data]) == (data.split(end)[:-1], False, b"")
    if not tail.startswith(tuple(end[i:] for i in range(1, len(end)))):
        assert read(EndReader(end, MAX), [data, tail])[2] == tail


@given(st.sampled_from(list(LENGTHS)), st.lists(st.binary(max_size=MAX)))
def test_frames_behind_lengths_come_back(length, frames):
    data = b"".join(prefixed(frame, length) for frame in frames)
    assert read(LengthReader(length, MAX), [data]) == (frames, False, b"")


@given(st.binary(max_size=100), st.integers(1, 9))
def test_frames_of_one_size_come_back(data, size):
    frames, _, rest = read(SizeReader(size), [data])
    assert b"".join(frames) + rest == data
    assert {len(frame) for frame in frames} <= {size}
    assert len(rest) < size


@pytest.mark.parametrize("size", [MAX - 1, MAX, MAX + 1, MAX + 2, 10 * MAX])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_frame_may_have_its_maximum_and_no_more(size, end, whole):
    data = b"ok" + end + b"x" * size + end + b"later" + end
    pieces = [data] if whole else [data[i : i + 1] for i in range(len(data))]
    frames, gave_up, _ = read(EndReader(end, MAX), pieces)
    assert gave_up is (size > MAX)
    assert frames == ([b"ok"] if gave_up else [b"ok", b"x" * size, b"later"])


def test_an_endless_frame_is_given_up_in_time():
    reader = EndReader(b"\r\n", MAX)
    assert reader.feed(b"x" * MAX + b"\r") == []
    with pytest.raises(TooLong, match="16 bytes"):
        reader.feed(b"x")


def test_what_is_left_is_no_longer_than_a_frame():
    """An unended last frame is a frame too, where a dialect says so: the maximum holds for it."""
    reader = EndReader(b"\n", MAX)
    with pytest.raises(TooLong):
        reader.feed(b"x" * (MAX + 1))


def test_a_length_over_the_maximum_is_refused_at_once():
    reader = LengthReader("u32be", MAX)
    with pytest.raises(TooLong) as found:
        reader.feed(b"\0\0\0\1a" + b"\xff\xff\xff\xff")
    assert found.value.frames == [b"a"]


def test_a_long_frame_in_small_pieces_is_not_searched_again():
    """500,000 pieces of a frame of 1 MB: linear work, or this test doesn't end in time."""
    reader = EndReader(b"\r\n", 1_000_000)
    assert not any(reader.feed(b"xx") for _ in range(500_000))
    assert len(reader.feed(b"\r\n")[0]) == 1_000_000


def test_a_length_says_how_much_it_can():
    assert prefixed(b"x" * 255, "u8")[0] == 255
    with pytest.raises(OverflowError):
        prefixed(b"x" * 256, "u8")
    assert prefixed(b"ab", "u16le") == b"\2\0ab"
    assert prefixed(b"ab", "u32be") == b"\0\0\0\2ab"


PAYLOADS = st.lists(st.text("ab", min_size=2, max_size=2).map(str.encode))
UNITS = st.lists(st.sampled_from([b"h1\n", b"h2\n", b"g1\n", b"h1", b"h\n\n", b"hh\n"]))
ENDS = st.sampled_from([b"", b"\n"])


@given(PAYLOADS, ENDS, st.binary(max_size=3))
def test_alike_units_are_cut_at_once(payloads, end, rest):
    data = b"".join(b"head " + payload + end for payload in payloads) + rest
    assert cut_alike(data, b"head ", 2, end) == payloads


@given(UNITS, ENDS)
def test_what_is_cut_at_once_is_what_stands_there(units, end):
    data = b"".join(units)
    found = cut_alike(data, b"h", 1, end)
    assert data.startswith(b"".join(b"h" + payload + end for payload in found))
    assert len(found) in (0, len(data) // (2 + len(end)))
