"""What the history needs of a store: storage.history has it in the database, history.memory in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from hubbub import limits
from hubbub.kernel.commits import Commits
from hubbub.kernel.history.rule import HistoryRule, RuleState
from hubbub.message import Message
from hubbub.topics import matches


class Wanted(NamedTuple):
    """Messages that a replay wants.

    rules    ids of the rules that may have some; filters: those of its subscriptions
    since    Unix seconds of the oldest
    numbers  those alone, as `find_last` returned them, or None: all
    """

    rules: tuple[int, ...]
    filters: tuple[str, ...]
    since: float
    numbers: frozenset[int] | None = None

    def has(self, topic: str) -> bool:
        """Return whether a filter matches a topic."""
        return any(matches(filter, topic) for filter in self.filters)


class Newest:
    """The newest messages of each topic, while a search goes from the newest message back."""

    __slots__ = ("wanted", "_count", "_found", "_numbers")

    def __init__(self, wanted: Wanted, count: int) -> None:
        """`count` messages of each topic are wanted."""
        self._count = count
        self._found: dict[str, int] = {}
        self._numbers = array("q")
        self.wanted = wanted

    @property
    def full(self) -> bool:
        """Whether there are as many as may be found."""
        return not self._count or len(self._numbers) >= limits.HISTORY_LAST

    def look(self, number: int, topic: str) -> None:
        """Look at the next message."""
        count = self._found.get(topic, 0)
        if count < self._count and (count or self.wanted.has(topic)):
            self._found[topic] = count + 1
            self._numbers.append(number)

    def ordered(self) -> array[int]:
        """Return their numbers, the oldest first, limits.HISTORY_LAST at most."""
        return array("q", sorted(self._numbers)[-limits.HISTORY_LAST :])


class Page(NamedTuple):
    """Some messages in the order of their numbers.

    end   all that are wanted up to that number have been returned
    lost  something up to that number isn't kept any more
    """

    messages: Sequence[Message]
    end: int
    lost: int


OnPage = Callable[[Page], object]
OnLast = Callable[[Newest], object]


class Asker(Protocol):
    """Who reads the history. gone: whether no answer is wanted any more, so that none is looked for."""

    @property
    def gone(self) -> bool: ...


class HistoryStore(Protocol):
    """Keeps messages, oldest first. `keep` only queues; the store's `commit` closes the batch.

    epoch     its identity, see history.position
    commits   the numbers of its batches
    newest    number of the newest message; readable: pages have all messages up to that number
    """

    epoch: str
    commits: Commits

    @property
    def newest(self) -> int: ...

    @property
    def readable(self) -> int: ...

    def begin_history(self, rules: Sequence[HistoryRule]) -> list[RuleState]:
        """Keep messages of these rules from now on, and forget those of others. Called once."""

    def change_history(self, rules: Sequence[HistoryRule]) -> list[RuleState]:
        """Keep messages of other rules from now on; a rule with the filter of one before goes on with its messages."""

    def keep(self, state: RuleState, message: Message) -> int:
        """Keep a message. Returns its number, which is higher than all before."""

    def skip(self, state: RuleState, message: Message) -> None:
        """Note that a message can't be kept."""

    def will_come(self, number: int) -> bool:
        """Return whether a number that is higher than `newest` may be right: another node has seen it."""

    def when_there(self, number: int, then: Callable[[], object], asker: Asker) -> None:
        """Call `then` once `newest` has reached such a number."""

    def read(self, wanted: Wanted, after: int, then: OnPage, asker: Asker) -> None:
        """Read a page of messages behind number `after`; `then` is called in the reactor, later."""

    def find_last(self, newest: Newest, until: int, then: OnLast, asker: Asker) -> None:
        """Have `newest` look at messages back from number `until`; `then` is called with it in the reactor, later.

        until  not higher than `readable`, unless `newest` is full
        """


def position(store: HistoryStore, number: int) -> str:
    """Return the position of a number."""
    return f"{store.epoch}-{number}"
