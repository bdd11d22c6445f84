"""The message history of a hub: what is kept, and where a replay begins.

    Router.publish -> Recorder, by the route of the topic -> HistoryStore.keep; the message gets its position
    Subscribe -> History.plan -> connection.replay: pages of the store, then the tail, then live

The tail has the newest messages in memory: all that pages don't have yet, and some more, so that a replay that has read
its last page goes on here, and reaches the live messages within one step of the reactor.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from hubbub import limits
from hubbub.history_request import HistoryRequest
from hubbub.kernel.authorization.filter_sets import FilterSet, overlaps
from hubbub.kernel.history.position import read_number
from hubbub.kernel.history.rule import HistoryRule, RuleState
from hubbub.kernel.history.store import HistoryStore, Newest, Page, Wanted, position
from hubbub.message import Message
from hubbub.topics import unshared


class Plan(NamedTuple):
    """Where a replay begins.

    wanted  what it looks for; after: behind which number; last: how many of each topic, None: all
    lost    the number of HistoryRequest.lost
    """

    wanted: Wanted
    after: int
    last: int | None
    lost: int


_number = itemgetter(0)


class Tail:
    """The newest messages: all behind number `floor`."""

    __slots__ = ("floor", "_bytes", "_rows")

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._bytes = 0
        self._rows: list[tuple[int, Message, RuleState]] = []

    def append(self, number: int, message: Message, state: RuleState) -> bool:
        """Take the newest message. Returns whether the oldest should go."""
        self._rows.append((number, message, state))
        self._bytes += len(message.payload)
        return len(self._rows) >= 2 * limits.HISTORY_TAIL_MESSAGES or self._bytes > limits.HISTORY_TAIL_BYTES

    def trim(self, readable: int) -> None:
        """Drop the oldest that pages have, up to number `readable`."""
        rows, at = self._rows, 0
        while rows[at][0] <= readable and (
            len(rows) - at > limits.HISTORY_TAIL_MESSAGES or self._bytes > limits.HISTORY_TAIL_BYTES
        ):
            self.floor = rows[at][0]
            self._bytes -= len(rows[at][1].payload)
            at += 1
            if at == len(rows):
                break
        del rows[:at]

    def after(self, wanted: Wanted, number: int, count: int) -> Page:
        """Look at `count` messages behind `number`, which isn't before `floor`. With none `Page.end` is `number`."""
        start = bisect_right(self._rows, number, key=_number)
        some = self._rows[start : start + count]
        kept, lost, end = [], 0, number
        for end, message, state in some:
            if state.id not in wanted.rules or message.time < wanted.since or not wanted.has(message.topic):
                continue
            if wanted.numbers is not None and end not in wanted.numbers:
                continue
            if end > state.trimmed:
                kept.append(message)
            else:
                lost = end
        return Page(kept, end, lost)

    def look_back(self, newest: Newest, until: int, count: int) -> int:
        """Have `newest` look at `count` messages up to number `until`. Returns the number up to which others are."""
        end = bisect_right(self._rows, until, key=_number)
        some = self._rows[max(0, end - count) : end]
        for number, message, state in reversed(some):
            if state.id in newest.wanted.rules and number > state.trimmed:
                newest.look(number, message.topic)
        return some[0][0] - 1 if some else self.floor


class History:
    """All rules, and the tail of their messages.

    states   what is kept of each rule; changes: how often there were other rules
    unkept   messages that the store couldn't take
    """

    def __init__(self, store: HistoryStore, rules: Sequence[HistoryRule], wall: Any) -> None:
        self.store = store
        self.states = store.begin_history(rules)
        self.changes = 0
        self.unkept = 0
        self._commits = store.commits
        self._keep = store.keep
        self.tail = Tail(store.newest)
        self._prefix = f"{store.epoch}-"
        self._wall = wall

    @property
    def end(self) -> str:
        """The position of the newest message."""
        return position(self.store, self.store.newest)

    def change(self, rules: Sequence[HistoryRule]) -> None:
        """Keep messages of other rules from now on. Replays go on with those as well."""
        self.states = self.store.change_history(rules)
        self.changes += 1

    def rules_of(self, filters: Sequence[str]) -> tuple[int, ...]:
        """Return the ids of the rules that may have messages for some filters."""
        return tuple([state.id for state in self._states_of(filters)])

    def _states_of(self, filters: Sequence[str]) -> list[RuleState]:
        return [state for state in self.states if any(overlaps(state.rule.filter, one) for one in filters)]

    def metrics(self) -> dict[str, int]:
        """Return how many messages and bytes are kept, and how many messages couldn't be."""
        messages, size = (sum(getattr(one, name) for one in self.states) for name in ("count", "bytes"))
        return {"rules": len(self.states), "messages": messages, "bytes": size, "unkept": self.unkept}

    def check(self, message: Message) -> None:
        """Refuse a message whose publisher gets an answer, while nothing can be kept. Raises Refusal (unavailable)."""
        if getattr(message, "tag", None) is not None:
            self._commits.check()

    def append(self, state: RuleState, message: Message) -> None:
        """Keep a message, and give it its position; while the store takes no more it goes to its subscribers alone."""
        if self._commits.refuses:
            self.store.skip(state, message)
            self.unkept += 1
            return
        number = self._keep(state, message)
        message.position = self._prefix + str(number)
        if self.tail.append(number, message, state):
            self.tail.trim(self.store.readable)

    def plan(self, request: HistoryRequest, filters: Sequence[str]) -> Plan:
        """Find where a replay for some filters begins, and set what its client is told of that."""
        states = self._states_of(filters)
        newest, since, after, missing = self.store.newest, 0.0, 0, False
        if request.after is not None:
            number = read_number(request.after, self.store.epoch)
            known = number is not None and (number <= newest or self.store.will_come(number))
            after = number if number is not None and known else 0
            missing = not known or any(state.lost > after for state in states)
        elif request.since is not None:
            since = self._wall() - request.since
            missing = any(state.lost_time >= since for state in states)
        lost = max([0, *[state.lost for state in states]])
        if not all(self._covers(states, one) for one in filters):
            missing, lost = True, newest
        request.position = position(self.store, newest)
        request.lost = position(self.store, lost) if missing else ""
        wanted = Wanted(tuple(state.id for state in states), tuple(filters), since)
        return Plan(wanted, after if states else newest, request.last, lost)

    def position_before(self, filter: str) -> str:
        """Return the position of the newest message where the history covers a filter, else ""."""
        covered = unshared(filter) == filter and self._covers(self._states_of((filter,)), filter)
        return self.end if covered else ""

    def _covers(self, states: Sequence[RuleState], filter: str) -> bool:
        return any(FilterSet((state.rule.filter,)).covering(unshared(filter)) for state in states)


class Recorder:
    """Keeps the messages of one rule (routing.subscription.Keeper)."""

    __slots__ = ("order", "_commits", "_history", "_state")

    def __init__(self, history: History, order: int) -> None:
        self.order = order
        self._commits = history.store.commits
        self._history = history
        self._state = history.states[order]

    def check(self, message: Message) -> None:
        """Check that a message can be kept. Raises Refusal (unavailable)."""
        if self._commits.refuses:
            self._history.check(message)

    def append(self, message: Message) -> None:
        """Keep a message."""
        self._history.append(self._state, message)
