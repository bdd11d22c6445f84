"""The memory of all slow consumers together: bounded, and the largest outboxes give way first.

An outbox counts only while its transport has paused it, at the end of a turn that brought it something: a client that
reads costs nothing here. A batch that several outboxes share counts for each, so memory is never more than the sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from hubbub import limits
from hubbub.kernel.steps import spread
from hubbub.kernel.trimming import level
from hubbub.kernel.turn import Turn

_LOW_WATER = 0.9  # of the bound: what is left after the outboxes were trimmed


class Trimmable(Protocol):
    """An outbox."""

    @property
    def weight(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def unsettled(self) -> int: ...
    def give_way(self, weight: int) -> bool: ...


def weigh(size: int, units: int, messages: int) -> int:
    """Return how many bytes of memory so many units take, with so many messages and bytes in them."""
    return size + units * limits.UNIT_BYTES + messages * limits.UNIT_MESSAGE_BYTES


class SlowConsumers:
    """The paused outboxes and the memory that they take.

    size     bytes of all, with what units take beside their frames, as of when each was counted last
    most     the most that it has been since `take_most`
    dropped  messages that were trimmed; cut: links that were cut instead
    """

    def __init__(self, turn: Turn) -> None:
        self.size = 0
        self.most = 0
        self.dropped = 0
        self.cut = 0
        self._turn = turn
        self._waiting: dict[Trimmable, int] = {}  # bytes
        self._marked = False  # for the end of this turn

    @property
    def unsettled(self) -> int:
        """Messages that were dropped in backlogs, and aren't counted yet."""
        return sum([one.unsettled for one in self._waiting])

    def count(self, outbox: Trimmable) -> None:
        """A paused outbox has got something."""
        weight = outbox.weight
        self.size += weight - self._waiting.get(outbox, 0)
        self._waiting[outbox] = weight
        if self.size > self.most:
            self.most = self.size
        if self.size > self._turn.bounds.outbox_bytes and not self._marked:
            self._marked = True
            self._turn.flush_later(self)

    def take_most(self) -> int:
        """Return `most`, and begin anew."""
        most, self.most = self.most, self.size
        return most

    def forget(self, outbox: Trimmable) -> None:
        """An outbox is no longer paused."""
        self.size -= self._waiting.pop(outbox, 0)

    def flush(self) -> None:
        """Trim the largest outboxes to one level, so that all fit, step by step (kernel.turn.Flushable)."""
        most = self._turn.bounds.outbox_bytes
        if self.size <= most:
            self._marked = False
            return
        keep = level(sorted(self._waiting.values()), int(most * _LOW_WATER))
        spread(
            self._turn, "slow consumers", self._trim([one for one, size in self._waiting.items() if size > keep], keep)
        )

    def _trim(self, those: list[Trimmable], keep: int) -> Iterator[None]:
        for outbox in those:
            if self._waiting.get(outbox, 0) > keep:
                before = outbox.dropped
                if outbox.give_way(keep):
                    self.dropped += outbox.dropped - before
                    self.count(outbox)
                else:
                    self.cut += 1
            yield
        self._marked = False
