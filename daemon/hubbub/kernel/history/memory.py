"""A history in memory: it ends with the process, and a position of another process is unknown."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from heapq import merge

from hubbub import limits
from hubbub.kernel.commits import Commits
from hubbub.kernel.history.position import first_number, new_epoch
from hubbub.kernel.history.rule import HistoryRule, RuleState, change_rules
from hubbub.kernel.history.store import Asker, Newest, OnLast, OnPage, Page, Wanted
from hubbub.kernel.turn import Turn
from hubbub.message import Message, cost

Row = tuple[int, Message]


class _Rows:
    """The messages of one rule."""

    __slots__ = ("at", "messages", "numbers", "state")

    def __init__(self, state: RuleState) -> None:
        self.at = 0  # of the first that is kept
        self.messages: list[Message | None] = []
        self.numbers = array("q")
        self.state = state

    def append(self, number: int, message: Message) -> None:
        self.numbers.append(number)
        self.messages.append(message)
        self.state.count += 1
        self.state.bytes += cost(message) + limits.QUEUED_MESSAGE_BYTES

    def trim(self, now: float) -> None:
        """Drop some of what is too much, the oldest first."""
        state = self.state
        left = limits.HISTORY_PAGE_MESSAGES
        while self.at < len(self.numbers) and left:
            left -= 1
            oldest = self.messages[self.at]
            assert oldest is not None
            if not state.is_over(now, oldest.time):
                break
            state.trim(self.numbers[self.at], oldest.time, 1, cost(oldest) + limits.QUEUED_MESSAGE_BYTES)
            self.messages[self.at] = None
            self.at += 1
        if self.at > 1_000 and 2 * self.at > len(self.numbers):
            del self.numbers[: self.at]
            del self.messages[: self.at]
            self.at = 0

    def after(self, number: int) -> Sequence[Row]:
        """Return the first rows behind a number."""
        start = max(bisect_right(self.numbers, number), self.at)
        return self._part(start, start + limits.HISTORY_PAGE_MESSAGES)

    def before(self, number: int) -> Sequence[Row]:
        """Return the last rows before a number, the oldest first."""
        end = bisect_left(self.numbers, number)
        return self._part(max(end - limits.HISTORY_PAGE_MESSAGES, self.at), end)

    def _part(self, start: int, end: int) -> Sequence[Row]:
        kept = [one for one in self.messages[start:end] if one is not None]
        return list(zip(self.numbers[start:end], kept, strict=True))


class MemoryHistory:
    """Keeps messages in memory (history.store.HistoryStore), limits.HISTORY_MEMORY_BYTES of them at most."""

    def __init__(self, turn: Turn) -> None:
        self.commits = Commits()
        self.epoch = new_epoch()
        self._last_rule = 0
        self._newest = first_number(0, turn.wall())
        self._rows: dict[int, _Rows] = {}
        self._turn = turn

    @property
    def newest(self) -> int:
        return self._newest

    @property
    def readable(self) -> int:
        return self._newest

    def begin_history(self, rules: Sequence[HistoryRule]) -> list[RuleState]:
        return self.change_history(rules)

    def change_history(self, rules: Sequence[HistoryRule]) -> list[RuleState]:
        most = limits.HISTORY_MEMORY_BYTES // max(1, len(rules))
        bounded = [rule._replace(bytes=min(rule.bytes, most)) for rule in rules]
        there = [rows.state for rows in self._rows.values()]
        states, gone, poorer = change_rules(there, bounded, self._begin_rule)
        for state in poorer:
            state.missing, state.missing_time = self._newest, self._turn.wall()
        for state in gone:
            self._later(partial(self._forget, state.id))
        return states

    def _begin_rule(self, rule: HistoryRule) -> RuleState:
        self._last_rule += 1
        state = RuleState(rule, self._last_rule, self._newest, self._turn.wall())
        self._rows[state.id] = _Rows(state)
        return state

    def _forget(self, id: int) -> None:
        """Drop some messages of a rule that has ended, and go on in a later turn."""
        rows = self._rows[id]
        rows.trim(self._turn.wall())
        if rows.state.count:
            self._later(partial(self._forget, id))
        else:
            del self._rows[id]

    def keep(self, state: RuleState, message: Message) -> int:
        self._newest += 1
        rows = self._rows[state.id]
        rows.append(self._newest, message)
        rows.trim(message.time)
        return self._newest

    def skip(self, state: RuleState, message: Message) -> None:
        """It never refuses."""

    def will_come(self, number: int) -> bool:
        return False

    def when_there(self, number: int, then: Callable[[], object], asker: Asker) -> None:
        """No number comes from elsewhere."""

    def read(self, wanted: Wanted, after: int, then: OnPage, asker: Asker) -> None:
        self._later(partial(self._read, wanted, after, self.readable, then, asker))

    def _read(self, wanted: Wanted, after: int, until: int, then: OnPage, asker: Asker) -> None:
        if asker.gone:
            return
        rows, end, lost = self._page(wanted, after, until)
        matching = [
            message
            for number, message in rows
            if message.time >= wanted.since
            and (wanted.numbers is None or number in wanted.numbers)
            and wanted.has(message.topic)
        ]
        then(Page(matching, end, lost))

    def _page(self, wanted: Wanted, after: int, until: int) -> tuple[list[Row], int, int]:
        """Return the first rows of all rules, the number up to which these are all, and that of what is lost."""
        found, end, lost = [], until, 0
        for id in wanted.rules:
            rows = self._rows.get(id)
            if rows is None:  # it has ended
                continue
            rows.trim(self._turn.wall())
            lost = max(lost, rows.state.lost)
            some = rows.after(after)
            found.append(some)
            if len(some) >= limits.HISTORY_PAGE_MESSAGES:
                end = min(end, some[-1][0])
        return [row for row in merge(*found, key=lambda row: row[0]) if row[0] <= end], end, lost

    def find_last(self, newest: Newest, until: int, then: OnLast, asker: Asker) -> None:
        self._later(partial(self._find, newest, list(newest.wanted.rules), until + 1, until, then, asker))

    def _find(self, newest: Newest, rules: list[int], before: int, until: int, then: OnLast, asker: Asker) -> None:
        """Look at some messages before a number, of the last of these rules, and go on in a later turn."""
        if asker.gone:
            return
        if not rules or newest.full:
            then(newest)
            return
        rows, now = self._rows.get(rules[-1]), self._turn.wall()
        if rows is None:  # it has ended
            self._later(partial(self._find, newest, rules[:-1], until + 1, until, then, asker))
            return
        rows.trim(now)
        some, oldest = rows.before(before), now - rows.state.rule.age
        for number, message in reversed(some):
            if message.time >= oldest:
                newest.look(number, message.topic)
        if len(some) < limits.HISTORY_PAGE_MESSAGES:
            rules.pop()
            before = until + 1
        else:
            before = some[0][0]
        self._later(partial(self._find, newest, rules, before, until, then, asker))

    def _later(self, job: partial[None]) -> None:
        self._turn.do_later("history", job)
