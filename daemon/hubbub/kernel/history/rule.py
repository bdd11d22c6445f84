"""What an operator wants to be kept, and what is there of it."""

from __future__ import annotations

import math
from typing import NamedTuple

from hubbub import limits


class HistoryRule(NamedTuple):
    """Messages that are kept: those that a filter matches, as long as no bound drops them, the oldest first.

    age  seconds; messages, bytes: how much of this rule is kept, bytes with topics and properties
    """

    filter: str
    age: float = math.inf
    messages: int = limits.HISTORY_MESSAGES
    bytes: int = limits.HISTORY_BYTES


class RuleState:
    """What is kept of one rule.

    id         what the store calls it
    lost       something up to that number is missing: it was trimmed, or couldn't be kept
    lost_time  the same in Unix seconds
    trimmed    all up to that number has been dropped
    count, bytes  of what is kept
    """

    __slots__ = ("bytes", "count", "id", "lost", "lost_time", "rule", "trimmed")

    def __init__(self, rule: HistoryRule, id: int, lost: int, lost_time: float, count: int = 0, bytes: int = 0) -> None:
        self.rule = rule
        self.id = id
        self.lost = lost
        self.lost_time = lost_time
        self.count = count
        self.bytes = bytes
        self.trimmed = 0

    def is_over(self, now: float, oldest: float, count: int = 1) -> bool:
        """Return whether the oldest `count` messages are to go; `oldest`: Unix seconds of the newest of them."""
        rule = self.rule
        return self.count - count >= rule.messages or self.bytes > rule.bytes or oldest < now - rule.age

    def trim(self, number: int, time: float, count: int, bytes: int) -> None:
        """The oldest `count` messages are gone; `number`, `time`: of the newest of them."""
        self.trimmed = number
        self.lost = max(self.lost, number)
        self.lost_time = max(self.lost_time, time)
        self.count -= count
        self.bytes -= bytes
