"""The topic space: who subscribed to what, who gets a message, what is retained.

A published message waits in the open batch. Messages that go to the same receivers one after the other share one: it
is encoded once for each group of receivers and put into each outbox once. At the end of the turn handlers are drained
and every outbox that got something is flushed once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol
from weakref import WeakValueDictionary

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Request, Subscribe
from hubbub.kernel.alarms import Alarms
from hubbub.kernel.retained import Retained
from hubbub.kernel.session import REPLIES, Batch, Box, Encoding, Session, Subscription
from hubbub.kernel.trie import Entry, Trie
from hubbub.limits import BATCH_BYTES, BATCH_MESSAGES
from hubbub.message import Message
from hubbub.topics import is_wildcard

RESERVED = ("$SYS", "$hubbub")  # what only the hub itself says


class Flushed(Protocol):
    """What gets a turn at the end of each turn in which it asked for one."""

    def flush(self) -> None: ...


class Watcher(Protocol):
    """Who wants to know of sessions that come and go."""

    def joined(self, session: Session) -> None: ...
    def left(self, session: Session) -> None: ...


class Counters:
    """What an operator wants to know, in messages, sessions and events since the start."""

    __slots__ = ("published", "delivered", "dropped", "uncarried", "refused", "unanswered", "failed", "links")

    def __init__(self) -> None:
        self.published = 0  # messages taken from clients and handlers
        self.delivered = 0  # messages put into outboxes and inboxes
        self.dropped = 0  # messages that a full outbox or inbox lost
        self.uncarried = 0  # messages that a receiver's dialect or transport can't carry
        self.refused = 0  # events answered with a Refusal
        self.unanswered = 0  # replies whose receiver has gone or can't take them
        self.failed = 0  # exceptions in plugins
        self.links = 0  # links opened


class _Group:
    """The receivers of a route that share an encoding."""

    __slots__ = ("encoding", "boxes", "quiet")

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.boxes: list[Box] = []
        self.quiet: dict[Session, Box] | None = None  # of them who doesn't want its own messages


class _Route:
    """Who gets what matches these entries. Topics that match the same entries share one."""

    __slots__ = ("entries", "versions", "checked", "groups", "receivers", "quiet")

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.versions: tuple[int, ...] = ()
        self.checked = -1
        self.groups: list[_Group] = []
        self.receivers = 0
        self.quiet = False

    def refresh(self, version: int) -> None:
        """Look at the subscribers again where they have changed."""
        self.checked = version
        versions = tuple([entry.version for entry in self.entries])
        if versions != self.versions:
            self.versions = versions
            self._gather()

    def _gather(self) -> None:
        if len(self.entries) == 1:
            chosen = self.entries[0].subscribers
        else:  # a session gets one copy, by the filter that it subscribed to with the fewest wildcards
            chosen = {}
            for entry in sorted(self.entries, key=_wildness, reverse=True):
                chosen.update(entry.subscribers)
        groups: dict[tuple[Encoding, bool], _Group] = {}
        for session, subscription in chosen.items():
            key = (subscription.encoding, subscription.wish.echo)
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Group(subscription.encoding)
                if not subscription.wish.echo:
                    group.quiet = {}
            group.boxes.append(subscription.box)
            if group.quiet is not None:
                group.quiet[session] = subscription.box
        self.groups = list(groups.values())
        self.receivers = len(chosen)
        self.quiet = any(group.quiet is not None for group in self.groups)

    def reaches(self, sender: Session | None) -> int:
        """How many sessions a message of `sender` goes to."""
        return self.receivers - any(group.quiet is not None and sender in group.quiet for group in self.groups)


def _wildness(entry: Entry) -> tuple[int, bool]:
    return entry.filter.count("+") + entry.filter.endswith("#"), entry.filter.endswith("#")


_NOWHERE = _Route(())


class Hub:
    """One topic space.

    wake  is called once a turn, when something waits for its end: it must have `flush` called then
    wall  tells the Unix time in seconds; now: the monotonic time in seconds
    arm   must have `alarms.ring` called at that monotonic time
    failed  attribute: is told of an exception that a dialect raised, to log it
    """

    def __init__(
        self,
        wake: Callable[[], object],
        wall: Callable[[], float],
        now: Callable[[], float],
        arm: Callable[[float], object],
        retained: Retained | None = None,
    ) -> None:
        self.now = now
        self.alarms = Alarms(arm)
        self.retained = Retained() if retained is None else retained
        self.counters = Counters()
        self.sessions: set[Session] = set()
        self.watchers: list[Watcher] = []
        self.inboxes: list[Flushed] = []
        self.outboxes: list[Flushed] = []
        self.failed: Callable[[Exception], object] = _in_silence
        self._wake = wake
        self._wall = wall
        self._awake = False
        self._time = 0.0
        self._trie = Trie()
        self._version = 0
        self._subscriptions = 0
        self._topics: dict[str, _Route] = {}
        self._routes: dict[tuple[Entry, ...], _Route] = {}
        self._receivers = 0  # of all remembered routes, and of some that are gone
        self._encodings: WeakValueDictionary[tuple[Any, ...], Encoding] = WeakValueDictionary()
        self._requests = 0
        self._open = _NOWHERE
        self._sender: Session | None = None
        self._waiting: list[Message] = []
        self._waiting_size = 0

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

    def subscribe(self, session: Session, wish: Subscribe, encoding: Encoding, box: Box) -> Iterator[Message | None]:
        """Let what matches `wish.filter` come to `box`; a second time replaces the first.

        Returns the retained messages that match, to be delivered after the answer. Raises Refusal (quota).
        """
        self.commit()
        mine = session.subscriptions
        if mine is None:
            mine = session.subscriptions = {}
        if wish.filter not in mine:
            if len(mine) >= limits.SUBSCRIPTIONS:
                raise Refusal("quota", f"one client may have {limits.SUBSCRIPTIONS} subscriptions")
            if self._subscriptions >= limits.SUBSCRIPTIONS_ALL:
                raise Refusal("quota", f"all clients together may have {limits.SUBSCRIPTIONS_ALL} subscriptions")
            levels = self._trie.cost(wish.filter)
            if session.levels + levels > limits.SUBSCRIPTION_LEVELS:
                raise Refusal("quota", f"one client's wildcards may stand among {limits.SUBSCRIPTION_LEVELS} levels")
            if self._trie.levels + levels > limits.SUBSCRIPTION_LEVELS_ALL:
                raise Refusal("quota", "all clients together have as deep filters with wildcards as they may")
            self._subscriptions += 1
            session.levels += levels
        entry = self._trie.get(wish.filter)
        if entry is None:
            entry = self._trie.add(wish.filter)
            self._forget(wish.filter)
        mine[wish.filter] = entry.subscribers[session] = Subscription(session, wish, encoding, box)
        entry.version += 1
        self._version += 1
        return self.retained.match(wish.filter)

    def unsubscribe(self, session: Session, filter: str) -> None:
        """End one subscription; none is none."""
        if session.subscriptions and filter in session.subscriptions:
            self.commit()
            self._drop(session, filter)

    def _drop(self, session: Session, filter: str) -> None:
        assert session.subscriptions is not None
        del session.subscriptions[filter]
        self._subscriptions -= 1
        session.levels -= self._trie.cost(filter)
        self._version += 1
        entry = self._trie.get(filter)
        assert entry is not None
        del entry.subscribers[session]
        entry.version += 1
        if not entry.subscribers:
            self._trie.remove(filter)
            self._forget(filter)

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
        """Return the one Encoding of these parts, so that all who use it are served together."""
        key = (encode, form, wrap, mount, stream, full)
        found = self._encodings.get(key)
        if found is None:
            found = self._encodings[key] = Encoding(*key)
        return found

    # Messages

    def publish(self, message: Message) -> int:
        """Send `message` on its way; `message.sender` is its Session or None. Returns how many sessions it goes to.

        Raises Refusal: a reserved topic, or no room for a retained message.
        """
        if not self._awake:
            self.rouse()
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
        return route.reaches(message.sender) if route.quiet else route.receivers

    def _route(self, topic: str, route: _Route | None) -> _Route:
        if route is None:
            if topic.partition("/")[0] in RESERVED:
                raise Refusal("not-authorized", f"{topic.partition('/')[0]} is for the hub itself")
            if len(self._topics) >= limits.MATCH_CACHE:
                self._forget_all()
            entries = self._trie.match(topic)
            route = self._routes.get(entries) or _Route(entries)
            if len(topic) <= limits.MATCH_CACHE_TOPIC and not topic.startswith(REPLIES):
                self._topics[topic] = self._routes[entries] = route
        if route.checked != self._version:
            self.commit()  # what waits goes to those who were there when it came
            self._receivers -= route.receivers
            route.refresh(self._version)
            self._receivers += route.receivers
            if self._receivers > limits.MATCH_CACHE_RECEIVERS:
                self._forget_all()
        return route

    def commit(self) -> None:
        """Encode the open batch and put it into the outboxes."""
        messages, route = self._waiting, self._open
        if not messages:
            return
        self._waiting = []
        self._waiting_size = 0
        self._open = _NOWHERE
        counters = self.counters
        counters.published += len(messages)
        for group in route.groups:
            encoding = group.encoding
            try:
                carried, frames = encoding.frames(messages)
                batch = Batch(carried, frames, encoding.stream, encoding.full)
            except Exception:  # noqa: BLE001  a plugin's dialect
                carried, frames = self.encode_each(encoding, messages)
                batch = Batch(carried, frames, encoding.stream, encoding.full)
            boxes = group.boxes
            if group.quiet is not None and self._sender in group.quiet:
                own = group.quiet[self._sender]
                boxes = [box for box in boxes if box is not own]
            if frames:
                counters.delivered += len(frames) * len(boxes)
                for box in boxes:
                    box.put(batch)
            if len(frames) < len(messages):
                missed = len(messages) - len(frames)
                counters.uncarried += missed * len(boxes)
                for box in boxes:
                    box.miss(missed)

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

    def fail(self, error: Exception) -> None:
        """Count and tell what a plugin's dialect has raised."""
        self.counters.failed += 1
        self.failed(error)

    def rouse(self) -> None:
        """See to it that this turn has an end."""
        if not self._awake:
            self._awake = True
            self._time = self._wall()
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
            rest, self.outboxes = iter(self.outboxes), []
            try:
                for outbox in rest:
                    outbox.flush()
            finally:
                self.outboxes += rest
                if self.inboxes or self.outboxes or self._waiting:
                    self.rouse()

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
        if self._requests >= limits.REQUESTS:
            raise Refusal("unavailable", f"{limits.REQUESTS} requests wait for a reply already")
        waiter = _Waiter(self, done)
        message.reply_to = waiter.topic
        try:
            if not self.publish(message):
                raise Refusal("nobody", "nobody is subscribed to that topic")
        except Refusal:
            waiter.end()
            raise
        self.alarms.at(waiter, self.now() + min(message.timeout, limits.REQUEST_SECONDS_MAX))

    def waiting_requests(self, change: int) -> None:
        """Count requests that wait for a reply."""
        self._requests += change


class _Waiter:
    """One request: a session with a single subscription that gets a single message."""

    def __init__(self, hub: Hub, done: Callable[[Message | Refusal], None]) -> None:
        self.topic = REPLIES + secrets.token_urlsafe(16)
        self.alarm_at: float | None = None
        self._hub = hub
        self._done: Callable[[Message | Refusal], None] | None = done
        self._result: Message | None = None
        self._session = Session("", 0, "hub", "request")
        self._session.subscriptions = {}
        hub.subscribe(self._session, Subscribe(self.topic), hub.encoding(as_it_is, None), self)
        hub.waiting_requests(+1)

    def put(self, batch: Batch) -> None:
        if self._result is None:
            self._result = batch.messages[0]
            self._hub.inboxes.append(self)

    def miss(self, count: int) -> None:
        pass

    def flush(self) -> None:
        done, result = self._done, self._result
        if done is not None and result is not None:
            self.end()
            done(result)

    def alarm(self, now: float) -> None:
        done = self._done
        if done is not None:
            self.end()
            done(Refusal("timeout", "nobody replied in time"))

    def end(self) -> None:
        self._done = self._result = None
        self._hub.alarms.cancel(self)
        self._hub.unsubscribe(self._session, self.topic)
        self._hub.waiting_requests(-1)


def _in_silence(error: Exception) -> None:
    pass


def as_it_is(message: Message, form: None) -> bytes:
    """Encode for those who take messages themselves: handlers, requests."""
    return message.payload
