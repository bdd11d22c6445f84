"""What an operator wants to be kept, and what is there of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from hubbub import limits
from hubbub.kernel.authorization.filter_sets import overlaps


class HistoryRule(NamedTuple):
    """Messages that are kept: those that a filter matches, as long as no bound drops them, the oldest first.

    age  seconds; messages, bytes: how much of this rule is kept, bytes with topics and properties
    """

    filter: str
    age: float = math.inf
    messages: int = limits.HISTORY_MESSAGES
    bytes: int = limits.HISTORY_BYTES


NOTHING = HistoryRule("", messages=0, bytes=0)
"""The rule of messages that the operator wants to be kept no more."""


class RuleState:
    """What is kept of one rule.

    id       what the store calls it
    missing  something up to that number couldn't be kept, or came before the rule; missing_time: in Unix seconds
    trimmed  all up to that number has been dropped; trimmed_time: in Unix seconds
    count, bytes  of what is kept

    The reactor alone sets `rule` and `missing`; what trims, a store's thread, alone sets the rest.
    """

    __slots__ = ("bytes", "count", "id", "missing", "missing_time", "rule", "trimmed", "trimmed_time")

    def __init__(
        self, rule: HistoryRule, id: int, missing: int, missing_time: float, count: int = 0, bytes: int = 0
    ) -> None:
        self.rule = rule
        self.id = id
        self.missing = missing
        self.missing_time = missing_time
        self.count = count
        self.bytes = bytes
        self.trimmed = 0
        self.trimmed_time = 0.0

    @property
    def lost(self) -> int:
        """Something up to that number is missing."""
        return max(self.missing, self.trimmed)

    @property
    def lost_time(self) -> float:
        """The same in Unix seconds."""
        return max(self.missing_time, self.trimmed_time)

    def is_over(self, now: float, oldest: float, count: int = 1) -> bool:
        """Return whether the oldest `count` messages are to go; `oldest`: Unix seconds of the newest of them."""
        rule = self.rule
        return self.count - count >= rule.messages or self.bytes > rule.bytes or oldest < now - rule.age

    def trim(self, number: int, time: float, count: int, bytes: int) -> None:
        """The oldest `count` messages are gone; `number`, `time`: of the newest of them."""
        self.trimmed_time = max(self.trimmed_time, time)
        self.trimmed = number
        self.count -= count
        self.bytes -= bytes


def change_rules(
    states: Iterable[RuleState], rules: Sequence[HistoryRule], begin: Callable[[HistoryRule], RuleState]
) -> tuple[list[RuleState], list[RuleState], list[RuleState]]:
    """Give each rule the state of its filter, or a new one.

    Returns these states, those whose filter has gone, and of the first those whose topics the others had some of: their
    messages go, so something is missing there too.
    """
    there = {state.rule.filter: state for state in states if state.rule is not NOTHING}
    wanted = []
    for rule in rules:
        state = there.pop(rule.filter, None) or begin(rule)
        state.rule = rule
        wanted.append(state)
    gone = list(there.values())
    poorer = [state for state in wanted if any(overlaps(state.rule.filter, one.rule.filter) for one in gone)]
    for state in gone:
        state.rule = NOTHING
    return wanted, gone, poorer
