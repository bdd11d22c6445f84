"""Publishing: the route of each topic, and the open batch of messages that take the same route.

A published message waits in the open batch. Consecutive messages with the same receivers share one batch, which is
encoded once for each encoding among its receivers and put into each receiver once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from hubbub import limits
from hubbub.errors import BadTopic, Refusal
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.groups import ReceiverGroup, SplicedGroup
from hubbub.kernel.routing.reserved import RESERVED, is_local
from hubbub.kernel.routing.retained import Retained
from hubbub.kernel.routing.routes import NOWHERE, Route
from hubbub.kernel.routing.subscription import AwayLog, Encoding, Keeper, Subscription, SubscriptionObserver
from hubbub.kernel.routing.trie import Entry, Trie
from hubbub.kernel.sessions.session import REPLIES
from hubbub.kernel.turn import Turn
from hubbub.limits import BATCH_BYTES, RECEIVERS_AT_ONCE
from hubbub.message import Message
from hubbub.publish import SelectivePublish
from hubbub.topics import is_wildcard


class Router:
    """Brings each message to the receivers of its topic.

    trie  the filters of all subscriptions
    watch  attribute: called with the messages of each batch, or None
    searched  whether a route had to be searched for, its receivers collected, or much was put into them, since that was
              last set to False
    logs  what waits for sessions without a link, by the entries of its route
    replies  attribute: the routes of topics to which no client may subscribe, each with one receiver
    observer  attribute: gets each subscription that begins or ends, or None
    once  attribute: tells the message that is published now from all others at all nodes, if it has an idempotency key
    """

    def __init__(self, turn: Turn, retained: Retained) -> None:
        self.trie = Trie(limits.MATCH_LEVELS)
        self._turn = turn
        self._retained = retained
        self.searched = False
        self.watch: Callable[[list[Message]], object] | None = None
        self.logs: dict[tuple[Entry, ...], AwayLog] = {}
        self.observer: SubscriptionObserver | None = None
        self.once = b""
        self.replies: dict[str, Route] = {}
        self._tap: Entry | None = None  # of what gets all messages
        self._own = False  # the hub itself publishes
        self._version = 0  # of all subscriptions
        self._topics: dict[str, Route] = {}
        self._routes: dict[tuple[Entry, ...], Route] = {}
        self._cost = 0  # of all remembered routes, and of some that are gone
        self._open = NOWHERE  # the route of the open batch
        self._sender: Any = None
        self._waiting: list[Message] = []
        self._waiting_bytes = 0

    @property
    def routed(self) -> int:
        """How many topics have a remembered route."""
        return len(self._topics)

    # Subscriptions

    def add(self, filter: str, subscription: Subscription) -> None:
        """Route what `filter` matches to a subscription too."""
        entry = self.trie.get(filter)
        if entry is None:
            entry = self.trie.add(filter)
            self._forget(filter)
        entry.subscribers[subscription] = None
        entry.version += 1
        self._version += 1
        if self.observer is not None:
            self.observer.added(filter, subscription)

    def replace(self, filter: str, old: Subscription, new: Subscription) -> None:
        """Let another subscription have the routes of `old`."""
        entry = self.trie.get(filter)
        assert entry is not None
        del entry.subscribers[old]
        entry.subscribers[new] = None
        entry.version += 1
        self._version += 1

    def remove(self, filter: str, subscription: Subscription) -> None:
        """Route nothing to a subscription any more."""
        entry = self.trie.get(filter)
        assert entry is not None
        del entry.subscribers[subscription]
        entry.version += 1
        self._version += 1
        if not entry.subscribers and entry.keeper is None:
            self.trie.remove(filter)
            self._forget(filter)
        if self.observer is not None:
            self.observer.removed(filter, subscription)

    def tap(self, subscription: Subscription | None) -> None:
        """Route all messages that clients may publish to one more subscription, behind all others; None: to none."""
        self.commit()
        self._tap = None
        if subscription is not None:
            self._tap = Entry("#")
            self._tap.wildness = limits.TOPIC_BYTES
            self._tap.subscribers[subscription] = None
        self._forget_all()

    def _match(self, topic: str) -> tuple[Entry, ...]:
        entries = self.trie.match(topic)
        return entries if self._tap is None or is_local(topic) else (*entries, self._tap)

    def keep(self, filter: str, keeper: Keeper | None) -> None:
        """Have what `filter` matches kept in the history from now on; None: no more."""
        entry = self.trie.get(filter) or self.trie.add(filter)
        entry.keeper = keeper
        if keeper is None and not entry.subscribers:
            self.trie.remove(filter)
        self._forget_all()

    def _forget(self, filter: str) -> None:
        """Look up the topics that `filter` matches again."""
        if is_wildcard(filter):
            self._forget_all()
        elif filter in self._topics:
            entries = self._topics.pop(filter).entries
            if entries and entries[0].filter == filter:
                self._routes.pop(entries, None)

    def _forget_all(self) -> None:
        self._topics.clear()
        self._routes.clear()
        self._cost = 0

    def has_subscribers(self, topic: str) -> bool:
        """Return whether any subscription matches a topic."""
        return any(entry.subscribers for entry in self.trie.match(topic))

    def has_answerer(self, topic: str) -> bool:
        """Return whether any subscription that matches a topic may answer; it looks at all of them."""
        route = self._topics.get(topic) or Route(self._match(topic))
        return topic in self.replies or route.has_answerer()

    def is_durable(self, topic: str) -> bool:
        """Return whether a store may keep messages on a topic, for a session, a group or the history."""
        route = self._topics.get(topic)
        return route is None or route.durable

    def needs_store(self, topic: str) -> bool:
        """Return whether a message on a topic would be kept, for the history or one of all subscribers."""
        entries = self.trie.match(topic)
        those = (one.receiver for entry in entries for one in entry.subscribers)
        return any(entry.keeper is not None for entry in entries) or any(
            getattr(receiver, "durable", False) for receiver in those
        )

    # Messages

    def is_shared(self, message: Message, once: bool = False) -> bool:
        """Return whether a message, `once`: one with an idempotency key, goes into a stream (cluster_router)."""
        return False

    def publish(self, message: Message) -> int:
        """Publish `message`, whose `sender` is its Session or None. Returns how many sessions it goes to.

        Raises Refusal: a reserved topic, or no room for a retained message.
        """
        turn = self._turn
        if not turn.scheduled:
            turn.schedule_flush()
        topic = message.topic
        message.time = turn.time
        route = self._topics.get(topic)
        if route is None or route.checked != self._version:
            route = self._route(topic, route)
        if message.retain or route.keeper is not None:
            self._keep(message, route)
        sender, quiet = message.sender, route.quiet
        if route is not self._open or (quiet and sender is not self._sender and route.parts(sender, self._sender)):
            self.commit()
            self._open, self._sender = route, sender
        waiting = self._waiting
        waiting.append(message)
        self._waiting_bytes = size = self._waiting_bytes + len(message.payload)
        if size > BATCH_BYTES or len(waiting) >= route.most:
            self.commit()
            self.searched = True
        return route.sessions - (sender in quiet) if quiet else route.sessions

    def _keep(self, message: Message, route: Route) -> None:
        """Keep a message as the retained one of its topic, and in the history. Raises Refusal."""
        keeper = route.keeper
        if keeper is not None:
            keeper.check(message)
        if message.retain and not message.topic.startswith(REPLIES):
            self._retained.keep(message)
        if keeper is not None:
            if route is not self._open:
                self.commit()  # or a store would number the messages before this one behind it
            keeper.append(message)

    def publish_to(self, message: Message, chosen: Callable[[Any], bool], private: bool = True) -> int:
        """Publish `message` to the sessions that are chosen; a `private` one isn't kept.

        Returns how many sessions these are. Raises Refusal.
        """
        turn, topic = self._turn, message.topic
        turn.schedule_flush()
        message.time = turn.time
        route = self._topics.get(topic)
        if route is None or route.checked != self._version:
            route = self._route(topic, route)
        if not private:
            self._keep(message, route)
        self.commit()
        turn.counters.published += 1
        turn.counters.published_bytes += len(message.payload)
        sessions, groups = route.chosen(chosen if self._tap is None else partial(self._is_chosen, chosen, private))
        for group in groups:
            self._deliver(group, [message], len(message.payload))
        self.searched |= route.sessions > RECEIVERS_AT_ONCE
        return sessions

    def _is_chosen(self, chosen: Callable[[Any], bool], private: bool, session: Any) -> bool:
        """Return whether a session gets a message for some: what gets all messages gets it unless it is private."""
        assert self._tap is not None
        if any(one.session is session for one in self._tap.subscribers):
            return not private
        return chosen(session)

    def publish_any(self, message: Message) -> int:
        """Publish `message`, to the sessions that a SelectivePublish names. Returns how many it goes to."""
        if type(message) is SelectivePublish:
            return self.publish_to(message, message.chosen, message.private)
        return self.publish(message)

    def publish_own(self, message: Message) -> None:
        """Publish what the hub itself has to say, on a RESERVED topic."""
        self.commit()  # or the open batch could bring a client's will here, under the hub's own name
        self._own = True
        try:
            self.publish(message)
        finally:
            self._own = False

    def _route(self, topic: str, route: Route | None) -> Route:
        if route is None and topic in self.replies:
            return self.replies[topic].beside(self._tap)
        self.searched = True
        if route is None:
            levels = self._turn.bounds.topic_levels
            if topic.count("/") >= levels:
                raise BadTopic(f"it has more than {levels} levels")
            if not self._own and topic.partition("/")[0] in RESERVED:
                raise Refusal("not-authorized", f"{topic.partition('/')[0]} is for the hub itself")
            if len(self._topics) >= limits.MATCH_CACHE:
                self._forget_all()
            entries = self._match(topic)
            route = self._routes.get(entries) or Route(entries)
            if len(topic) <= limits.MATCH_CACHE_TOPIC and not topic.startswith(REPLIES) and not self._own:
                self._topics[topic] = self._routes[entries] = route
        if route.checked != self._version:
            self.commit()  # the open batch goes to the subscribers at the time of its messages
            before = route.cost if route.checked >= 0 else 0
            if route.refresh(self._version, limits.MATCHES + self._turn.bounds.connections):
                self._keep_once(route)
            self._cost += route.cost - before
            if self._cost > limits.MATCH_CACHE_PLACES:
                self._forget_all()
        return route

    def _keep_once(self, route: Route) -> None:
        """Let sessions without a link have a place in the log of their route, if they are many."""
        entries = route.entries
        log = route.gather_away(self.logs.get(entries), partial(self._log_changed, entries))
        if log is not None and log.places:
            self.logs[entries] = log
        else:
            self.logs.pop(entries, None)

    def _log_changed(self, entries: tuple[Entry, ...], log: AwayLog) -> None:
        """A session has left its log, and its receiver gets each message itself."""
        if not log.places and self.logs.get(entries) is log:
            del self.logs[entries]
        for entry in entries:
            entry.version += 1
        self._version += 1

    def commit(self) -> None:
        """Encode the open batch and put it into its receivers."""
        messages, route, size = self._waiting, self._open, self._waiting_bytes
        if not messages:
            return
        self._waiting = []
        self._waiting_bytes = 0
        self._open = NOWHERE
        counters = self._turn.counters
        counters.published += len(messages)
        counters.published_bytes += size
        if not route.groups and not route.spliced:
            counters.unrouted += len(messages)
        if self.watch is not None:
            self.watch(messages)
        for spliced in route.spliced:
            self._deliver_spliced(spliced, messages, size)
        for group in route.groups:
            self._deliver(group, messages, size)
        if route.sessions > RECEIVERS_AT_ONCE:
            self.searched = True

    def _deliver_spliced(self, group: SplicedGroup, messages: list[Message], size: int) -> None:
        encoding, counters = group.encoding, self._turn.counters
        visible = encoding.visible(messages) if encoding.mount else messages
        try:
            carried, pairs = encoded(encoding, visible)
        except Exception:  # noqa: BLE001  a plugin's dialect, which is to fail again for the message alone
            carried, pairs = (), []
        if pairs and len(pairs) == len(visible) and group.put(carried, pairs):
            counters.delivered += len(pairs) * group.count
            counters.delivered_bytes += size * group.count
        else:
            for one in group.groups:
                self._deliver(one, messages, size)

    def _deliver(self, group: ReceiverGroup, messages: list[Message], size: int) -> None:
        encoding, counters = group.encoding, self._turn.counters
        receivers = group.receivers if group.quiet is None else group.others(self._sender)
        if not receivers and group.quiet is not None:
            return  # all of them are the sender's own
        if encoding.mount:
            messages = encoding.visible(messages)
        try:
            carried, frames = encoded(encoding, messages)
            batch = Batch(carried, frames, encoding.stream, encoding.full)
        except Exception:  # noqa: BLE001  a plugin's dialect
            carried, frames = self.encode_each(encoding, messages)
            batch = Batch(carried, frames, encoding.stream, encoding.full)
        backlog = group.of_the_stalled(counters.stalls) if counters.stalls else None
        if backlog is not None:
            receivers = group.receivers  # without those that it has taken; a quiet group has none
        count = len(receivers) if backlog is None else len(receivers) + len(backlog.places)
        if group.log is not None:
            count += len(group.log.places)
        if frames:
            counters.delivered += len(frames) * count
            counters.delivered_bytes += size * count
            for receiver in receivers:
                receiver.put(batch)
            if backlog is not None:
                backlog.put(batch, counters.published)
            if group.log is not None and group.log.places:
                group.log.put(batch, counters.published)
        if carried is not messages and (missed := len(messages) - len(frames)):
            counters.uncarried += missed * count
            for receiver in [*receivers, *(() if backlog is None else backlog.places)]:
                receiver.miss(missed)

    def encode(self, encoding: Encoding, messages: Sequence[Message]) -> tuple[Sequence[Message], list[bytes]]:
        """Encode messages for one receiver. Returns those that could be carried, and their frames."""
        try:
            return encoded(encoding, messages)
        except Exception:  # noqa: BLE001  a plugin's dialect
            return self.encode_each(encoding, messages)

    def encode_each(self, encoding: Encoding, messages: Iterable[Message]) -> tuple[list[Message], list[bytes]]:
        """Encode each message that can be; if the dialect raises on a message, it can't carry it."""
        carried: list[Message] = []
        frames: list[bytes] = []
        for message in messages:
            try:
                one, frame = encoded(encoding, (message,))
                b"".join(frame)  # or it fails together with the frames of others
            except Exception as error:  # noqa: BLE001  a plugin's dialect
                self._turn.fail(error)
            else:
                carried += one
                frames += frame
        return carried, frames


def encoded(encoding: Encoding, messages: Sequence[Message]) -> tuple[Sequence[Message], list[bytes]]:
    """Encode each message once. Returns those that could be carried, and their frames."""
    shown, wrap = messages, encoding.wrap
    if encoding.mount:
        messages = encoding.visible(messages)
        shown = [encoding.below_mount(message) for message in messages]
    frames: Any = encoding.encode(shown, encoding.form)  # bytes, or the pairs of a SplicedGroup
    if None in frames:
        messages = [message for message, frame in zip(messages, frames, strict=True) if frame is not None]
        frames = [frame for frame in frames if frame is not None]
    if wrap is not None:
        frames = [wrap(frame) for frame in frames]
    return messages, frames
