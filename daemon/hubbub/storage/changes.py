"""What one batch changes, as the reactor hands it to the writer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hubbub.kernel.history.rule import RuleState
from hubbub.kernel.sessions.records import KeyRecord, Progress, SessionRecord, SubscriptionRecord, Way
from hubbub.message import Message


class Stored(NamedTuple):
    """One message: its number, and how each session gets it. A published message never changes.

    shared  more receivers, which other messages have too
    rule  by which the history has it, 0: it hasn't
    """

    number: int
    message: Message
    receivers: dict[int, Way]
    shared: list[Mapping[int, Way]]
    rule: int = 0


class Changes:
    """The changes of some turns; of what changes several times the last counts.

    messages       in the order of their numbers
    subscriptions  by session and id; None: it has ended
    retained       by topic; None: it was cleared
    keys           new idempotency keys, by number; forgotten: the last number of those that are old
    history        by rule, each message with its number; lost: by rule, see RuleState.missing and missing_time
    rules          of the history that begin, or end, with NOTHING as their rule
    stream         the position in the stream of a cluster that goes with them, or None
    size           bytes that they take in memory, about
    """

    __slots__ = (
        "ended", "forgotten", "history", "keys", "lost", "messages", "progress", "retained", "rules", "sessions",
        "size", "stream", "subscriptions",
    )  # fmt: skip

    def __init__(self) -> None:
        self.messages: list[Stored] = []
        self.sessions: dict[int, SessionRecord] = {}
        self.ended: list[int] = []
        self.subscriptions: dict[tuple[int, bytes], SubscriptionRecord | None] = {}
        self.progress: dict[int, Progress] = {}
        self.retained: dict[str, Message | None] = {}
        self.keys: list[tuple[int, KeyRecord]] = []
        self.forgotten = 0
        self.history: dict[int, list[tuple[int, Message]]] = {}
        self.lost: dict[int, tuple[int, float]] = {}
        self.rules: list[RuleState] = []
        self.stream: tuple[str, int] | None = None
        self.size = 0
