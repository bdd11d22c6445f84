"""Where persistent sessions and retained messages are kept.

    store.load()      once, before the daemon serves: the sessions of an earlier process; load_retained(): its messages
    store.…           each change, when it happens, as records of plain values
    store.commit()    at the end of each turn: its changes make one batch
    commits.done(n)   the store calls it, in the reactor, when batch n is safe

No acknowledgement leaves before its batch is safe: see kernel.commits. A store that isn't `durable` is told nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from hubbub.kernel.commits import Commits
from hubbub.kernel.sessions.records import (
    DeliveryRecord,
    Key,
    MessageRecord,
    SessionRecord,
    StoredSession,
    SubscriptionRecord,
)


class Store(Protocol):
    """A durable store, or none. Methods that record a change only queue it; `commit` closes the batch.

    changed  attribute: is to be called with each change, so that this turn ends with a `commit`
    """

    durable: bool
    commits: Commits
    changed: Callable[[], object]

    def load(self) -> Iterable[StoredSession]:
        """Return the sessions of an earlier process."""

    def load_retained(self) -> Iterable[MessageRecord]:
        """Return the retained messages of an earlier process."""

    def save_session(self, record: SessionRecord) -> None:
        """A session has begun or changed."""

    def end_session(self, key: Key) -> None:
        """Forget a session and everything that it has."""

    def subscribe(self, key: Key, record: SubscriptionRecord) -> None:
        """A session has a subscription; it replaces one of the same id."""

    def unsubscribe(self, key: Key, id: Hashable) -> None:
        """A subscription has ended."""

    def enqueue(self, key: Key, record: DeliveryRecord) -> None:
        """A message waits in the queue of a session, or went into flight at once."""

    def update(self, key: Key, number: int, packet_id: int, received: bool) -> None:
        """A message went into flight, out of it, or its PUBREC has come."""

    def settle(self, key: Key, number: int) -> None:
        """A message was acknowledged or dropped."""

    def receive(self, key: Key, dedup_id: int) -> None:
        """A QoS 2 message of that packet identifier has come from the client."""

    def release(self, key: Key, dedup_id: int) -> None:
        """The client has released that packet identifier."""

    def retain(self, record: MessageRecord) -> None:
        """A message is the retained one of its topic; an empty payload clears it."""

    def commit(self) -> None:
        """Close the batch of this turn's changes. If it raises, nothing is written to any client in this turn."""


class MemoryStore:
    """Sessions and retained messages end with the process."""

    durable = False

    def __init__(self) -> None:
        self.commits = Commits()
        self.changed: Callable[[], object] = lambda: None

    def load(self) -> Iterable[StoredSession]:
        return ()

    def load_retained(self) -> Iterable[MessageRecord]:
        return ()

    def save_session(self, record: SessionRecord) -> None: ...
    def end_session(self, key: Key) -> None: ...
    def subscribe(self, key: Key, record: SubscriptionRecord) -> None: ...
    def unsubscribe(self, key: Key, id: Hashable) -> None: ...
    def enqueue(self, key: Key, record: DeliveryRecord) -> None: ...
    def update(self, key: Key, number: int, packet_id: int, received: bool) -> None: ...
    def settle(self, key: Key, number: int) -> None: ...
    def receive(self, key: Key, dedup_id: int) -> None: ...
    def release(self, key: Key, dedup_id: int) -> None: ...
    def retain(self, record: MessageRecord) -> None: ...
    def commit(self) -> None: ...
