"""The memory that the queues of all clients take."""

from __future__ import annotations

from collections.abc import Callable

from hubbub import limits


class QueuedBytes:
    """The bytes of the queues and in-flight messages of all clients.

    most         the most that they were since `take_most`
    on_overflow  is called when they become more than limits.QUEUED_BYTES_ALL
    """

    __slots__ = ("most", "on_overflow", "size")

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        self.most = 0
        self.size = 0
        self.on_overflow = on_overflow

    def add(self, size: int) -> None:
        """Count more bytes."""
        self.size += size
        if self.size > self.most:
            self.most = self.size
        if self.size > limits.QUEUED_BYTES_ALL:
            self.on_overflow()

    def take_most(self) -> int:
        """Return `most`, and begin anew."""
        most, self.most = self.most, self.size
        return most
