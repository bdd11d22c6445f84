"""What waits for many sessions without a link, kept once for all of them.

    Router -> ReceiverGroup -> AwayLog (each such session has a place in it) -> Delivery, when it has to know its queue

A message costs a log the same however many sessions stand in it, and a durable store keeps it once for all of them.
What a session is to drop is found out when it takes its part: its queue is then as if each message had come to it
alone. A log is for sessions whose full queue drops the oldest; it forgets what all of them would have dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from hubbub import limits
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.sessions.qos import qos_of
from hubbub.kernel.sessions.queued_bytes import QueuedBytes
from hubbub.kernel.sessions.records import Way
from hubbub.message import Message, cost


class Kept:
    """One message of a log.

    order   a number that grows over all logs; number: what the store calls it, or 0
    size    bytes
    """

    __slots__ = ("message", "number", "order", "size")

    def __init__(self, order: int, message: Message, number: int, size: int) -> None:
        self.order = order
        self.message = message
        self.number = number
        self.size = size


class Place:
    """Where one session stands in a log.

    receiver  of its subscription (sessions.qos_receiver.QosReceiver)
    begin     number of the first message of the log that its queue hasn't taken
    """

    __slots__ = ("begin", "receiver")

    def __init__(self, receiver: Any, begin: int) -> None:
        self.receiver = receiver
        self.begin = begin


class AwayLog:
    """The messages of one route for sessions without a link.

    places      those of its sessions, by the receiver of each
    first, end  numbers of the first message that is kept and of the next that comes
    size        bytes that are kept
    store       where all of its sessions are kept
    """

    __slots__ = (
        "end", "first", "places", "size", "store",
        "_changed", "_kept", "_last", "_limit", "_queued_bytes", "_told", "_ways",
    )  # fmt: skip

    def __init__(self, queued_bytes: QueuedBytes, store: Any, changed: Callable[[AwayLog], object]) -> None:
        """`changed` is called when a session has left that is still to get messages, or the last one."""
        self.end = 0
        self.first = 0
        self.places: dict[Any, Place] = {}
        self.size = 0
        self._changed = changed
        self._kept: deque[Kept] = deque()
        self._last = 0  # number of the newest message in the store that one of its sessions has
        self._limit = 0  # bytes of the longest queue
        self._queued_bytes = queued_bytes
        self.store = store
        self._told = 0  # `first` as of the last `_tell`
        self._ways: dict[int, Mapping[int, Way]] = {}  # by QoS: how each recorded session gets a message

    # Messages come

    def put(self, batch: Batch, order: int) -> None:
        """Take messages; `order` is larger than that of any batch before."""
        size = 0
        for message in batch.messages:
            qos = qos_of(message)
            if qos:
                one = Kept(order, message, self._record(message, qos), cost(message) + limits.QUEUED_MESSAGE_BYTES)
                self._kept.append(one)
                self.end += 1
                size += one.size
        self.size += size
        while self.end - self.first > limits.QUEUE_MESSAGES or (self.size > self._limit and len(self._kept) > 1):
            self._forget_first()
        self._queued_bytes.add(size)
        if self.first - self._told >= limits.AWAY_TOLD:
            self._tell()

    def _record(self, message: Message, qos: int) -> int:
        ways = self._ways.get(qos)
        if ways is None:
            ways = self._ways[qos] = {
                one.state.number: (one.wish.key, min(qos, one.wish.qos), "") for one in self.places if one.state.number
            }
        if not ways:
            return 0
        self._last = int(self.store.enqueue_for_all(ways, message, self._last))
        return self._last

    def _forget_first(self) -> None:
        one = self._kept.popleft()
        self.first += 1
        self.size -= one.size
        self._queued_bytes.size -= one.size

    def _tell(self) -> None:
        """Have each session count and forgo what was forgotten: a store needs it no longer for them."""
        self._told = self.first
        for place in self.places.values():
            if lost := self.lost(place):
                place.begin = self.first
                place.receiver.forgo(lost, self._kept[0].number if self._kept else self._last + 1)

    def give_way(self, size: int) -> None:
        """Keep at most so many bytes."""
        while self.size > size and self._kept:
            self._forget_first()
        self._tell()

    def drop_older(self, oldest: float) -> None:
        """Forget what came before `oldest`, in Unix seconds."""
        if self._kept and self._kept[0].message.time < oldest:
            while self._kept and self._kept[0].message.time < oldest:
                self._forget_first()
            self._tell()

    # Sessions come and go

    def gather(self, receivers: list[Any]) -> list[Any]:
        """Let exactly these stand here. Returns those that can't."""
        wanted = set(receivers)
        for receiver in [one for one in self.places if one not in wanted]:
            receiver.settle()
            self.remove(receiver)
        return [one for one in receivers if one not in self.places and not self._join(one)]

    def _join(self, receiver: Any) -> bool:
        place = Place(receiver, self.end)
        if not receiver.stand_in(self, place):
            return False
        self.places[receiver] = place
        self.stay_behind(receiver.state.newest)
        self._limit = max(self._limit, receiver.state.max_bytes)
        self._ways = {}
        return True

    def stay_behind(self, number: int) -> None:
        """A session has that message of the store already: those that come here get higher numbers."""
        self._last = max(self._last, number)

    def remove(self, receiver: Any) -> None:
        """End the place of a session that has taken its messages, or has ended."""
        place = self.places.pop(receiver, None)
        if place is None:
            return
        receiver.left(self)
        self._ways = {}
        if not self.places:
            self._queued_bytes.size -= self.size
            self._kept.clear()
            self.first, self.size = self.end, 0
            self._changed(self)
        elif place.begin <= self.first:
            self._forget_taken()

    def send_home(self, receiver: Any) -> None:
        """End the place of a session: its receiver gets each message itself from now on."""
        self.remove(receiver)
        self._changed(self)

    # What a session has here

    def waiting(self, place: Place) -> int:
        """Return how many messages are kept for a session."""
        return self.end - max(place.begin, self.first)

    def lost(self, place: Place) -> int:
        """Return how many messages were forgotten that it hasn't taken."""
        return max(self.first - place.begin, 0)

    def take(self, place: Place) -> list[Kept]:
        """Return what has come for a session that it hasn't taken."""
        kept, count = self._kept, self.waiting(place)
        found: list[Kept] = []
        if count:
            back = iter(reversed(kept))
            found = [next(back) for _ in range(count)]
            found.reverse()
        first, place.begin = place.begin, self.end
        if first <= self.first:
            self._forget_taken()
        return found

    def _forget_taken(self) -> None:
        """Forget what each has taken."""
        least = min([place.begin for place in self.places.values()])
        while self._kept and self.first < least:
            self._forget_first()
