"""Clients with a persistent session: their subscriptions, in-flight messages and wills (MQTT 5.0 section 4.1).

While a client is connected, the Session of its link holds its subscriptions. While it is away, a stand-in Session holds
them, so that messages of QoS 1 and 2 go on into its queue. The key of a client is its mount point, its user and its
client identifier: one user can't take over, or keep out, a client of another. A Store keeps the session state.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Connect, Publish, Subscribe
from hubbub.kernel.authorization.revoke import tell
from hubbub.kernel.connection.slow_consumers import level
from hubbub.kernel.ingress.sources import source_of
from hubbub.kernel.sessions.delivery import Delivery, QosReceiver, QueuedBytes
from hubbub.kernel.sessions.session import Rights, Session, as_is, mounted, permit
from hubbub.kernel.sessions.store import Key, MemoryStore, PersistentSession, Store
from hubbub.message import cost
from hubbub.topics import unshared

if TYPE_CHECKING:
    from hubbub.kernel.connection.wire import ListenerContext
    from hubbub.kernel.hub import Hub

TAKEN_OVER = "taken over"
_ROOM = 0.9  # of what all may be owed, what is left when it was reached: as of kernel.connection.slow_consumers


class Client:
    """One client.

    kept      its session
    link      its link, a kernel.connection.link.Link, or None
    standing  the place of the connector whose session this is, as long as that is there; None: it is no connector's
    source    where its last link came from, see kernel.ingress.sources
    """

    __slots__ = (
        "alarm_at", "delivery", "kept", "link", "source", "connector",
        "_clients", "_ends_at", "_hub", "_most", "_rights", "_stand_in", "_will_at",
    )  # fmt: skip

    def __init__(self, hub: Hub, clients: ClientRegistry, kept: PersistentSession, pool: QueuedBytes) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self.delivery = Delivery(hub, pool, kept)
        self.kept = kept
        self.link: Any = None
        self.source = ""
        self.connector: ListenerContext | None = None
        self._clients = clients
        self._ends_at: float | None = None
        self._hub = hub
        self._most = limits.FLIGHT  # QosPublish that wait for their release
        self._rights: Callable[[Session], Rights | None] | None = None  # as its place tells them
        self._stand_in: Session | None = None
        self._will_at: float | None = None

    def is_new(self, once: int) -> bool:
        """Tell whether a QosPublish of that number isn't here yet. Raises Refusal (quota)."""
        received = self.kept.received
        if once in received:
            return False
        if len(received) >= self._most:
            refusal = Refusal("quota", f"{self._most} messages of this client wait for their release already")
            refusal.limit = "flight"
            raise refusal
        return True

    def meet(self, link: Any, event: Connect) -> None:
        """A link is there for it."""
        kept, context = self.kept, link.context
        self.link = link
        link.client = self
        self._hub.alarms.cancel(self)
        self._ends_at = self._will_at = None
        self._most = limits.FLIGHT if event.knows_receive_maximum else limits.UNRELEASED_UNTOLD
        self._rights = context.rights
        if self.connector is None:
            kept.expiry = min(event.session_expiry, limits.SESSION_SECONDS)
        if event.resend_as_new:
            for once in list(kept.received):
                kept.release(once)
            self.delivery.begin_anew()
        self._clients.put_will(self, event.will)
        kept.owner, kept.left, kept.will_delay = link.session, None, event.will_delay
        kept.room, kept.full = context.queue, context.full or link.dialect.full
        kept.save()

    def go_on(self, link: Any, window: int) -> None:
        """The client knows that its link is there: its subscriptions are, and what it is owed comes."""
        if self.delivery.carrier is link:
            return
        kept, stand_in, rights, ended = self.kept, self._stand_in, link.session.rights, []
        for wish in kept.wishes.values() if stand_in is not None else ():
            if rights is not None and not rights.receives(unshared(wish.filter)):
                ended.append(wish.filter)
            else:
                link.renew(stand_in, wish)
        self._relieve()
        for filter in ended:
            kept.unsubscribe(filter)
        if rights is not None:
            self.delivery.purge(rights.receives)
            self.delivery.withhold(rights.receives)
        tell(link, ended)
        if link.client is self:
            self.delivery.attach(link, window)

    def leave(self, link: Any, will: bool) -> None:
        """Its link goes."""
        self.link = None
        self.delivery.detach()
        self.kept.left = self._hub.wall()
        if not will:
            self._clients.put_will(self, None)
        self._stand(link.session)
        self.kept.save()
        self.settle()

    def revive(self, rights: Callable[[Session], Rights | None] | None) -> None:
        """Be the session of an earlier run; one that had a link then has lost it now. `settle` follows."""
        self._rights = rights
        if self.kept.left is None:
            self.kept.left = self._hub.wall()
        self._stand(self.kept.owner)
        self.kept.save()

    def settle(self) -> None:
        """Its link has gone: let it wait for another, or end."""
        kept = self.kept
        assert kept.left is not None
        since = self._hub.now() - (self._hub.wall() - kept.left)
        if kept.expiry > 0:
            self._ends_at = since + kept.expiry
            if kept.will is not None and kept.will_delay > 0:
                self._will_at = since + kept.will_delay
        if self._will_at is None:
            self._say_will()
        if kept.expiry <= 0:
            self.end()
            return
        self.delivery.let_others()
        self._wait()
        if self.connector is None:
            self._clients.gone(self)

    def stand(self, context: ListenerContext, session: Session, wishes: Sequence[Subscribe]) -> None:
        """Wait for a link as the session of a connector, with these subscriptions and no others."""
        if self.link is not None:  # of an older connector
            self.link.part(False)
        kept = self.kept
        self._relieve()
        for filter in list(kept.wishes):
            kept.unsubscribe(filter)
        for wish in wishes:
            kept.subscribe(wish)
        self.connector, kept.expiry, self._ends_at = context, math.inf, None
        self._stand(session)
        kept.save()

    def _stand(self, old: Session) -> None:
        """Take the subscriptions from the session of a link to one of nobody, if this lives on."""
        kept, hub = self.kept, self._hub
        if not kept.expiry:
            for filter in kept.wishes:
                hub.unsubscribe(old, filter)
            return
        self._relieve()  # of what a link that failed in the midst has left to it
        self._stand_in = kept.owner = stand_in = old.double()
        for wish in list(kept.wishes.values()):
            receiver, encoding = QosReceiver(self.delivery, None, None, wish), hub.encoding(as_is, None)
            try:
                if wish.filter in (old.subscriptions or ()):
                    hub.hand_over(old, stand_in, wish, encoding, receiver)
                else:  # of an earlier run, or a connector's
                    hub.subscribe(stand_in, wish, encoding, receiver)
            except Refusal:
                hub.counters.refused += 1
                kept.unsubscribe(wish.filter)
            else:
                stand_in.subscriptions[wish.filter].merge = _surest  # type: ignore[index]

    def _relieve(self) -> None:
        """End the session of nobody, with all that is left of its subscriptions."""
        stand_in, self._stand_in = self._stand_in, None
        if stand_in is not None:
            for filter in list(stand_in.subscriptions or ()):
                self._hub.unsubscribe(stand_in, filter)

    def _say_will(self) -> None:
        kept, will = self.kept, self.kept.will
        self._will_at = None
        if will is None:
            return
        self._clients.put_will(self, None)
        kept.save()
        try:
            self._hub.publish(authorized_will(will, kept.key[0], kept.owner, self._rights))
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
            self._clients.expired += 1
            self.end()
        else:
            self._wait()

    def end(self) -> None:
        """The session is over."""
        self._say_will()
        self._hub.alarms.cancel(self)
        self._relieve()
        self.delivery.clear()
        self._clients.forget(self)

    def give_up(self) -> None:
        """It is owed too much that it doesn't acknowledge: the session is over, and the link too."""
        if self.link is not None:
            refusal = Refusal("quota", "you haven't acknowledged what you were sent, and others need the room")
            self.link.close(refusal.reason, refusal)
        if self._clients.has(self):
            self.end()


def authorized_will(
    will: Publish, mount: str, owner: Session, rights_of: Callable[[Session], Rights | None] | None
) -> Publish:
    """Make of a will the message that its client could send now. Raises Refusal."""
    rights = owner.rights = rights_of(owner) if rights_of is not None else None
    will.sender = owner
    mounted(will, mount)
    if rights is not None:
        permit(will, rights, will.retain)
    return will


def _key(context: ListenerContext, session: Session, client: str, mount: str) -> Key:
    """Make the key of a client; nobody who dials us can be the client that a connector is."""
    return (f"\0{context.name}" if context.dialect_context.role == "client" else mount, session.user, client)


def _surest(several: Any) -> Any:
    return max(several, key=lambda one: one.wish.qos)


class ClientRegistry:
    """All clients with a session of their own, by their key.

    store      where the sessions are kept
    forgotten  sessions that gave way; expired: those that nobody came back to in time
    wills      bytes of all wills
    """

    def __init__(self, hub: Hub) -> None:
        self.store: Store = MemoryStore()
        self.forgotten = 0
        self.expired = 0
        self.wills = 0
        self._asked = False
        self._hub = hub
        self._known: dict[Key, Client] = {}
        self._gone: dict[Key, Client] = {}  # those without a link, the longest gone first
        self._gone_from: dict[str, dict[Key, Client]] = {}  # the same by source
        self._pool = QueuedBytes(self._over)
        self._wills_from: Counter[str] = Counter()  # bytes, by source

    def __len__(self) -> int:
        return len(self._known)

    @property
    def away(self) -> int:
        """How many have no link."""
        return len(self._gone)

    @property
    def owed(self) -> int:
        """How many messages they are owed."""
        return sum([len(one.kept.line) + len(one.kept.flight) for one in self._known.values()])

    @property
    def waiting(self) -> int:
        """Bytes that all of them are owed."""
        return self._pool.size

    def load(self, store: Store, rights: Callable[[Session], Rights | None] | None = None) -> None:
        """Keep sessions in another store, those that it has already too: once, before anything serves."""
        self.store = store
        for kept in store.load():
            client = self._known[kept.key] = Client(self._hub, self, kept, self._pool)
            self._pool.add(kept.size)
            self.wills += _size(kept.will)
            self._wills_from[client.source] += _size(kept.will)
            client.revive(rights)
        for client in list(self._known.values()):  # once all are there to hear their wills
            client.settle()

    def has(self, client: Client) -> bool:
        """Tell whether its session goes on."""
        return self._known.get(client.kept.key) is client

    def meet(self, link: Any, event: Connect, mount: str) -> None:
        """A client says who it is, and wants a session: fill in whether it has one. Raises Refusal."""
        if link.client is not None:
            return
        session = link.session
        key = _key(link.context, session, session.client, mount)
        old = self._known.get(key)
        self._check_will(event.will, old, session.host)
        if old is not None and old.link is not None:
            before = old.link
            before.part(True)
            before.close(TAKEN_OVER)
        if old is not None and event.clean_start and self.has(old):
            old.end()
        client = self._known.get(key)
        event.session_present = client is not None
        if client is None:
            client = self._new(key, session)
        self._back(client)
        self.put_will(client, None)  # which counted for where it came from
        client.source = source_of(session.host)
        client.meet(link, event)

    def _new(self, key: Key, owner: Session) -> Client:
        client = self._known[key] = Client(self._hub, self, self.store.begin(key, owner), self._pool)
        return client

    def stand(
        self, context: ListenerContext, session: Session, event: Connect, wishes: Sequence[Subscribe], full: str
    ) -> None:
        """Have the session of a connector from before its first link until `dismiss`, with these subscriptions."""
        mount = "" if context.prefix is None else context.prefix.fill(session.fields()) + "/"
        session.client = event.client or ""
        session.rights = context.rights(session) if context.rights is not None else None
        key = _key(context, session, session.client, mount)
        client = self._known.get(key) or self._new(key, session)
        client.kept.room, client.kept.full = context.queue, full
        client.delivery.ids = limits.CONNECTOR_IDS
        wishes = [Subscribe(mount + one.filter, one.echo, one.full, one.options, None, one.qos) for one in wishes]
        client.stand(context, session, wishes)

    def dismiss(self, context: ListenerContext) -> None:
        """The connector of that place has gone for good."""
        for client in [one for one in self._known.values() if one.connector is context]:
            client.connector, client.kept.expiry = None, 0.0
            if client.link is None:
                client.end()

    def gone(self, client: Client) -> None:
        """A client has no link any more. Where there are too many such, the one that is gone the longest gives way.

        It is one from the same source where very many of them are: nobody's sessions end by a flood of somebody else's.
        """
        key = client.kept.key
        same = self._gone_from.setdefault(client.source, {})
        self._gone[key] = same[key] = client
        if len(self._gone) > limits.SESSIONS:
            self.forgotten += 1
            those = same if len(same) > limits.SESSIONS_SOURCE else self._gone
            next(iter(those.values())).end()

    def _back(self, client: Client) -> None:
        """It is none of those any more."""
        key = client.kept.key
        if self._gone.pop(key, None) is not None:
            same = self._gone_from[client.source]
            del same[key]
            if not same:
                del self._gone_from[client.source]

    def forget(self, client: Client) -> None:
        """A session has ended."""
        if self.has(client):
            del self._known[client.kept.key]
            self._back(client)
            self.store.end(client.kept)

    def put_will(self, client: Client, will: Publish | None) -> None:
        """Let a session have another will, or none."""
        kept, source = client.kept, client.source
        more = _size(will) - _size(kept.will)
        self.wills += more
        self._wills_from[source] += more
        if not self._wills_from[source]:
            del self._wills_from[source]
        kept.will = will

    def _check_will(self, will: Publish | None, old: Client | None, host: str) -> None:
        """See whether there is room for a will in place of that of `old`. Raises Refusal (quota)."""
        source, size, before = source_of(host), _size(will), 0 if old is None else _size(old.kept.will)
        if size > before and self.wills + size - before > limits.WILL_BYTES_ALL:
            raise Refusal("quota", "the hub keeps no more wills")
        here = self._wills_from[source] - (before if old is not None and old.source == source else 0)
        if size and here + size > limits.WILL_BYTES_SOURCE and self._hub.sources.rated(host):
            raise Refusal("quota", "the hub keeps no more wills from your address")

    def _over(self) -> None:
        """All are owed too much."""
        if not self._asked:
            self._asked = True
            self._hub.outboxes.append(self)
            self._hub.schedule_flush()

    def flush(self) -> None:
        """Have those who are owed most lose until all fit (kernel.hub.Flushed)."""
        self._asked = False
        if self._pool.size <= limits.OWED_BYTES_ALL:
            return
        those = [client for client in self._known.values() if client.kept.size]
        most = level(sorted(client.kept.size for client in those), int(limits.OWED_BYTES_ALL * _ROOM))
        for client in those:
            if client.kept.size > most and not client.delivery.give_way(most):
                self.forgotten += 1
                client.give_up()


def _size(will: Publish | None) -> int:
    return 0 if will is None else cost(will)
