"""Where persistent sessions and retained messages are kept.

    store.load()      once, before the daemon serves: the sessions of an earlier process; load_retained(): its messages
    store.…           each change, when it happens
    store.commit()    at the end of each turn: its changes make one batch
    commits.done(n)   the store calls it, in the reactor, when batch n is safe

No acknowledgement leaves before its batch is safe: see kernel.commits. A store that isn't `durable` gets nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from hubbub.kernel.commits import Commits
from hubbub.kernel.sessions.records import (
    KeyRecord,
    MessageRecord,
    Progress,
    SessionRecord,
    StoredMessage,
    StoredSession,
    SubscriptionRecord,
    Way,
)
from hubbub.message import Message


class Recorded(Protocol):
    """A session that the store keeps (sessions.state.PersistentSession)."""

    number: int

    def progress(self) -> Progress:
        """Return how far it has come; it is noted again with the next change."""


class Store(Protocol):
    """A durable store, or none. Methods that record a change only queue it; `commit` closes the batch.

    held_qos  at this QoS and above it is noted at once how far a client has got, and before it is sent more; below it
              later, and what isn't noted comes twice
    keeps_wills  whether a session that ends with its link is kept, as long as that is there, if it has a will
    changed  attribute: is to be called with each change, so that this turn ends with a `commit`
    stream_position  attribute: returns epoch and sequence of the last message of a cluster's stream that the sessions
                     here have got, or None; `commit` asks for it, since that is how far the batch goes
    """

    durable: bool
    held_qos: int
    keeps_wills: bool
    commits: Commits
    changed: Callable[[], object]
    stream_position: Callable[[], tuple[str, int] | None]

    def load(self) -> Iterable[StoredSession]:
        """Return the sessions of an earlier process."""

    def load_retained(self) -> Iterable[MessageRecord]:
        """Return the retained messages of an earlier process."""

    def load_keys(self) -> Iterable[tuple[int, KeyRecord]]:
        """Return the idempotency keys of an earlier process, the oldest first, each with its number."""

    def load_stream(self) -> tuple[str, int] | None:
        """Return the position in a cluster's stream that an earlier process had, or None."""

    def begin_session(self, session: Recorded) -> int:
        """Return a number for a new session, more than 0."""

    def save_session(self, number: int, record: SessionRecord) -> None:
        """A session has begun or changed."""

    def end_session(self, number: int) -> None:
        """Forget a session and everything that it has."""

    def subscribe(self, number: int, record: SubscriptionRecord) -> None:
        """A session has a subscription; it replaces one of the same id."""

    def unsubscribe(self, number: int, id: Hashable) -> None:
        """A subscription has ended."""

    def enqueue(self, number: int, message: Message, way: Way, last: int) -> int:
        """A session has a message more. Returns the number of the message there: it is kept once for all sessions.

        0: it isn't kept by itself, as what is retained in a cluster.

        last  the number of the newest message that the session had, or 0; the new one has a higher number
        """

    def enqueue_for_all(self, ways: Mapping[int, Way], message: Message, last: int | None) -> int:
        """Sessions have a message more, as `enqueue`. `ways` are by session; sessions come until the next `commit`.

        last  the number of the newest message that one of them had, or 0; None: it isn't known, as some are to come
        """

    def fetch(self, number: int, numbers: Sequence[int], then: Callable[[int, list[StoredMessage]], None]) -> None:
        """Read messages of a session, or the first of them.

        then  is called in the reactor, later, with the last number that was looked for, and those that are there
        """

    def note(self, session: Recorded, later: bool = False) -> None:
        """The progress of a session changes in this turn; `commit` asks for it, of this turn or of a later one."""

    def retain(self, message: Message) -> None:
        """A message is the retained one of its topic; an empty payload clears it."""

    def remember(self, record: KeyRecord) -> int:
        """A message with an idempotency key is published in this turn. Returns its number, which only grows."""

    def forget_keys(self, number: int) -> None:
        """Forget the idempotency keys up to a number."""

    def commit(self) -> None:
        """Close the batch of this turn's changes. If it raises, nothing is written to any client in this turn."""

    def metrics(self) -> dict[str, Any]:
        """Return what an operator may want to know of a durable store: see storage.store; {}: it keeps nothing."""


class MemoryStore:
    """Sessions and retained messages end with the process."""

    durable = False
    held_qos = 1
    keeps_wills = False

    def __init__(self) -> None:
        self.commits = Commits()
        self.changed: Callable[[], object] = lambda: None
        self.stream_position: Callable[[], tuple[str, int] | None] = lambda: None

    def load_stream(self) -> tuple[str, int] | None:
        return None

    def load(self) -> Iterable[StoredSession]:
        return ()

    def load_retained(self) -> Iterable[MessageRecord]:
        return ()

    def load_keys(self) -> Iterable[tuple[int, KeyRecord]]:
        return ()

    def begin_session(self, session: Recorded) -> int:
        return 0

    def save_session(self, number: int, record: SessionRecord) -> None: ...
    def end_session(self, number: int) -> None: ...
    def subscribe(self, number: int, record: SubscriptionRecord) -> None: ...
    def unsubscribe(self, number: int, id: Hashable) -> None: ...
    def enqueue(self, number: int, message: Message, way: Way, last: int) -> int:
        return 0

    def enqueue_for_all(self, ways: Mapping[int, Way], message: Message, last: int | None) -> int:
        return 0

    def fetch(self, number: int, numbers: Sequence[int], then: Callable[[int, list[StoredMessage]], None]) -> None: ...
    def note(self, session: Recorded, later: bool = False) -> None: ...
    def retain(self, message: Message) -> None: ...
    def remember(self, record: KeyRecord) -> int:
        return 0

    def forget_keys(self, number: int) -> None: ...
    def commit(self) -> None: ...
    def metrics(self) -> dict[str, Any]:
        return {}
