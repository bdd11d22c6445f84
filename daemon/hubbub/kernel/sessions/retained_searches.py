"""Searches for retained messages that one session has asked for, some steps of them in each turn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

from hubbub import limits
from hubbub.events import Subscribe
from hubbub.kernel.routing.batch import END, Batch, kept


class RetainedSearches:
    """The searches of one session: the first of them goes on, the others wait.

    waiting  those, each with its Subscribe event, by the id of the subscription
    """

    __slots__ = ("waiting", "_left", "_turn")

    def __init__(self) -> None:
        self._left = 0  # steps that they still have in that turn
        self.waiting: dict[Hashable, tuple[Iterator[Batch | None], Subscribe]] = {}
        self._turn = -1

    def add(self, batches: Iterator[Batch | None], wish: Subscribe) -> None:
        """Search for a subscription, in place of an earlier search for it. None is a step that finds nothing."""
        self.waiting[wish.key] = (batches, wish)

    def renew(self) -> None:
        """Their job has its share of the turn."""
        self._turn = -1

    def take(self, turn: int, may_send: Callable[[], bool]) -> Iterator[tuple[Batch, Subscribe]]:
        """Yield what the steps find that they still have in this turn, while `may_send`."""
        if turn != self._turn:
            self._turn, self._left = turn, limits.RETAINED_AT_ONCE
        while self.waiting and self._left > 0 and may_send():
            self._left -= 1
            batches, wish = next(iter(self.waiting.values()))
            batch = next(batches, END)
            if batch is END:
                del self.waiting[wish.key]
            elif batch is not None:
                yield batch, wish

    def purge(self, keep: Callable[[str], bool]) -> None:
        """Find no messages on topics that `keep` denies."""
        for id, (batches, wish) in self.waiting.items():
            self.waiting[id] = (kept(batches, keep), wish)

    def clear(self) -> None:
        """Search no more."""
        self.waiting.clear()
