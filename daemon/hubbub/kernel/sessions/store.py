"""The state of persistent sessions (MQTT 5.0 section 4.1), and the store that keeps it.

The methods of PersistentSession make every change. A durable Store returns a subclass that records them, and its
`commit` makes them safe. The store here keeps everything in memory.

    store.load()      once, before the daemon serves: the sessions of an earlier process
    store.begin(key)  a new session
    session.…         each change, when it happens
    store.commit()    at the end of each turn, before anything is written to any client
    store.end(kept)   the session has ended
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from hubbub import limits
from hubbub.events import Publish, Subscribe
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message, cost

Key = tuple[str, str | None, str]
"""A client: its mount point, its user, its own identifier."""


class InflightMessage:
    """One message on its way to one client.

    qos       1 or 2
    share     the shared filter by which it came, or ""
    size      bytes
    id        1 to 65,535 while it flies, else 0; no two that fly have the same
    received  QoS 2: the client has it, and may forget its id once it is told to
    again     whether it was sent before, on another link
    """

    __slots__ = ("message", "wish", "qos", "share", "size", "id", "received", "again")

    def __init__(self, message: Message, wish: Subscribe, qos: int, share: str = "") -> None:
        self.message = message
        self.wish = wish
        self.qos = qos
        self.share = share
        self.size = cost(message) + limits.OWED_BYTES
        self.id = 0
        self.received = False
        self.again = False


class PersistentSession:
    """One session.

    owner       who it belongs to, as it was seen last; without a link it has the subscriptions
    expiry      seconds that it lives without a link
    left        Unix seconds when its link went; None while it is there
    will        what is published when the link ends otherwise than by the client's word, will_delay seconds later
    wishes      subscriptions by their filter, as the hub names it
    line        what waits; flight: what is with the client, by its id, in the order of sending
    room, full  bytes that the line may have, and what becomes of more
    size        bytes of line and flight; flying: of the flight alone
    received    the numbers of the QosPublish that the client may still send again
    """

    __slots__ = (
        "key", "owner", "expiry", "left", "will", "will_delay", "wishes", "line", "flight", "room", "full", "size",
        "flying", "received",
    )  # fmt: skip

    def __init__(self, key: Key, owner: Session) -> None:
        self.key = key
        self.owner = owner
        self.expiry = 0.0
        self.left: float | None = None
        self.will: Publish | None = None
        self.will_delay = 0.0
        self.wishes: dict[str, Subscribe] = {}
        self.line: deque[InflightMessage] = deque()
        self.flight: dict[int, InflightMessage] = {}
        self.room = limits.QUEUE_BYTES
        self.full = "drop-oldest"
        self.size = 0
        self.flying = 0
        self.received: set[int] = set()

    def save(self) -> None:
        """Of the first six, or of room and full, something has changed."""

    def subscribe(self, wish: Subscribe) -> None:
        """There is a subscription, or another one to the same filter."""
        self.wishes[wish.filter] = wish

    def unsubscribe(self, filter: str) -> None:
        """There is none any more."""
        self.wishes.pop(filter, None)

    def receive(self, once: int) -> None:
        """A QosPublish of that number has come."""
        self.received.add(once)

    def release(self, once: int) -> None:
        """It won't come again."""
        self.received.discard(once)

    def wait(self, owed: InflightMessage) -> None:
        """Something more waits."""
        self.line.append(owed)
        self.size += owed.size

    def take(self) -> InflightMessage:
        """What has waited the longest waits no longer: it flies, or is dropped."""
        owed = self.line.popleft()
        self.size -= owed.size
        return owed

    def fly(self, owed: InflightMessage) -> None:
        """Something is sent, and has an id."""
        self.flight[owed.id] = owed
        self.flying += owed.size
        self.size += owed.size

    def mark(self, owed: InflightMessage) -> None:
        """Of something that flies `received` has changed."""

    def land(self, owed: InflightMessage) -> None:
        """The client has it, or never will."""
        del self.flight[owed.id]
        self.flying -= owed.size
        self.size -= owed.size


class Store(Protocol):
    """Where sessions are kept; see above for when each method is called."""

    def load(self) -> Iterable[PersistentSession]:
        """Return the sessions that are kept already."""

    def begin(self, key: Key, owner: Session) -> PersistentSession:
        """Return a new session."""

    def end(self, kept: PersistentSession) -> None:
        """Forget a session and all that it has."""

    def commit(self) -> None:
        """Return once all that was changed is safe. Where it raises, nothing is written to anybody until it returns."""


class MemoryStore:
    """Sessions that end with the process."""

    def load(self) -> Iterable[PersistentSession]:
        return ()

    def begin(self, key: Key, owner: Session) -> PersistentSession:
        return PersistentSession(key, owner)

    def end(self, kept: PersistentSession) -> None:
        """It goes with its last reference."""

    def commit(self) -> None:
        """Memory is as safe as it gets."""
