"""joined_frames.py: frames in one piece."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubbub.joined_frames import JoinedFrames, ends_of
from hubbub.kernel.routing.batch import Batch
from hubbub.message import Message

SOME = st.lists(st.binary(max_size=9).map(lambda text: text.replace(b"\n", b"") + b"\n"), min_size=1, max_size=5)


@given(SOME, st.integers(0, 5), st.integers(0, 5))
def test_they_are_cut_as_a_list_of_them_is(some: list[bytes], first: int, last: int) -> None:
    for frames in (
        JoinedFrames(b"".join(some), len(some), b"\n"),
        JoinedFrames(b"".join(some), len(some), ends=ends_of(some)),
    ):
        assert list(frames) == some
        assert list(frames.ends) == list(ends_of(some))
        assert len(frames) == len(some)
        assert frames[first:last] == some[first:last]
        assert some[-1] in frames
        assert None not in frames


@given(SOME.filter(lambda some: len(some) > 1))
def test_a_batch_of_them_is_one_of_a_list(some: list[bytes]) -> None:
    messages = [Message("a", frame) for frame in some]
    data = b"".join(some)
    batch, other = Batch(messages, JoinedFrames(data, len(some), b"\n")), Batch(messages, some)
    assert batch.data == other.data
    assert batch.data is data
    assert batch.ends() == other.ends()
    assert batch.topics() == other.topics()
    assert [list(part.frames) for part in batch.singles(True)] == [[frame] for frame in some]
    assert batch.part(1, len(some)).join() == other.part(1, len(some)).join()
    assert batch.pack()
    assert list(batch.frames) == some
