"""The part of a queue that is in the store alone, behind what is in memory: a number and a size for each message.

A queue of an earlier process is read in pages, as its client takes it. Until it has taken all of them, new messages
wait in the store alone too, so that the order stays.
"""

from __future__ import annotations

from array import array

from hubbub import limits

_COMPACT = 1_000  # messages taken from the front before their room is given back


class PagedQueue:
    """Messages by their number in the store, in the order of the queue.

    shared  whether other members of a group may get some of them
    """

    __slots__ = ("shared", "_at", "_numbers", "_sizes")

    def __init__(self, numbers: array[int] | None = None, sizes: array[int] | None = None) -> None:
        """`sizes` are the bytes of the messages, about."""
        self._numbers = array("q") if numbers is None else numbers
        self._sizes = array("q") if sizes is None else sizes
        self._at = 0
        self.shared = False

    def __len__(self) -> int:
        return len(self._numbers) - self._at

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(self._sizes[self._at :])

    @property
    def first(self) -> int:
        """The number of the first, if there is one."""
        return self._numbers[self._at]

    @property
    def last(self) -> int:
        """The number of the last, if there is one."""
        return self._numbers[-1]

    def append(self, number: int, size: int, shared: bool) -> None:
        """Add a message at the end."""
        self.shared = self.shared or shared
        self._numbers.append(number)
        self._sizes.append(size)

    def pop(self) -> int:
        """Take the first one out. Returns its bytes."""
        size = self._sizes[self._at]
        self._at += 1
        if self._at >= _COMPACT and 2 * self._at >= len(self._numbers):
            del self._numbers[: self._at]
            del self._sizes[: self._at]
            self._at = 0
        return size

    def page(self) -> list[int]:
        """Return the numbers of the first few, limits.PAGE_MESSAGES and about limits.PAGE_BYTES at most."""
        count, size, left = 0, 0, min(len(self), limits.PAGE_MESSAGES)
        while count < left and size < limits.PAGE_BYTES:
            size += self._sizes[self._at + count]
            count += 1
        return self._numbers[self._at : self._at + count].tolist()
