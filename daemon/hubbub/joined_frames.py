"""Frames in one piece, which is cut when somebody looks at one of them.

    frames = JoinedFrames(b"MSG a 1\\nMSG a 2\\n", 2, end=b"\\n")
    frames[1]    ->  b"MSG a 2\\n"

A batch of messages is sent as it is; only what waits, or is cut off by a bound, is looked at one by one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any


def ends_of(pieces: Iterable[Sequence[Any]]) -> array[int]:
    """Return where each of these pieces ends once they are joined: 4 bytes each, as long as they wait."""
    return array("I", accumulate(map(len, pieces)))


class JoinedFrames(Sequence[bytes]):
    """Frames that leave together. The `encode_all` of a dialect may return it, where that is quicker than a list.

    data  bytes: all of them
    """

    __slots__ = ("data", "_count", "_end", "_ends")

    def __init__(self, data: bytes, count: int, end: bytes = b"", ends: Sequence[int] | None = None) -> None:
        """`count`: how many. `end`: what each ends with, and has nowhere else; or `ends`: where each ends, in bytes."""
        self.data = data
        self._count = count
        self._end = end
        self._ends = ends

    @property
    def ends(self) -> Sequence[int]:
        """Where each ends."""
        ends = self._ends
        if ends is None:
            ends = self._ends = ends_of([frame + self._end for frame in self.data.split(self._end)[:-1]])
        return ends

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(self._count))]
        ends = self.ends
        return self.data[ends[at - 1] if at else 0 : ends[at]]

    def __contains__(self, frame: object) -> bool:
        """Return whether it is one of them. None, which stands for what can't be carried, never is."""
        return frame is not None and super().__contains__(frame)
