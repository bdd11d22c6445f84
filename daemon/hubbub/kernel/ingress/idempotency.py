"""The keys by which a publisher's retries are recognized: a message is published once for each, within `--once`.

A key belongs to the user who has sent it, over whatever connection, or where there is none to the source: no other can
use it up or find it out. A durable store keeps the keys in the batch of their messages.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import NamedTuple

from hubbub import limits
from hubbub.errors import KeyReused, Refusal
from hubbub.kernel.ingress.sources import source_of
from hubbub.kernel.sessions.records import KeyRecord, Publisher
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.sessions.store import MemoryStore, Store
from hubbub.kernel.turn import Turn
from hubbub.message import Message

_PASSING = frozenset({"unavailable", "quota", "rate-limited", "timeout", "internal"})
"""Codes of refusals that a retry may not get: these aren't kept, so that the retry is a try of its own."""


class Attempt(NamedTuple):
    """A message with a key, before it is known whether it is the first.

    publisher  whose key it is: mount point, user, and the source where there is no user. Its room is that of all keys
               with the last two, since a mount point may have a field that clients choose
    digest     of topic and payload
    """

    publisher: Publisher
    key: str
    digest: bytes

    @property
    def identity(self) -> bytes:
        """What tells it from all others at all nodes of a cluster, in hexadecimal digits."""
        parts = (*(str(one) for one in self.publisher), self.key)
        own = blake2b(b"\0".join(one.encode() for one in parts), digest_size=16, key=self.digest)
        return own.hexdigest().encode()


class First(NamedTuple):
    """What became of the first message with a key.

    at      monotonic seconds when it came
    number  what a durable store calls it, 0: none keeps it; batch: the one that has it, see kernel.commits
    result  the number of sessions that it went to, unless it was refused; position: in the history, or ""
    refusal  code and reason; a Refusal that is raised again keeps the links of all that it was raised for
    """

    attempt: Attempt
    at: float
    number: int
    batch: int
    result: int
    position: str = ""
    refusal: tuple[str, str] | None = None


class IdempotencyKeys:
    """All keys that are remembered.

    seconds   attribute: how long each is, `--once`
    repeated  messages that came again and were answered like the first
    """

    def __init__(self, turn: Turn) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self.seconds = limits.ONCE_SECONDS
        self.repeated = 0
        self._firsts: dict[Publisher, dict[str, First]] = {}
        self._order: deque[First] = deque()  # the oldest first
        self._counts: dict[tuple[str | None, str], int] = {}  # by user and source
        self._store: Store = MemoryStore()
        self._turn = turn

    def __len__(self) -> int:
        return len(self._order)

    def load(self, store: Store) -> None:
        """Take the keys of a store, once, before the daemon serves."""
        self._store = store
        turn = self._turn
        for number, record in store.load_keys():
            age = max(0.0, turn.wall() - record.time)
            if age < self.seconds:
                attempt = Attempt(record.publisher, record.key, record.digest)
                self._add(First(attempt, turn.now() - age, number, 0, record.receivers, record.position))

    def find(self, attempt: Attempt) -> First | None:
        """Return what became of the first message with that key; None: this is the first.

        Raises Refusal: the first was refused, or was another message.
        """
        first = self._firsts.get(attempt.publisher, _NO_FIRSTS).get(attempt.key)
        if first is None or first.at + self.seconds <= self._turn.now():
            return None
        if first.attempt.digest != attempt.digest:
            raise KeyReused
        self.repeated += 1
        if first.refusal is not None:
            raise Refusal(*first.refusal)
        return first

    def check_room(self, attempt: Attempt) -> None:
        """Check that one more key can be remembered. Raises Refusal (quota).

        Once all are very many, there is room for those that have fewer than an even share.
        """
        self._forget_old(limits.ONCE_KEYS_AT_ONCE)
        count, most = self._counts.get(attempt.publisher[1:], 0), limits.ONCE_KEYS
        if len(self._order) >= limits.ONCE_KEYS_ALL:
            most = min(most, limits.ONCE_KEYS_ALL // len(self._counts))
        if count >= most:
            raise Refusal("quota", f"{count} idempotency keys of yours are remembered already; try again later")

    def published(self, attempt: Attempt, receivers: int, position: str) -> None:
        """The first message with that key has been published."""
        turn = self._turn
        number = self._store.remember(KeyRecord(*attempt, turn.wall(), receivers, position))
        self._add(First(attempt, turn.now(), number, turn.commits.open, receivers, position))

    def refused(self, attempt: Attempt, refusal: Refusal) -> None:
        """The first message with that key was refused: so will be a retry, unless the reason may pass."""
        if refusal.code not in _PASSING:
            self._add(First(attempt, self._turn.now(), 0, 0, 0, refusal=(refusal.code, refusal.reason)))

    def _add(self, first: First) -> None:
        publisher, key, _ = first.attempt
        payer = publisher[1:]
        self._firsts.setdefault(publisher, {})[key] = first
        self._order.append(first)
        self._counts[payer] = self._counts.get(payer, 0) + 1
        self._set_alarm()

    # Forgetting

    def _set_alarm(self) -> None:
        if self._order:
            self._turn.alarms.at(self, max(self._order[0].at + self.seconds, self._turn.now() + limits.ONCE_REST))

    def alarm(self, now: float) -> None:
        """Some keys have become old (kernel.alarms.AlarmTarget)."""
        self._forget_old(limits.ONCE_KEYS_FORGOTTEN)
        self._set_alarm()

    def _forget_old(self, most: int) -> None:
        """Forget keys that are older than `seconds`, not more than so many at once."""
        order, before, stored = self._order, self._turn.now() - self.seconds, 0
        while order and most > 0 and order[0].at <= before:
            first = order.popleft()
            stored = max(stored, first.number)
            self._forget(first)
            most -= 1
        if stored:
            self._store.forget_keys(stored)

    def _forget(self, first: First) -> None:
        publisher, key, _ = first.attempt
        payer = publisher[1:]
        firsts = self._firsts.get(publisher, _NO_FIRSTS)
        if firsts.get(key) is first:  # and not a later one, which came when this was old already
            del firsts[key]
            if not firsts:
                del self._firsts[publisher]
        self._counts[payer] -= 1
        if not self._counts[payer]:
            del self._counts[payer]


_NO_FIRSTS: dict[str, First] = {}


def attempt_of(key: str, message: Message, session: Session, mount: str) -> Attempt:
    """Return the attempt of a client to publish a message, whose topic is as the client has sent it. Raises Refusal."""
    if not 1 <= len(key) <= limits.NAME_CHARACTERS:
        raise Refusal("bad-command", f"an idempotency key has 1 to {limits.NAME_CHARACTERS} characters")
    publisher = mount, session.user, source_of(session.host) if session.user is None else ""
    data = b"%b\0%b" % (message.topic.encode(), message.payload)
    return Attempt(publisher, key, blake2b(data, digest_size=16).digest())
