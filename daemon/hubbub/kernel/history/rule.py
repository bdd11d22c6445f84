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
    lost       number of the newest message that isn't kept, or a number before which some may be missing
    lost_time  Unix seconds of that message
    count, bytes  of what is kept
    """

    __slots__ = ("bytes", "count", "id", "lost", "lost_time", "rule")

    def __init__(self, rule: HistoryRule, id: int, lost: int, lost_time: float, count: int = 0, bytes: int = 0) -> None:
        self.rule = rule
        self.id = id
        self.lost = lost
        self.lost_time = lost_time
        self.count = count
        self.bytes = bytes

    def is_over(self, now: float, oldest: float) -> bool:
        """Return whether the oldest message is to go; `oldest`: its Unix seconds."""
        rule = self.rule
        return self.count > rule.messages or self.bytes > rule.bytes or oldest < now - rule.age
