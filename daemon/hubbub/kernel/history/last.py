"""The newest messages of each topic, with which a replay begins that asks for `last`.

find -> the tail, back to what pages have -> HistoryStore.find_last -> numbers -> read: their messages, page by page
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from functools import partial

from hubbub import limits
from hubbub.kernel.history.history import History
from hubbub.kernel.history.store import Asker, Newest, OnPage, Page, Wanted
from hubbub.kernel.turn import Turn


class LastMessages:
    """What one replay has found.

    end  number of the newest message when its client asked
    """

    def __init__(self, turn: Turn, history: History, end: int, asker: Asker) -> None:
        self.end = end
        self._asker = asker
        self._history = history
        self._numbers: array[int] = array("q")
        self._read = 0  # how many of these
        self._turn = turn

    @property
    def left(self) -> bool:
        """Whether some were not read."""
        return self._read < len(self._numbers)

    def find(self, wanted: Wanted, count: int, then: Callable[[], object]) -> None:
        """Find the newest `count` messages of each topic; `then` is called in the reactor, later."""
        self._look(Newest(wanted, count), self.end, then)

    def _look(self, newest: Newest, until: int, then: Callable[[], object]) -> None:
        """Look at some messages of the tail up to a number that pages don't have yet, and go on in a later turn."""
        if self._asker.gone:
            return
        if until > self._history.store.readable and not newest.full:
            until = self._history.tail.look_back(newest, until, limits.HISTORY_PAGE_MESSAGES)
            self._turn.do_later("history", partial(self._look, newest, until, then))
        else:
            self._history.store.find_last(newest, until, partial(self._found, then), self._asker)

    def _found(self, then: Callable[[], object], newest: Newest) -> None:
        self._numbers = newest.ordered()
        then()

    def read(self, wanted: Wanted, then: OnPage) -> None:
        """Read the next of them; `then` gets them as a page of which only the messages count."""
        some, history = self._numbers[self._read : self._read + limits.HISTORY_PAGE_MESSAGES], self._history
        wanted = wanted._replace(numbers=frozenset(some))

        def take(page: Page) -> None:
            self._read += bisect_right(some, page.end)
            then(page._replace(end=0, lost=0))

        if some[0] > history.tail.floor:
            take(history.tail.after(wanted, some[0] - 1, limits.REPLAY_AT_ONCE))
        else:
            history.store.read(wanted, some[0] - 1, take, self._asker)
