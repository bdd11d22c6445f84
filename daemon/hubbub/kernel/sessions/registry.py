"""Clients with a persistent session: their subscriptions, in-flight messages and wills (MQTT 5.0 section 4.1).

While a client is connected, the Session of its link holds its subscriptions. While it is away, a stand-in Session holds
them, so that messages of QoS 1 and 2 go on into its queue. The key of a client is its mount point, its user and its
client identifier: one user can't take over, or keep out, a client of another. A Store keeps the session state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Connect, Subscribe
from hubbub.kernel.ingress.sources import Sources, source_of
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.share_groups import SharedSubscriptions
from hubbub.kernel.routing.subscriptions import Subscriptions
from hubbub.kernel.sessions.client import Client, RightsOf, authorized_will
from hubbub.kernel.sessions.delivery import Delivery
from hubbub.kernel.sessions.queue_ages import QueueAges
from hubbub.kernel.sessions.queued_bytes import QueuedBytes
from hubbub.kernel.sessions.records import Key, SessionRecord, StoredSession, make_message
from hubbub.kernel.sessions.restore import owner_of, restore
from hubbub.kernel.sessions.retained_changes import RetainedChanges
from hubbub.kernel.sessions.session import EarlierVoucher, Session
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.kernel.sessions.store import MemoryStore, Store
from hubbub.kernel.sessions.wills import Wills
from hubbub.kernel.sessions.work_queues import MOUNT, WorkQueues
from hubbub.kernel.steps import spread
from hubbub.kernel.trimming import level
from hubbub.kernel.turn import Turn

TAKEN_OVER = "taken over"
_CONNECTOR = "\0"  # begins the mount point of a connector's key
_LOW_WATER = 0.9  # of the memory bound: what is left after queues were trimmed


class EarlierLogins(Protocol):
    """Knows which logins of an earlier process are valid now."""

    def recognises(self, user: str | None, mark: str) -> bool:
        """Tell whether a login with that mark would be, see identity.Identity."""

    def vouches(self, listener: str, certificates: Sequence[bytes]) -> bool:
        """Tell whether TLS certificates of a client would be taken there."""

    def admits(self, session: Session) -> bool:
        """Tell whether a client without a login would be, where it came in."""


class Owners(Protocol):
    """Sees to it that no two nodes of a cluster have one session (service.cluster.session_moves).

    store  where the sessions of clients are kept
    """

    @property
    def store(self) -> Store: ...
    def claim(self, key: Key, event: Connect, then: Callable[[Refusal | None], object]) -> None:
        """Have a session be this node's, if there is one, and let no other have it; then call `then`."""

    def ended(self, key: Key) -> None:
        """A session has ended here."""

    def doubts(self, key: Key, id: int) -> bool:
        """Return whether a message of QoS 2 may have been published by another node, though the session is here."""

    def look_for(self, key: Key, topic: str, id: int, then: Callable[[bool | Refusal], object]) -> None:
        """Call `then` with whether that message was published, or with a Refusal."""


class ClientRegistry:
    """All clients with a persistent session, by their key.

    store      where the sessions are kept; owners: attribute, in a cluster: keep those of clients, or None
    forgotten  sessions that were ended to make room; expired: sessions that expired
    restored   user and client identifier of each session that an earlier process had
    """

    def __init__(
        self,
        turn: Turn,
        router: Router,
        subscriptions: Subscriptions,
        shared: SharedSubscriptions,
        sources: Sources,
    ) -> None:
        self.store: Store = MemoryStore()
        self.owners: Owners | None = None
        self.forgotten = 0
        self.expired = 0
        self.restored: frozenset[tuple[str | None, str]] = frozenset()
        self._known: dict[Key, Client] = {}
        self._away: dict[Key, Client] = {}  # those without a link, the longest away first
        self._away_from: dict[str, dict[Key, Client]] = {}  # the same by source
        self._logins: EarlierLogins | None = None
        self._marked = False  # for the end of this turn
        self._rights: RightsOf | None = None
        self._queued_bytes = QueuedBytes(self._trim_later)
        self._router = router
        self._shared = shared
        self._subscriptions = subscriptions
        self._turn = turn
        self._wills = Wills(sources)
        self._work_queues = WorkQueues(turn, router, shared, self._queued_bytes)
        self._queue_ages = QueueAges(turn, self._known, self._work_queues.all)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def away(self) -> int:
        """How many clients have no link."""
        return len(self._away)

    @property
    def queued(self) -> int:
        """How many messages are queued or in flight."""
        queues = [queue.state for queue in self._work_queues.all.values()]
        waiting = sum([len(one.queue) + one.paged_count for one in queues])
        return waiting + sum([client.delivery.queue.waiting for client in self._known.values()])

    @property
    def unsettled(self) -> int:
        """How many messages were dropped for clients that are away, and aren't counted yet."""
        return sum([client.delivery.queue.unsettled for client in self._away.values()])

    @property
    def queued_bytes(self) -> int:
        """Their bytes."""
        return self._queued_bytes.size

    def take_most_queued_bytes(self) -> int:
        """Return the most that these were since this was called last."""
        return self._queued_bytes.take_most()

    @property
    def will_bytes(self) -> int:
        """Bytes of all wills."""
        return self._wills.size

    def load(self, store: Store) -> None:
        """Take the sessions of a store, once, before the daemon serves."""
        self.store, logins = store, self._logins
        loaded: list[Client] = []
        for stored in store.load():
            state = restore(stored, store)
            if state.key[0] == MOUNT:
                self._work_queues.restore(state)
                self._queue_ages.look_later()
            else:
                loaded.append(self._revive(state))  # of two with one key the first ends now, see `expire`
        self.restored = frozenset([client.state.key[1:] for client in loaded])
        for client in loaded:  # once all are there to get their wills
            owner = client.state.owner
            if owner.is_valid(self._turn.wall()) and (logins is None or logins.admits(owner)):
                client.settle()
            else:
                client.revoke()

    def trust(self, rights: RightsOf | None, logins: EarlierLogins | None) -> None:
        """Have sessions of earlier processes and of other nodes be checked by these."""
        self._rights, self._logins = rights, logins

    def _revive(self, state: PersistentSession) -> Client:
        self._check_later(state.owner)
        client = self._make(state)
        self._queued_bytes.add(state.size)
        client.delivery.queue.keep_most()
        self._wills.count(client.source, None, state.will)
        client.revive(self._rights)
        return client

    def _check_later(self, owner: Session) -> None:
        """Have the login of a client be checked by those of today."""
        logins = self._logins
        if owner.holds is not None and logins is not None:
            owner.holds = partial(logins.recognises, owner.user, owner.mark)
        if isinstance(owner.vouched, EarlierVoucher) and logins is not None:
            owner.vouched.vouches = partial(logins.vouches, owner.listener)

    def publish_will(self, record: SessionRecord) -> None:
        """Publish the will of a session that isn't here, unless its client may no longer."""
        owner = owner_of(record)
        self._check_later(owner)
        if record.will is None or not owner.is_valid(self._turn.wall()):
            return
        try:
            self._router.publish(authorized_will(make_message(record.will), record.key[0], owner, self._rights))
        except Refusal:
            self._turn.counters.refused += 1

    def adopt(self, stored: StoredSession, store: Store) -> Client:
        """Have a session that another node had. `Client.settle` follows unless its client comes."""
        client = self._revive(restore(stored, store))
        client.delivery.queue.alone = True
        return client

    def get(self, key: Key) -> Client | None:
        """Return the client of a key, if it is known here."""
        return self._known.get(key)

    def shared(self) -> list[Key]:
        """Return the keys of the clients whose sessions no other node may have."""
        return [key for key, client in self._known.items() if client.state.store is not self.store]

    def claim(self, link: Any, event: Connect, mount: str, then: Callable[[Refusal | None], object]) -> None:
        """Call `then` once no other node has the session of a client that connects; `connect` follows."""
        key = _key(link.context, link.session, link.session.client, mount)
        client = self._known.get(key)
        if self.owners is None or self._is_local(key) or (client is not None and client.state.store is self.store):
            then(None)
        else:
            self.owners.claim(key, event, then)

    def _is_local(self, key: Key) -> bool:
        return key[0].startswith(_CONNECTOR)

    def _store_of(self, key: Key) -> Store:
        return self.store if self.owners is None or self._is_local(key) else self.owners.store

    def open_queue(self, name: str, needs_room: bool) -> None:
        """Let there be a work queue; `name` is that of its group. Raises Refusal (quota)."""
        self._work_queues.open(name, self.store, needs_room)
        self._queue_ages.look_later()

    def bound(self) -> None:
        """The bounds have changed."""
        self._queue_ages.look_later()

    def has(self, client: Client) -> bool:
        """Return whether its session goes on."""
        return self._known.get(client.state.key) is client

    def connect(self, link: Any, event: Connect, mount: str) -> Client:
        """Return the client of a link that wants a persistent session; sets `event.session_present`. Raises Refusal.

        The answer is held back if a store keeps the session, or kept the one before it.
        """
        session, context = link.session, link.context
        key = _key(context, session, session.client, mount)
        old = self._known.get(key)
        will, source = (None, None) if old is None else (old.state.will, old.source)
        recorded = old is not None and old.state.recorded
        self._wills.check(event.will, will, source, session.host)
        stale = old is not None and not old.state.owner.is_valid(self._turn.wall())
        if old is not None and old.link is not None:
            other = old.link
            other.release_client(True)
            other.close(TAKEN_OVER)
        if old is not None and (event.clean_start or stale) and self.has(old):
            old.end()
        client = self._known.get(key)
        event.session_present = client is not None and client.state.left is not None  # one of `stand` had no link yet
        if client is None:
            client = self._make(PersistentSession(key, session, self._store_of(key)))
        self._is_back(client)
        client.put_will(None)  # it counted for where it came from
        client.source = source_of(session.host)
        client.attach(link, event, context.queue, link.outbox.full, context.rights)
        client.drop_older()
        event.dropped = client.state.tell_dropped()
        if recorded or client.state.recorded:
            link.egress.hold(client.state.store.commits)
        return client

    def _make(self, state: PersistentSession) -> Client:
        delivery = Delivery(self._turn, self._queued_bytes, state, self._shared.pass_on)
        client = Client(self._turn, self._router, self._subscriptions, self._wills, self, state, delivery)
        self._known[state.key] = client
        self._queue_ages.look_later()
        return client

    def stand(self, context: Any, session: Session, event: Connect, wishes: Sequence[Subscribe], full: str) -> None:
        """Have the session of a connector from before its first link until `dismiss`, with these subscriptions."""
        mount = "" if context.prefix is None else context.prefix.fill(session.fields()) + "/"
        session.client = event.client or ""
        session.rights = context.rights(session) if context.rights is not None else None
        key = _key(context, session, session.client, mount)
        restored = key in self._known
        client = self._known.get(key) or self._make(PersistentSession(key, session, self.store))
        client.state.max_bytes, client.state.full = context.queue, full
        client.delivery.max_id = limits.CONNECTOR_IDS
        wishes = [Subscribe(mount + one.filter, one.echo, one.full, one.options, None, one.qos) for one in wishes]
        if client.delivery.changes is None:
            client.delivery.changes = RetainedChanges()
            for wish in wishes if restored else ():
                client.delivery.changes.miss(wish.key)
        self._is_back(client)
        client.stand(context, session, wishes)

    def dismiss_strays(self) -> None:
        """End the sessions of connectors of an earlier process that are no more."""
        for key, client in list(self._known.items()):
            if key[0].startswith(_CONNECTOR) and client.connector is None:
                client.end()

    def dismiss(self, context: Any) -> None:
        """The connector of that context has gone for good."""
        for client in [one for one in self._known.values() if one.connector is context]:
            client.connector, client.state.expiry = None, 0.0
            if client.link is None:
                client.end()

    def without_link(self) -> list[Client]:
        """Return the clients that have no link now."""
        return [client for client in self._known.values() if client.link is None]

    def is_away(self, client: Client) -> None:
        """A client has no link any more. If too many have none, the session that is away the longest ends.

        It is one of the same source if that has very many: a flood from one source ends no sessions of others.
        """
        key = client.state.key
        same = self._away_from.setdefault(client.source, {})
        self._away[key] = same[key] = client
        if len(self._away) > limits.SESSIONS:
            self.forgotten += 1
            those = same if len(same) > limits.SESSIONS_SOURCE else self._away
            next(iter(those.values())).end()

    def _is_back(self, client: Client) -> None:
        key = client.state.key
        if self._away.pop(key, None) is not None:
            same = self._away_from[client.source]
            del same[key]
            if not same:
                del self._away_from[client.source]

    def has_expired(self, client: Client) -> None:
        """Count a session that ends by its expiry."""
        self.expired += 1

    def forget(self, client: Client) -> None:
        """A session has ended."""
        if self.has(client):
            del self._known[client.state.key]
            self._is_back(client)
            if self.owners is not None:
                self.owners.ended(client.state.key)

    def _trim_later(self) -> None:
        if not self._marked:
            self._marked = True
            self._turn.flush_later(self)

    def flush(self) -> None:
        """Trim the largest queues until all fit, step by step (kernel.turn.Flushable).

        A client that never acknowledges ends.
        """
        if self._queued_bytes.size <= limits.QUEUED_BYTES_ALL:
            self._marked = False
            return
        queues, logs = list(self._work_queues.all.values()), list(self._router.logs.values())
        clients = [client for client in self._known.values() if client.state.size]
        sizes = [one.size for one in logs] + [one.state.size for one in queues] + [one.state.size for one in clients]
        keep = level(sorted(sizes), int(limits.QUEUED_BYTES_ALL * _LOW_WATER))
        spread(self._turn, "queues", self._trim([*queues, *logs], clients, keep))

    def _trim(self, shared: list[Any], clients: list[Client], keep: int) -> Iterator[None]:
        for one in shared:
            one.give_way(keep)
            yield
        for client in clients:
            if client.state.size > keep and self.has(client) and not client.delivery.queue.give_way(keep):
                self.forgotten += 1
                self._give_up(client)
            yield
        self._marked = False

    def _give_up(self, client: Client) -> None:
        """End a session, and its link, whose client doesn't acknowledge its messages."""
        if client.link is not None:
            refusal = Refusal("quota", "you haven't acknowledged your messages, and others need the room")
            client.link.close(refusal.reason, refusal)
        if self.has(client):
            client.end()


def _key(context: Any, session: Session, client: str, mount: str) -> Key:
    """Return the key of a client; no client that connects here has the key of a connector."""
    return (f"{_CONNECTOR}{context.name}" if context.dialect_context.role == "client" else mount, session.user, client)
