"""Clients whose session may outlive their link: what they subscribed to, what they are owed, and their wills.

While the link is there, its Session has the subscriptions. Without it a Session of nobody stands in for them, so that
what those of quality 1 and 2 match goes on to wait. A client is known by its mount point, its user and its own
identifier: nobody can take over, or keep from coming, a client of somebody else.
"""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING, Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Open, Publish, Subscribe
from hubbub.kernel.delivery import Delivery, Owing, Pool
from hubbub.kernel.session import Session, as_it_is

if TYPE_CHECKING:
    from hubbub.kernel.hub import Hub

Key = tuple[str, str | None, str]
TAKEN_OVER = "taken over"


class Client:
    """One client.

    link      its link, a kernel.link.Link, or None
    received  the numbers of the Letters that it may still send again
    expiry    seconds that the session lives without a link
    """

    __slots__ = (
        "alarm_at", "delivery", "expiry", "key", "link", "received",
        "_clients", "_ends_at", "_hub", "_known", "_stand_in", "_will", "_will_at", "_will_delay", "_willing",
    )  # fmt: skip

    def __init__(self, hub: Hub, clients: Clients, key: Key, delivery: Delivery) -> None:
        self.alarm_at: float | None = None
        self.delivery = delivery
        self.expiry = 0.0
        self.key = key
        self.link: Any = None
        self.received: set[int] = set()
        self._clients = clients
        self._ends_at: float | None = None
        self._hub = hub
        self._known: list[Subscribe] = []  # while there is no link
        self._stand_in: Session | None = None
        self._will: Publish | None = None
        self._will_at: float | None = None
        self._will_delay = 0.0
        self._willing: Session | None = None  # whose will it is

    def is_new(self, once: int) -> bool:
        """Tell whether a Letter of that number isn't here yet. Raises Refusal (quota)."""
        if once in self.received:
            return False
        if len(self.received) >= limits.FLIGHT:
            no = Refusal("quota", f"{limits.FLIGHT} messages of this client wait for their release already")
            no.limit = "flight"
            raise no
        return True

    def meet(self, link: Any, event: Open) -> None:
        """A link is there for it."""
        self.link = link
        link.client = self
        self.expiry = min(event.expiry, limits.SESSION_SECONDS)
        self._ends_at = self._will_at = None
        self._will, self._will_delay, self._willing = event.will, event.will_delay, link.session
        self._hub.alarms.cancel(self)

    def go_on(self, link: Any, window: int) -> None:
        """The client knows that its link is there: its subscriptions are, and what it is owed comes."""
        stand_in, known = self._stand_in, self._known
        self._stand_in, self._known = None, []
        rights = link.session.rights
        for wish in known:
            if stand_in is not None:
                self._hub.unsubscribe(stand_in, wish.filter)
            if rights is None or rights.receives(wish.filter):
                try:
                    link.renew(wish)
                except Refusal:
                    self._hub.counters.refused += 1
        if rights is not None:
            self.delivery.purge(rights.receives)
        self.delivery.attach(link, window)

    def leave(self, link: Any, will: bool) -> None:
        """Its link goes."""
        self.link = None
        self.delivery.detach()
        if self.expiry > 0:
            self._clients.gone(self)
        wishes = [one.wish for one in (link.session.subscriptions or {}).values()]
        now = self._hub.now()
        if not will:
            self._will = None
        self._stand(link, wishes)
        if self.expiry > 0:
            self._ends_at = now + self.expiry
        if self._will is not None and self.expiry > 0 and self._will_delay > 0:
            self._will_at = now + self._will_delay
        if self._will_at is None:
            self._say_will()
        if self.expiry > 0:
            self._wait()
        else:
            self.end()

    def _stand(self, link: Any, wishes: list[Subscribe]) -> None:
        old = link.session
        for wish in wishes:
            self._hub.unsubscribe(old, wish.filter)
        if not self.expiry:
            return
        self._stand_in = stand_in = Session(old.host, old.port, old.transport, old.listener, old.user)
        stand_in.client, stand_in.rights = old.client, old.rights
        for wish in wishes:
            box = Owing(self.delivery, None, None, wish)
            try:
                self._hub.subscribe(stand_in, wish, self._hub.encoding(as_it_is, None), box)
            except Refusal:
                self._hub.counters.refused += 1
            else:
                self._known.append(wish)
                stand_in.subscriptions[wish.filter].merge = _surest  # type: ignore[index]

    def _say_will(self) -> None:
        will, session = self._will, self._willing
        self._will = self._will_at = self._willing = None
        if will is None or session is None:
            return
        try:
            will.sender = session
            will.topic = self.key[0] + will.topic
            if session.rights is not None:
                session.rights.publish(will.topic)
            self._hub.publish(will)
        except Refusal:
            self._hub.counters.refused += 1

    def _wait(self) -> None:
        times = [time for time in (self._ends_at, self._will_at) if time is not None]
        if times and min(times) < math.inf:
            self._hub.alarms.at(self, min(times))

    def alarm(self, now: float) -> None:
        """Its will, or its end, may be due (kernel.alarms.Sleeper)."""
        if self.link is not None:
            return
        if self._will_at is not None and now >= self._will_at:
            self._say_will()
        if self._ends_at is not None and now >= self._ends_at:
            self.end()
        else:
            self._wait()

    def end(self) -> None:
        """The session is over."""
        self._say_will()
        self._hub.alarms.cancel(self)
        stand_in, self._stand_in = self._stand_in, None
        if stand_in is not None:
            for filter in list(stand_in.subscriptions or ()):
                self._hub.unsubscribe(stand_in, filter)
        self._known = []
        self.received.clear()
        self.delivery.clear()
        self._clients.forget(self)


def _surest(several: Any) -> Any:
    return max(several, key=lambda one: one.wish.qos)


class Clients:
    """All clients with a session of their own, by their key."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._known: dict[Key, Client] = {}
        self._gone: dict[Key, Client] = {}  # those without a link, the longest gone first
        self._pool = Pool()
        self.forgotten = 0  # sessions that gave way

    def __len__(self) -> int:
        return len(self._known)

    @property
    def waiting(self) -> int:
        """Bytes that wait for all of them."""
        return self._pool.size

    def meet(self, link: Any, event: Open, mount: str) -> None:
        """A client says who it is, and wants a session: fill in what `event` leaves to the hub."""
        if link.client is not None:
            return
        session, old = link.session, None
        if event.client:
            old = self._known.get((mount, session.user, event.client))
        else:
            event.client = session.client = secrets.token_hex(8)
        if old is not None and old.link is not None:
            before = old.link
            before.part(True)
            before.close(TAKEN_OVER)
        if old is not None and event.clean:
            old.end()
        key = (mount, session.user, event.client)
        old = self._known.get(key)
        event.present = old is not None
        if old is None:
            place = link.place
            delivery = Delivery(self._hub, self._pool, place.queue, place.full or link.dialect.full)
            old = self._known[key] = Client(self._hub, self, key, delivery)
        self._gone.pop(key, None)
        old.meet(link, event)

    def gone(self, client: Client) -> None:
        """A client has no link any more; where there are too many such, the one that is gone the longest gives way."""
        self._gone[client.key] = client
        if len(self._gone) > limits.SESSIONS:
            self.forgotten += 1
            next(iter(self._gone.values())).end()

    def forget(self, client: Client) -> None:
        """A session has ended."""
        self._known.pop(client.key, None)
        self._gone.pop(client.key, None)
