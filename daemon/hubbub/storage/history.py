"""The history of a durable store as the kernel knows it (kernel.history.store.HistoryStore)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import apsw

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.kernel.commits import Commits
from hubbub.kernel.history.rule import HistoryRule, RuleState, change_rules
from hubbub.kernel.history.store import Asker, Newest, OnLast, OnPage, Page, Wanted
from hubbub.kernel.sessions.records import make_message
from hubbub.message import Message
from hubbub.storage.codec import unpack_block
from hubbub.storage.reading import UNREADABLE
from hubbub.storage.store import DurableStore

_PAGE = "SELECT last, count, length(body), body FROM history WHERE rule = ? AND last > ? AND time >= ? ORDER BY last"
_BACK = "SELECT last, body FROM history WHERE rule = ? AND last < ? AND last <= ? ORDER BY last DESC LIMIT ?"
_BACK_ROWS = 4  # that one step of a search looks at: about 1 ms
_NO_END = 2**63 - 1


class DurableHistory:
    """Keeps messages in a DurableStore. `begin_history` raises ConfigError: its file can't be written."""

    def __init__(self, store: DurableStore) -> None:
        self.commits: Commits = store.commits
        self.epoch = store.blocks.epoch
        self.keep = store.keep  # called for each message
        self._states: list[RuleState] = []
        self._store = store
        self._prefix = f"{self.epoch}-"

    @property
    def newest(self) -> int:
        return self._store.newest

    @property
    def readable(self) -> int:
        return self._store.readable

    def begin_history(self, rules: Sequence[HistoryRule]) -> list[RuleState]:
        try:
            self._states = self._store.begin_history(rules)
        except apsw.Error as error:
            raise ConfigError(self._store.database.why(error)) from None
        return self._states

    def change_history(self, rules: Sequence[HistoryRule]) -> list[RuleState]:
        self._states, gone, poorer = change_rules(self._states, rules, self._store.begin_rule)
        for state in poorer:
            self._store.skip(state, time.time())
        for state in gone:
            self._store.end_rule(state)
        return self._states

    def skip(self, state: RuleState, message: Message) -> None:
        self._store.skip(state, message.time)

    def will_come(self, number: int) -> bool:
        return False

    def when_there(self, number: int, then: Callable[[], object], asker: Asker) -> None:
        """No number comes from elsewhere."""

    def read(self, wanted: Wanted, after: int, then: OnPage, asker: Asker) -> None:
        self._store.reader.put(_PageJob(wanted, after, self._store.readable, self._prefix, then, asker))

    def find_last(self, newest: Newest, until: int, then: OnLast, asker: Asker) -> None:
        self._store.reader.put(_LastJob(newest, until, self._store.reader.put, then, asker))


def _nothing() -> None:
    """Its client has gone: there is nothing to pass on."""


class _PageJob:
    """Reads a page (reader.Job). Rows that can't be read are lost."""

    def __init__(self, wanted: Wanted, after: int, until: int, prefix: str, then: OnPage, asker: Asker) -> None:
        self._after = after
        self._asker = asker
        self._known: dict[str, bool] = {}
        self._prefix = prefix
        self._then = then
        self._until = until
        self._wanted = wanted

    def read(self, connection: apsw.Connection) -> Callable[[], object]:
        if self._asker.gone:
            return _nothing
        with connection:  # one snapshot
            marks = ", ".join("?" * len(self._wanted.rules))
            query = f"SELECT max(lost) FROM history_rules WHERE id IN ({marks})"  # noqa: S608
            lost = connection.execute(query, self._wanted.rules).get or 0
            parts = [self._rows(connection, rule) for rule in self._wanted.rules]
        end = min([self._until, *[end for _, end, _ in parts]])
        lost = max([lost, *[damaged for _, _, damaged in parts]])
        found: list[tuple[int, Any]] = []
        for rows, _, _ in parts:
            found += self._matching(rows, end)
        if len(parts) > 1:
            found.sort(key=itemgetter(0))
        page = Page([message for _, message in found], max(end, self._after), lost)
        return lambda: self._then(page)

    def damaged(self) -> Callable[[], object]:
        page = Page((), self._until, self._until)
        return lambda: self._then(page)

    def _rows(self, connection: apsw.Connection, rule: int) -> tuple[list[Any], int, int]:
        """Return the first messages of a rule, the number up to which they are all, and that of a damaged row."""
        found: list[Any] = []
        messages = size = damaged = 0
        for last, count, bytes, body in connection.execute(_PAGE, (rule, self._after, self._wanted.since)):
            try:
                found += unpack_block(body)
            except UNREADABLE:
                damaged = last
            messages += count
            size += bytes
            if messages >= limits.HISTORY_PAGE_MESSAGES or size >= limits.HISTORY_PAGE_BYTES:
                return found, last, damaged
        return found, _NO_END, damaged

    def _matching(self, rows: list[Any], end: int) -> Iterator[tuple[int, Message]]:
        wanted, after, known, prefix = self._wanted, self._after, self._known, self._prefix
        since, numbers = wanted.since, wanted.numbers
        for number, record in rows:
            if number <= after or number > end or record[6] < since or (numbers is not None and number not in numbers):
                continue
            topic = record[0]
            has = known.get(topic)
            if has is None:
                has = known[topic] = wanted.has(topic)
            if has:
                message = make_message(record)
                message.position = prefix + str(number)
                yield number, message


class _LastJob:
    """Finds the newest messages of each topic, from the newest row back, some rows in each step (reader.Job)."""

    def __init__(self, newest: Newest, until: int, put: Callable[[Any], object], then: OnLast, asker: Asker) -> None:
        self._asker = asker
        self._before = _NO_END
        self._newest = newest
        self._put = put
        self._rules = list(newest.wanted.rules)
        self._then = then
        self._until = until

    def read(self, connection: apsw.Connection) -> Callable[[], object]:
        if self._asker.gone:
            return _nothing
        if self._rules and not self._newest.full:
            rule = self._rules[0]
            rows: list[Any] = connection.execute(_BACK, (rule, self._before, self._until, _BACK_ROWS)).fetchall()
            for last, body in rows:
                self._before = last
                self._take(body)
            if len(rows) < _BACK_ROWS:
                self._rules.pop(0)
                self._before = _NO_END
            if self._rules and not self._newest.full:
                return lambda: self._put(self)
        return self._answer()

    def damaged(self) -> Callable[[], object]:
        return self._answer()

    def _answer(self) -> Callable[[], object]:
        return lambda: self._then(self._newest)

    def _take(self, body: bytes) -> None:
        try:
            rows = unpack_block(body)
        except UNREADABLE:
            return
        for number, record in reversed(rows):
            if number <= self._until:
                self._newest.look(number, record.topic)
