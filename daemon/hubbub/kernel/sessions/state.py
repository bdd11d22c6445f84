"""The state of one persistent session (MQTT 5.0 section 4.1). Its methods make every change and record it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence

from hubbub import limits
from hubbub.events import Subscribe
from hubbub.kernel.history.position import given_at
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.sessions.paged_queue import PagedQueue
from hubbub.kernel.sessions.records import (
    Key,
    Progress,
    SessionRecord,
    StoredMessage,
    make_subscription,
    record_message,
    record_subscription,
)
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.sessions.store import Store
from hubbub.publish import Publish

_NOTHING_PAGED = PagedQueue()  # of all sessions that have none; `paged_count` tells


class PersistentSession:
    """One session that may outlive its link.

    owner           its Session as it was last seen; without a link that one has the subscriptions
    expiry          seconds that it lives without a link
    left            Unix seconds when its link went; None while it is there
    will            published when the link ends other than by DISCONNECT, will_delay seconds later
    subscriptions   by id, with the filters of the hub
    queue           messages that wait, in memory; paged: those behind them, in the store alone, `paged_count` of them
    inflight        messages that are with the client, by packet identifier in the order of sending
    max_bytes, full the bound of the queue in bytes, and its overflow policy
    size            bytes of queue, paged and inflight; inflight_bytes: of inflight
    received        packet identifiers of QoS 2 messages that the client may send again; released: how many it has
                    released
    dropped         messages that were lost since its client was last told how many
    number          what a durable store calls it; 0: none keeps it
    store           where it is kept
    """

    __slots__ = (
        "key", "owner", "expiry", "left", "will", "will_delay", "subscriptions", "queue", "inflight", "max_bytes",
        "full", "size", "inflight_bytes", "received", "released", "dropped", "number", "paged", "paged_count",
        "store", "_gaps", "_last", "_next", "_noted",
    )  # fmt: skip

    def __init__(self, key: Key, owner: Session, store: Store) -> None:
        self.key = key
        self.owner = owner
        self.expiry = 0.0
        self.left: float | None = None
        self.will: Publish | None = None
        self.will_delay = 0.0
        self.subscriptions: dict[Hashable, Subscribe] = {}
        self.queue: deque[InflightMessage] = deque()
        self.inflight: dict[int, InflightMessage] = {}
        self.max_bytes = limits.QUEUE_BYTES
        self.full = "drop-oldest"
        self.size = 0
        self.inflight_bytes = 0
        self.received: set[int] = set()
        self.released = 0
        self.dropped = 0
        self.number = 0
        self.paged = _NOTHING_PAGED
        self.paged_count = 0
        self._gaps: set[int] = set()  # what was dropped from the midst of the queue, see records.Progress
        self._last = 0  # of the newest message
        self._next = 1  # of the first message that was never sent; those before it are in flight, settled or dropped
        self._noted = 0  # the store asks for the progress: 1, later; 2, at the end of this turn
        self.store = store

    @property
    def recorded(self) -> bool:
        """Whether a durable store keeps it: it outlives its link."""
        return self.number != 0

    @property
    def newest(self) -> int:
        """The number of its newest message in the store, or 0."""
        return self._last

    @property
    def waits_since(self) -> float:
        """When the first message of the queue came, in Unix seconds; infinity: there is none, or it isn't known."""
        if self.queue:
            return self.queue[0].message.time
        return given_at(self.paged.first) if self.paged_count else math.inf

    # What the store keeps

    def save(self) -> None:
        """Record the fields from `owner` to `will_delay`, and the bound of the queue."""
        if self.store.durable and (
            self.expiry > 0 or self.number or (self.store.keeps_wills and self.will is not None)
        ):
            first = not self.number
            if first:  # it had no expiry until now
                self.number = self.store.begin_session(self)
            self.store.save_session(self.number, self.record())
            if first:
                for wish in self.subscriptions.values():
                    self.store.subscribe(self.number, record_subscription(wish))
                self._record_messages()

    def record(self) -> SessionRecord:
        """Return what `save` records."""
        owner, will = self.owner, self.will
        return SessionRecord(
            self.key, owner.host, owner.port, owner.transport, owner.listener, owner.groups, owner.grants,
            None if owner.holds is None else owner.mark, owner.expires, self.expiry, self.left,
            None if will is None else record_message(will), self.will_delay, self.max_bytes, self.full,
            () if owner.vouched is None else owner.vouched.certificates,
        )  # fmt: skip

    def _record_messages(self) -> None:
        """Record all messages anew."""
        for one in self.inflight.values():
            self._record_new(one)
        self._next = self._last + 1
        self._gaps.clear()
        for one in self.queue:
            self._record_new(one)
        self._note()

    def _record_new(self, one: InflightMessage) -> None:
        way = one.wish.key, one.qos, one.share
        one.number = self.store.enqueue(self.number, one.message, way, self._last)
        self._last = max(self._last, one.number)

    def _record(self, one: InflightMessage) -> None:
        """Record a message, unless the store has it since it was put off."""
        if one.number:
            self._last = max(self._last, one.number)
        else:
            self._record_new(one)

    def _note(self, qos: int = 1) -> None:
        """Have the store ask for the progress, at the end of this turn if the change is of that QoS for it."""
        if self.number:
            wanted = 2 if qos >= self.store.held_qos else 1
            if wanted > self._noted:
                self._noted = wanted
                self.store.note(self, wanted < 2)

    def progress(self) -> Progress:
        """Return how far it has come (sessions.store.Recorded)."""
        self._noted = 0
        inflight = [(one.number, one.id, one.received) for one in self.inflight.values()]
        for one in self.queue:
            if one.number >= self._next:
                self._next = one.number
                break
            inflight.append((one.number, 0, False))
        else:
            self._next = self.paged.first if self.paged_count else self._last + 1
        if self._gaps:
            self._gaps = {number for number in self._gaps if number > self._next}
        return Progress(self._next, tuple(inflight), tuple(sorted(self._gaps)), tuple(self.received), self.dropped)

    def expire(self) -> None:
        """The session is to end, and will also end with the next process: `end` waits until others have its queue."""
        self.expiry = 0.0
        self.save()

    def end(self) -> None:
        """The session has ended."""
        if self.number:
            self.store.end_session(self.number)
            self.number = 0

    # Subscriptions

    def subscribe(self, wish: Subscribe) -> None:
        """Add a subscription, or replace the one of the same id."""
        self.subscriptions[wish.key] = wish
        if self.number:
            self.store.subscribe(self.number, record_subscription(wish))

    def unsubscribe(self, id: Hashable) -> None:
        """End a subscription, if there is one of that id."""
        if self.subscriptions.pop(id, None) is not None and self.number:
            self.store.unsubscribe(self.number, id)

    # Messages from the client

    def receive(self, dedup_id: int) -> None:
        """A QoS 2 message of that packet identifier has come from the client."""
        self.received.add(dedup_id)
        self._note(2)

    def release(self, dedup_id: int) -> None:
        """The client has released that packet identifier."""
        self.received.discard(dedup_id)
        self.released += 1
        self._note(2)

    # Messages to the client

    def refuse(self, one: InflightMessage) -> None:
        """There is no room for a new message; the store may have it since it was put off."""
        if self.number and one.number:
            self._last = max(self._last, one.number)
            self._gaps.add(one.number)
            self._note()

    def enqueue(self, one: InflightMessage) -> None:
        """Put a new message at the end of the queue."""
        self.size += one.size
        if self.number:
            self._record(one)
        if self.paged_count:
            self.paged.append(one.number, one.size, one.share != "")
            self.paged_count += 1
        else:
            self.queue.append(one)

    def take(self, one: InflightMessage) -> None:
        """Put a message at the end of the queue that the store has already, if one keeps the session."""
        self.size += one.size
        if self.number and not one.number:
            self._record_new(one)
        self._last = max(self._last, one.number)
        self.queue.append(one)

    def forgo(self, number: int) -> None:
        """Messages before that number in the store aren't for it any more; its queue is empty."""
        self._last = max(self._last, number - 1)
        self._note()

    def send_new(self, one: InflightMessage) -> None:
        """Put a new message, which has an id, in flight at once, as none is queued."""
        self.size += one.size
        self._to_inflight(one)
        if self.number:
            self._record(one)
            self._next = max(self._next, one.number + 1)
            self._note(one.qos)

    def send_next(self, id: int) -> InflightMessage:
        """Put the first message of the queue in flight under that id."""
        one = self._pop()
        one.id = id
        self._to_inflight(one)
        self._note(one.qos)
        return one

    def _pop(self) -> InflightMessage:
        one = self.queue.popleft()
        if one.number >= self._next:
            self._next = one.number + 1
        self._note()
        return one

    def _to_inflight(self, one: InflightMessage) -> None:
        self.inflight[one.id] = one
        self.inflight_bytes += one.size

    def mark_received(self, one: InflightMessage) -> None:
        """PUBREC has come for an in-flight message."""
        one.received = True
        self._note(2)

    def settle(self, one: InflightMessage) -> None:
        """An in-flight message is acknowledged or dropped."""
        del self.inflight[one.id]
        self.inflight_bytes -= one.size
        self.size -= one.size
        self._note()

    def count_dropped(self, count: int) -> None:
        """So many messages more were lost."""
        self.dropped += count
        self._note()

    def tell_dropped(self) -> int:
        """Return how many messages were lost, to be told to the client."""
        count, self.dropped = self.dropped, 0
        if count:
            self._note()
        return count

    def drop_oldest(self) -> InflightMessage:
        """Take the first message out of the queue for good."""
        one = self._pop()
        self.size -= one.size
        return one

    def drop_paged(self) -> int:
        """Take the first message out of the paged queue for good, as the queue is empty. Returns its bytes."""
        self._next = self.paged.first + 1
        self._note()
        self.paged_count -= 1
        size = self.paged.pop()
        self.size -= size
        return size

    def fetch(self, then: Callable[[int, list[StoredMessage]], None]) -> None:
        """Have the store read the first few messages of the paged queue; `take_page` is for what `then` gets."""
        self.store.fetch(self.number, self.paged.page(), then)

    def take_page(self, last: int, page: Sequence[StoredMessage]) -> int:
        """Move messages up to number `last`, which were read, into the queue. Returns how many weren't there."""
        read, lacking = {number: (message, way) for number, message, way in page}, 0
        while self.paged_count and self.paged.first <= last:
            number = self.paged.first
            self.size -= self.paged.pop()
            self.paged_count -= 1
            if number not in read:
                lacking += 1
                continue
            message, (id, qos, share) = read[number]
            one = InflightMessage(message, self.wish(id, qos), qos, share)
            one.number = number
            self.size += one.size
            self.queue.append(one)
        return lacking

    def wish(self, id: Hashable, qos: int) -> Subscribe:
        """Return the subscription of an id, with the QoS that a message came with at least.

        It may have ended, have a lower QoS now, or have been merged with others: the message stays what it is.
        """
        wish = self.subscriptions.get(id) or Subscribe(str(id), qos=qos)
        return wish if wish.qos >= qos else make_subscription(record_subscription(wish)._replace(qos=qos))

    def drop(self, unwanted: set[InflightMessage]) -> None:
        """Take messages out of the queue for good."""
        self.queue = deque(one for one in self.queue if one not in unwanted)
        for one in unwanted:
            self.size -= one.size
            if one.number >= self._next:
                self._gaps.add(one.number)
        self._note()
        if len(self._gaps) > limits.QUEUE_GAPS and self.number and not self.paged_count:
            self._record_messages()

    def requeue(self) -> None:
        """Put all in-flight messages back at the front of the queue, as if they had never been sent."""
        flown = [one for one in self.inflight.values() if not one.pending]
        for one in flown:
            one.received, one.resent = False, False
        self.take_back(flown)

    def take_back(self, those: list[InflightMessage]) -> None:
        """Put these in-flight messages back at the front of the queue, in their order."""
        for one in those:
            del self.inflight[one.id]
            self.inflight_bytes -= one.size
            one.id = 0
        self.queue.extendleft(reversed(those))
        self._note()

    # What it had in another process

    def begin_at(self, number: int, gaps: Iterable[int]) -> None:
        """Its queue has all messages from that number on, but the `gaps`."""
        self._next, self._last, self._gaps = number, number - 1, set(gaps)

    def have_inflight(self, one: InflightMessage) -> None:
        """A message is in flight."""
        self._last = max(self._last, one.number)
        self.size += one.size
        self._to_inflight(one)

    def have_paged(self, paged: PagedQueue) -> None:
        """The rest of the queue is in the store alone."""
        self.paged, self.paged_count = paged, len(paged)
        if self.paged_count:
            self._last = max(self._last, paged.last)
            self.size += paged.size

    def prepend(self, those: Sequence[InflightMessage]) -> None:
        """Put messages before all that waits."""
        self.queue.extendleft(reversed(those))
        self.size += sum([one.size for one in those])
        self._last = max([self._last, *[one.number for one in those]])
