"""The messages of the stream as numbers that only grow in this process, also when the stream begins anew."""

from __future__ import annotations


class Numbers:
    """Numbers of the stream's messages.

    epoch   of the stream that is read now, see StreamInfo.epoch
    newest  the number of the newest message that was read
    """

    def __init__(self) -> None:
        self.epoch = ""
        self.newest = 0
        self._base = 0  # what a number is more than its sequence
        self._floor = 0  # of the newest message that was in an earlier stream

    def begin(self, epoch: str, seq: int) -> None:
        """A stream is read from behind sequence `seq` on: another one, or one that has lost its newest messages."""
        if not self.epoch:
            self.newest = seq
        elif epoch != self.epoch or self._base + seq < self.newest:
            self._base, self._floor = self.newest - seq, self.newest
        else:
            self.newest = self._base + seq
        self.epoch = epoch

    def wiped(self, epoch: str, last: int) -> None:
        """The stream isn't the same one any more; `last` is its newest sequence."""
        self.begin(epoch, last if epoch == self.epoch else 0)

    def reached(self, seq: int) -> int:
        """The message of that sequence is read. Returns its number."""
        self.newest = self._base + seq
        return self.newest

    @property
    def last(self) -> int:
        """The sequence of the newest message that was read, or behind which it is read on."""
        return self.newest - self._base

    def of(self, seq: int) -> int:
        """Return the number of a sequence."""
        return self._base + seq

    def seq(self, number: int) -> int:
        """Return the sequence of a number; 0: it isn't in this stream."""
        return number - self._base if number > self._floor else 0

    def seq_from(self, number: int) -> int:
        """Return the first sequence in this stream that has that number or a higher one."""
        return max(1, max(number, self._floor + 1) - self._base)
