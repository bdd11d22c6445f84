"""What is kept of a client whose session may outlive its link (MQTT 5.0 section 4.1), and where.

A Kept is one session: all that it consists of changes by its methods alone. So a Store whose Kept writes down what they
are told, and whose `commit` has that reach its medium, is durable; here both keep it in memory.

    store.load()      once, before anything serves: the sessions of an earlier run
    store.begin(key)  a client that has none wants one
    kept.…            whatever changes, as it changes
    store.commit()    at the end of each turn, before anything is written to any client: what is acknowledged is saved
    store.end(kept)   the session is over
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from hubbub import limits
from hubbub.events import Publish, Subscribe
from hubbub.kernel.session import Session
from hubbub.message import Message, cost

Key = tuple[str, str | None, str]
"""A client: its mount point, its user, its own identifier."""


class Owed:
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


class Kept:
    """One session.

    owner       who it belongs to, as it was seen last; without a link it has the subscriptions
    expiry      seconds that it lives without a link
    left        Unix seconds when its link went; None while it is there
    will        what is published when the link ends otherwise than by the client's word, will_delay seconds later
    wishes      subscriptions by their filter, as the hub names it
    line        what waits; flight: what is with the client, by its id, in the order of sending
    room, full  bytes that the line may have, and what becomes of more
    size        bytes of line and flight; flying: of the flight alone
    received    the numbers of the Letters that the client may still send again
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
        self.line: deque[Owed] = deque()
        self.flight: dict[int, Owed] = {}
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
        """A Letter of that number has come."""
        self.received.add(once)

    def release(self, once: int) -> None:
        """It won't come again."""
        self.received.discard(once)

    def wait(self, owed: Owed) -> None:
        """Something more waits."""
        self.line.append(owed)
        self.size += owed.size

    def take(self) -> Owed:
        """What has waited the longest waits no longer: it flies, or is dropped."""
        owed = self.line.popleft()
        self.size -= owed.size
        return owed

    def fly(self, owed: Owed) -> None:
        """Something is sent, and has an id."""
        self.flight[owed.id] = owed
        self.flying += owed.size
        self.size += owed.size

    def mark(self, owed: Owed) -> None:
        """Of something that flies `received` has changed."""

    def land(self, owed: Owed) -> None:
        """The client has it, or never will."""
        del self.flight[owed.id]
        self.flying -= owed.size
        self.size -= owed.size


class Store(Protocol):
    """Where sessions are kept; see above for when each method is called."""

    def load(self) -> Iterable[Kept]:
        """Return the sessions that are kept already."""

    def begin(self, key: Key, owner: Session) -> Kept:
        """Return a new session."""

    def end(self, kept: Kept) -> None:
        """Forget a session and all that it has."""

    def commit(self) -> None:
        """Return once all that was changed is safe. Where it raises, nothing is written to anybody until it returns."""


class MemoryStore:
    """Sessions that end with the process."""

    def load(self) -> Iterable[Kept]:
        return ()

    def begin(self, key: Key, owner: Session) -> Kept:
        return Kept(key, owner)

    def end(self, kept: Kept) -> None:
        """It goes with its last reference."""

    def commit(self) -> None:
        """Memory is as safe as it gets."""
