"""The topic space: who subscribed to what, who gets a message, what is retained.

A published message waits in the open batch. Messages that go to the same receivers one after the other share one: it
is encoded once for each group of receivers and put into each outbox once. At the end of the turn handlers are drained
and every outbox that got something is flushed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from hubbub import limits
from hubbub.bounds import DEFAULTS, Bounds
from hubbub.errors import BadFilter, BadTopic, Refusal
from hubbub.events import Request, Subscribe
from hubbub.kernel.alarms import Alarms
from hubbub.kernel.connection.slow_consumers import SlowConsumers
from hubbub.kernel.ingress.sources import Sources
from hubbub.kernel.routing.requests import PendingReply
from hubbub.kernel.routing.retained import Retained
from hubbub.kernel.routing.routes import NOWHERE, Route
from hubbub.kernel.routing.share_groups import SharedSubscriptions
from hubbub.kernel.routing.sys_topics import SYSTEM, SysTopics
from hubbub.kernel.routing.trie import Entry, Trie
from hubbub.kernel.sessions.presence import PresenceTable
from hubbub.kernel.sessions.registry import ClientRegistry
from hubbub.kernel.sessions.session import REPLIES, Batch, Encoding, Receiver, Session, Subscription
from hubbub.limits import BATCH_BYTES, BATCH_MESSAGES
from hubbub.message import Message
from hubbub.topics import is_wildcard, unshared

RESERVED = ("$SYS", "$hubbub")  # what only the hub itself says


class Flushable(Protocol):
    """What gets a turn at the end of each turn in which it asked for one."""

    def flush(self) -> None: ...


class SessionWatcher(Protocol):
    """Who wants to know of sessions that come and go."""

    def joined(self, session: Session) -> None: ...
    def left(self, session: Session) -> None: ...


class Counters:
    """What an operator wants to know, in messages, sessions and events since the start."""

    __slots__ = (
        "published", "delivered", "unrouted", "dropped", "uncarried", "refused", "unanswered", "failed", "links",
        "published_bytes", "delivered_bytes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.published = 0  # messages taken from clients and handlers
        self.delivered = 0  # messages put into outboxes and inboxes
        self.unrouted = 0  # of those published, messages that nobody was subscribed to
        self.dropped = 0  # messages that a full outbox or inbox lost
        self.uncarried = 0  # messages that a receiver's dialect or transport can't carry
        self.refused = 0  # events answered with a Refusal
        self.unanswered = 0  # replies whose receiver has gone or can't take them
        self.failed = 0  # exceptions in plugins
        self.links = 0  # links opened
        self.published_bytes = 0  # of payload, of the messages that are published
        self.delivered_bytes = 0  # of payload, of the messages that are delivered


class Hub:
    """One topic space.

    wake  is called once a turn, when something waits for its end: it must have `flush` called then
    wall  tells the Unix time in seconds; now: the monotonic time in seconds
    bounds  what an operator may set; see `bound`
    arm   must have `alarms.ring` called at that monotonic time
    failed  attribute: is told of an exception that a dialect raised, to log it
    traced  attribute: is told of each link when it gets a dialect, while somebody traces
    """

    def __init__(
        self,
        wake: Callable[[], object],
        wall: Callable[[], float],
        now: Callable[[], float],
        arm: Callable[[float], object],
        retained: Retained | None = None,
        bounds: Bounds = DEFAULTS,
    ) -> None:
        self.now = now
        self.alarms = Alarms(arm)
        self.bounds = bounds
        self.retained = Retained(bounds.retained_messages, bounds.retained_bytes) if retained is None else retained
        self.backlog = SlowConsumers(self)
        self.sources = Sources(lambda: self.bounds, now)
        self.counters = Counters()
        self.presences = PresenceTable(self)
        self.clients = ClientRegistry(self)
        self.shared = SharedSubscriptions(self)
        self.system = SysTopics(self)
        self._own = False  # what is published is the hub's own word
        self.sessions: set[Session] = set()
        self.watchers: list[SessionWatcher] = []
        self.inboxes: list[Flushable] = []
        self.outboxes: list[Flushable] = []
        self.failed: Callable[[Exception, Session | None], object] = _in_silence
        self.traced: Callable[[Any], object] | None = None
        self._wake = wake
        self.wall = wall
        self._awake = False
        self._time = 0.0
        self._trie = Trie()
        self._version = 0
        self.subscriptions = 0
        self._topics: dict[str, Route] = {}
        self._routes: dict[tuple[Entry, ...], Route] = {}
        self._receivers = 0  # of all remembered routes, and of some that are gone
        self._encodings: dict[tuple[Any, ...], Encoding] = {}  # of those that a subscription uses
        self.requests: dict[str, PendingReply] = {}  # that wait for a reply, by its topic
        self._open = NOWHERE
        self._sender: Session | None = None
        self._waiting: list[Message] = []
        self._waiting_size = 0

    @property
    def routed(self) -> int:
        """How many topics there are whose way is remembered."""
        return len(self._topics)

    def bound(self, bounds: Bounds) -> None:
        """Take other bounds from now on; what is there already stays."""
        self.bounds = bounds
        self.retained.max_messages, self.retained.max_bytes = bounds.retained_messages, bounds.retained_bytes

    # Sessions and subscriptions

    def join(self, session: Session) -> None:
        """Welcome a session."""
        self.sessions.add(session)
        for watcher in self.watchers:
            watcher.joined(session)

    def leave(self, session: Session) -> None:
        """Forget a session and its subscriptions."""
        if session not in self.sessions:
            return
        self.commit()
        self.sessions.discard(session)
        for filter in list(session.subscriptions or ()):
            self._drop(session, filter)
        for watcher in self.watchers:
            watcher.left(session)

    def subscribe(
        self, session: Session, wish: Subscribe, encoding: Encoding, receiver: Receiver
    ) -> Iterator[Message | None]:
        """Let what matches `wish.filter` come to `box`; a second time replaces the first.

        Returns the retained messages that match, to be delivered after the answer; none for `$share/GROUP/FILTER`.
        Raises Refusal: quota, or a shared filter that isn't well formed.
        """
        self.commit()
        mine = session.subscriptions
        if mine is None:
            mine = session.subscriptions = {}
        filter = unshared(wish.filter)
        shared = filter != wish.filter
        if wish.filter not in mine:
            bounds = self.bounds
            if len(mine) >= bounds.subscriptions:
                raise Refusal("quota", f"one client may have {bounds.subscriptions} subscriptions")
            if self.subscriptions + shared >= bounds.all_subscriptions:  # a group has one of its own
                raise Refusal("quota", f"all clients together may have {bounds.all_subscriptions} subscriptions")
            if filter.count("/") >= bounds.topic_levels:
                raise BadFilter(f"it has more than {bounds.topic_levels} levels")
            levels = self._trie.cost(filter)
            if session.levels + levels > limits.SUBSCRIPTION_LEVELS:
                raise Refusal("quota", f"one client's wildcards may stand among {limits.SUBSCRIPTION_LEVELS} levels")
            if self._trie.levels + levels > limits.SUBSCRIPTION_LEVELS_ALL:
                raise Refusal("quota", "all clients together have as deep filters with wildcards as they may")
            if shared:
                self.shared.open(wish.filter, filter, receiver)
            self.subscriptions += 1
            session.levels += levels
        else:
            self._release(mine[wish.filter].encoding)
        encoding = self._encodings.setdefault(encoding.key, encoding)
        encoding.uses += 1
        subscription = mine[wish.filter] = Subscription(session, wish, encoding, receiver)
        system = filter.startswith(SYSTEM)
        if system:
            self.system.begin()
        if shared:
            self.shared.join(wish.filter, subscription)
            return iter(())
        entry = self._trie.get(filter)
        if entry is None:
            entry = self._trie.add(filter)
            self._forget(filter)
        entry.subscribers[session] = subscription
        entry.version += 1
        self._version += 1
        return self.system.match(filter) if system else self.retained.match(filter)

    def hand_over(
        self, old: Session, session: Session, wish: Subscribe, encoding: Encoding, receiver: Receiver
    ) -> None:
        """Let another session have the subscription of `old` to `wish.filter`: there are as many as before."""
        self.commit()
        self.unsubscribe(session, wish.filter)
        if session.subscriptions is None:
            session.subscriptions = {}
        assert old.subscriptions is not None
        self._release(old.subscriptions.pop(wish.filter).encoding)
        encoding = self._encodings.setdefault(encoding.key, encoding)
        encoding.uses += 1
        subscription = session.subscriptions[wish.filter] = Subscription(session, wish, encoding, receiver)
        filter = unshared(wish.filter)
        levels = self._trie.cost(filter)
        old.levels -= levels
        session.levels += levels
        if filter != wish.filter:
            self.shared.join(wish.filter, subscription)
            self.shared.leave(wish.filter, old)
            return
        entry = self._trie.get(filter)
        assert entry is not None
        del entry.subscribers[old]
        entry.subscribers[session] = subscription
        entry.version += 1
        self._version += 1

    def unsubscribe(self, session: Session, filter: str) -> None:
        """End one subscription; none is none."""
        if session.subscriptions and filter in session.subscriptions:
            self.commit()
            self._drop(session, filter)

    def _drop(self, session: Session, filter: str) -> None:
        assert session.subscriptions is not None
        self._release(session.subscriptions.pop(filter).encoding)
        self.subscriptions -= 1
        own = unshared(filter)
        session.levels -= self._trie.cost(own)
        if own != filter:
            self.shared.leave(filter, session)
            return
        self._version += 1
        entry = self._trie.get(filter)
        assert entry is not None
        del entry.subscribers[session]
        entry.version += 1
        if not entry.subscribers:
            self._trie.remove(filter)
            self._forget(filter)

    def _release(self, encoding: Encoding) -> None:
        """One subscription less uses it."""
        encoding.uses -= 1
        if not encoding.uses:
            del self._encodings[encoding.key]

    def _forget(self, filter: str) -> None:
        """A filter has come or gone: topics that it matches go another way from now on."""
        if is_wildcard(filter):
            self._forget_all()
        elif filter in self._topics:
            entries = self._topics.pop(filter).entries
            if entries and entries[0].filter == filter:
                self._routes.pop(entries, None)

    def _forget_all(self) -> None:
        self._topics.clear()
        self._routes.clear()
        self._receivers = 0

    def encoding(
        self,
        encode: Callable[[Message, Any], bytes | None],
        form: Any,
        wrap: Callable[[bytes], bytes] | None = None,
        mount: str = "",
        stream: bool = True,
        full: str | None = None,
    ) -> Encoding:
        """Return the Encoding of these parts: the one of the subscriptions that have it, which are served together."""
        key = (encode, form, wrap, mount, stream, full)
        return self._encodings.get(key) or Encoding(*key)

    # Messages

    def publish(self, message: Message) -> int:
        """Send `message` on its way; `message.sender` is its Session or None. Returns how many sessions it goes to.

        Raises Refusal: a reserved topic, or no room for a retained message.
        """
        if not self._awake:
            self.schedule_flush()
        topic = message.topic
        message.time = self._time
        route = self._topics.get(topic)
        if route is None or route.checked != self._version:
            route = self._route(topic, route)
        if message.retain and not topic.startswith(REPLIES):
            self.retained.keep(message)
        if route is not self._open or (route.quiet and message.sender is not self._sender):
            self.commit()
            self._open = route
            self._sender = message.sender
        self._waiting.append(message)
        self._waiting_size += len(message.payload)
        if self._waiting_size > BATCH_BYTES or len(self._waiting) >= BATCH_MESSAGES:
            self.commit()
        return route.reaches(message.sender) if route.quiet else route.receiver_count

    def say(self, message: Message) -> None:
        """Publish what the hub itself has to say, on a topic that is RESERVED."""
        self.commit()  # or what waits could bring a client's will here, under the hub's own name
        self._own = True
        try:
            self.publish(message)
        finally:
            self._own = False

    def listened(self, topic: str) -> bool:
        """Tell whether anybody is subscribed to a topic."""
        return bool(self._trie.match(topic))

    def _route(self, topic: str, route: Route | None) -> Route:
        if route is None:
            if topic.count("/") >= self.bounds.topic_levels:
                raise BadTopic(f"it has more than {self.bounds.topic_levels} levels")
            if not self._own and topic.partition("/")[0] in RESERVED:
                raise Refusal("not-authorized", f"{topic.partition('/')[0]} is for the hub itself")
            if len(self._topics) >= limits.MATCH_CACHE:
                self._forget_all()
            entries = self._trie.match(topic)
            route = self._routes.get(entries) or Route(entries)
            if len(topic) <= limits.MATCH_CACHE_TOPIC and not topic.startswith(REPLIES) and not self._own:
                self._topics[topic] = self._routes[entries] = route
        if route.checked != self._version:
            self.commit()  # what waits goes to those who were there when it came
            self._receivers -= route.receiver_count
            route.refresh(self._version)
            self._receivers += route.receiver_count
            if self._receivers > limits.MATCH_CACHE_RECEIVERS:
                self._forget_all()
        return route

    def commit(self) -> None:
        """Encode the open batch and put it into the outboxes."""
        messages, route = self._waiting, self._open
        if not messages:
            return
        size = self._waiting_size
        self._waiting = []
        self._waiting_size = 0
        self._open = NOWHERE
        counters = self.counters
        counters.published += len(messages)
        counters.published_bytes += size
        if not route.groups:
            counters.unrouted += len(messages)
        for group in route.groups:
            encoding = group.encoding
            try:
                carried, frames = encoding.frames(messages)
                batch = Batch(carried, frames, encoding.stream, encoding.full)
            except Exception:  # noqa: BLE001  a plugin's dialect
                carried, frames = self.encode_each(encoding, messages)
                batch = Batch(carried, frames, encoding.stream, encoding.full)
            receivers = group.receivers
            if group.quiet is not None and self._sender in group.quiet:
                own = group.quiet[self._sender]
                receivers = [receiver for receiver in receivers if receiver is not own]
            if frames:
                counters.delivered += len(frames) * len(receivers)
                counters.delivered_bytes += size * len(receivers)
                for receiver in receivers:
                    receiver.put(batch)
            if len(frames) < len(messages):
                missed = len(messages) - len(frames)
                counters.uncarried += missed * len(receivers)
                for receiver in receivers:
                    receiver.miss(missed)

    def encode_each(self, encoding: Encoding, messages: Iterable[Message]) -> tuple[list[Message], list[bytes]]:
        """Encode what can be; a message that the dialect fails on is one that it can't carry."""
        carried: list[Message] = []
        frames: list[bytes] = []
        for message in messages:
            try:
                one, frame = encoding.frames((message,))
                b"".join(frame)  # or it fails together with those of others
            except Exception as error:  # noqa: BLE001  a plugin's dialect
                self.fail(error)
            else:
                carried += one
                frames += frame
        return carried, frames

    def fail(self, error: Exception, session: Session | None = None) -> None:
        """Count and tell what a plugin's dialect has raised, and for which client if it was for one."""
        self.counters.failed += 1
        self.failed(error, session)

    def schedule_flush(self) -> None:
        """See to it that this turn has an end."""
        if not self._awake:
            self._awake = True
            self._time = self.wall()
            self._wake()

    def flush(self) -> None:
        """End the turn: drain the handlers, then give each link its one write.

        What raises is a plugin: it loses its turn, and whoever stands behind it gets theirs in the next.
        """
        try:
            self.commit()
            if self.inboxes:
                self._drain()
        finally:
            # From here on a new turn begins: what a flush causes is flushed at the end of that one.
            self._awake = False
            self.clients.store.commit()  # where it fails nobody is told anything
            rest, self.outboxes = iter(self.outboxes), []
            try:
                for outbox in rest:
                    outbox.flush()
            finally:
                self.outboxes += rest
                if self.inboxes or self.outboxes or self._waiting:
                    self.schedule_flush()

    def _drain(self) -> None:
        for _ in range(limits.HOPS + 1):
            if not self.inboxes:
                break
            rest, self.inboxes = iter(self.inboxes), []
            try:
                for inbox in rest:
                    inbox.flush()
            finally:
                self.inboxes += rest
            self.commit()

    # Requests

    def request(self, message: Request, done: Callable[[Message | Refusal], None]) -> None:
        """Publish `message` with a reply topic of its own; `done` is called once, with the reply or a Refusal."""
        if len(self.requests) >= limits.REQUESTS:
            raise Refusal("unavailable", f"{limits.REQUESTS} requests wait for a reply already")
        waiter = PendingReply(self, done)
        message.reply_to = waiter.topic
        try:
            if not self.publish(message):
                raise Refusal("nobody", "nobody is subscribed to that topic")
        except Refusal:
            waiter.end()
            raise
        waiter.wait(min(message.timeout, limits.REQUEST_SECONDS_MAX))


def _in_silence(error: Exception, session: Session | None) -> None:
    pass
