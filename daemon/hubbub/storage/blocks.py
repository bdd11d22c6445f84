"""The history in the database: rows of some messages each, in the order of their numbers.

A row is written with the batch that brought its messages, and trimmed as a whole. A message that sessions wait for too
has its body here alone; if its row is trimmed before they have it, the body moves to theirs. The thread that calls has
the connection.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import apsw

from hubbub import limits
from hubbub.kernel.history.position import first_number, new_epoch
from hubbub.kernel.history.rule import NOTHING, HistoryRule, RuleState
from hubbub.kernel.sessions.records import MessageRecord, record_message
from hubbub.message import Message
from hubbub.storage.changes import Changes
from hubbub.storage.codec import pack, unpack_block

Row = tuple[int, int, int, int, float, bytes]
_ROWS = 16  # of a rule, at least: what is trimmed as a whole isn't much of it


class Trim(NamedTuple):
    """The oldest row of a rule, to be dropped."""

    state: RuleState
    last: int
    messages: int
    size: int
    time: float


class HistoryBatch(NamedTuple):
    """What one batch changes: it may be written more than once."""

    rows: Sequence[Row]
    trims: Sequence[Trim]
    lost: Mapping[int, tuple[int, float]]
    rules: Sequence[RuleState]


class Blocks:
    """The rows of all rules, as the writer's thread changes them.

    epoch   the identity of the store
    """

    def __init__(self, connection: apsw.Connection) -> None:
        found = connection.execute("SELECT epoch, first FROM history_store").fetchone()
        self.epoch: str = new_epoch() if found is None else found[0]
        self._first = 0 if found is None else found[1]
        self._connection = connection
        self._last_rule = 0
        self._ended: set[int] = set()  # rules that are NOTHING
        self._states: dict[int, RuleState] = {}
        self._looked = 0.0  # for what is too old, in monotonic seconds
        self._more = False  # a look found more than it may drop at once

    # Before anything is written

    def begin(self, rules: Sequence[HistoryRule], last: int) -> tuple[list[RuleState], int]:
        """Keep messages of these rules from now on. Returns what there is of each, and the first number to give.

        last  the highest number that was given. Raises apsw.Error.
        """
        now, execute = time.time(), self._connection.execute
        if not rules and not execute("SELECT EXISTS (SELECT 1 FROM history_rules)").get:
            return [], max(last, self._first)
        newest = execute("SELECT max(last) FROM history").get or 0
        first = first_number(max(last, newest, self._first), now)
        with self._connection:
            execute("DELETE FROM history_store")
            execute("INSERT INTO history_store VALUES (?, ?)", (self.epoch, first))
            states = [self._begin_rule(rule, first, now) for rule in rules]
            kept = {state.id: state for state in states}
            for id, lost, lost_time, count, bytes in list(
                execute("SELECT id, lost, lost_time, count, bytes FROM history_rules")
            ):
                if id in kept:
                    continue
                if count:
                    execute("UPDATE history_rules SET filter = '' WHERE id = ?", (id,))
                    kept[id] = RuleState(NOTHING, id, lost, lost_time, count, bytes)
                else:
                    execute("DELETE FROM history_rules WHERE id = ?", (id,))
        self._states = kept
        self._ended = {state.id for state in kept.values() if state.rule is NOTHING}
        self._last_rule = execute("SELECT seq FROM sqlite_sequence WHERE name = 'history_rules'").get or 0
        return states, first

    def _begin_rule(self, rule: HistoryRule, first: int, now: float) -> RuleState:
        execute = self._connection.execute
        query = "SELECT id, lost, lost_time, count, bytes FROM history_rules WHERE filter = ?"
        found = execute(query, (rule.filter,)).fetchone()
        if found is None:
            execute("INSERT INTO history_rules VALUES (NULL, ?, ?, ?, 0, 0)", (rule.filter, first, now))
            found = self._connection.last_insert_rowid(), first, now, 0, 0
        return RuleState(rule, *found)

    def next_rule(self) -> int:
        """Return an id for one more rule, which Changes.rules has."""
        self._last_rule += 1
        return self._last_rule

    # A batch

    @property
    def patience(self) -> float | None:
        """Seconds until another look is due, None: there is nothing to trim."""
        if self._more:
            return limits.STORE_SWEEP_SECONDS
        return limits.HISTORY_TRIM_SECONDS if self._states else None

    def prepare(self, changes: Changes) -> HistoryBatch:
        """Make rows of the messages, and find the rows that are to go."""
        self._states.update((state.id, state) for state in changes.rules)
        rows = [row for id, messages in changes.history.items() for row in _rows(self._states[id], messages)]
        now = time.monotonic()
        look = rows or changes.rules or self._more or now >= self._looked + limits.HISTORY_TRIM_SECONDS
        trims: list[Trim] = []
        if look:
            self._looked, self._more = now, False
            with suppress(apsw.Error):  # the write that follows tells it
                trims = [trim for state in self._states.values() for trim in self._over(state, rows)]
        return HistoryBatch(rows, trims, changes.lost, changes.rules)

    def _over(self, state: RuleState, new: Sequence[Row]) -> Iterator[Trim]:
        """Yield the rows of a rule that are too many, too large or too old once the new ones are there."""
        mine = [row for row in new if row[1] == state.id]
        count, size = state.count + sum(row[2] for row in mine), state.bytes + sum(row[3] for row in mine)
        now, left = time.time(), RuleState(state.rule, 0, 0, 0.0, count, size)
        query = "SELECT last, count, bytes, time FROM history WHERE rule = ? ORDER BY last LIMIT ?"
        if not count:
            return
        at = 0
        for last, messages, size, newest in self._connection.execute(query, (state.id, limits.HISTORY_TRIM_ROWS)):
            if not left.is_over(now, newest, messages):
                return
            left.trim(last, newest, messages, size)
            at += 1
            yield Trim(state, last, messages, size, newest)
        self._more = self._more or at == limits.HISTORY_TRIM_ROWS or left.is_over(now, now)

    def write(self, batch: HistoryBatch) -> None:
        """Write within a transaction. Raises apsw.Error."""
        execute = self._connection.execute
        for state in batch.rules:
            self._write_rule(state)
        totals: dict[int, tuple[int, int]] = {}
        for last, rule, count, bytes, newest, body in batch.rows:
            execute(
                "INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?)", (last, rule, count, bytes, newest, body)
            )
            before = totals.get(rule, (0, 0))
            totals[rule] = before[0] + count, before[1] + bytes
        for trim in batch.trims:
            self._move_bodies(trim)
            execute("DELETE FROM history WHERE last = ?", (trim.last,))
            before = totals.get(trim.state.id, (0, 0))
            totals[trim.state.id] = before[0] - trim.messages, before[1] - trim.size
        lost = {**batch.lost, **{trim.state.id: (trim.last, trim.time) for trim in batch.trims}}
        for rule in {*totals, *lost, *batch.lost}:
            known = [batch.lost.get(rule, (0, 0.0)), lost.get(rule, (0, 0.0))]
            values = (*totals.get(rule, (0, 0)), max(one[0] for one in known), max(one[1] for one in known), rule)
            execute(
                "UPDATE history_rules SET count = count + ?, bytes = bytes + ?, lost = max(lost, ?),"
                " lost_time = max(lost_time, ?) WHERE id = ?",
                values,
            )
        if batch.trims or batch.rules:
            execute("DELETE FROM history_rules WHERE filter = '' AND count <= 0")

    def _write_rule(self, state: RuleState) -> None:
        execute, filter = self._connection.execute, state.rule.filter
        if not execute("SELECT EXISTS (SELECT 1 FROM history_store)").get:
            execute("INSERT INTO history_store VALUES (?, ?)", (self.epoch, state.missing))
        values = state.id, filter, state.missing, state.missing_time
        execute("INSERT OR IGNORE INTO history_rules VALUES (?, ?, ?, ?, 0, 0)", values)
        execute("UPDATE history_rules SET filter = ? WHERE id = ?", (filter, state.id))

    def _move_bodies(self, trim: Trim) -> None:
        """Give the messages of a row that sessions still wait for a body of their own."""
        execute = self._connection.execute
        query = "SELECT number FROM messages WHERE rule = ? AND rule > 0 AND number <= ?"
        waited = {number for (number,) in execute(query, (trim.state.id, trim.last))}
        if not waited:
            return
        body = execute("SELECT body FROM history WHERE last = ?", (trim.last,)).get
        for number, record in unpack_block(body):
            if number in waited:
                execute("UPDATE messages SET rule = 0, size = 0, body = ? WHERE number = ?", (pack(record), number))

    def written(self, batch: HistoryBatch) -> None:
        """A batch is committed."""
        for _, rule, count, bytes, _, _ in batch.rows:
            state = self._states[rule]
            state.count += count
            state.bytes += bytes
        for trim in batch.trims:
            trim.state.trim(trim.last, trim.time, trim.messages, trim.size)
        self._ended.update(state.id for state in batch.rules if state.rule is NOTHING)
        for id in [id for id in self._ended if not self._states[id].count]:
            self._ended.remove(id)
            del self._states[id]


def _rows(state: RuleState, messages: Sequence[tuple[int, Message]]) -> Iterator[Row]:
    """Yield rows of so many messages, and about so many bytes, as one may have: few where the rule keeps few."""
    most = min(limits.HISTORY_BLOCK_MESSAGES, state.rule.messages // _ROWS)
    most_bytes = min(limits.HISTORY_BLOCK_BYTES, state.rule.bytes // _ROWS)
    some: list[tuple[int, MessageRecord]] = []
    size, newest, last = 0, 0.0, 0
    for number, message in messages:
        if some and (len(some) >= most or size >= most_bytes):
            yield _row(state.id, last, newest, some)
            some, size, newest = [], 0, 0.0
        some.append((number, record_message(message)))
        size += len(message.payload)
        last = number
        if message.time > newest:
            newest = message.time
    if some:
        yield _row(state.id, last, newest, some)


def _row(rule: int, last: int, newest: float, some: Sequence[tuple[int, MessageRecord]]) -> Row:
    body = pack(some)
    return last, rule, len(some), len(body), newest, body


def find_bodies(connection: apsw.Connection, rule: int, numbers: Iterable[int]) -> dict[int, MessageRecord]:
    """Return messages of a rule, as far as they are there, by their numbers. Raises apsw.Error, and as unpack_block."""
    found: dict[int, MessageRecord] = {}
    row: dict[int, Any] = {}
    end = -1
    query = "SELECT last, body FROM history WHERE rule = ? AND last >= ? ORDER BY last LIMIT 1"
    for number in sorted(numbers):
        if number > end:
            one = connection.execute(query, (rule, number)).fetchone()
            if one is None:
                break
            end, row = one[0], dict(unpack_block(one[1]))
        if number in row:
            found[number] = row[number]
    return found
