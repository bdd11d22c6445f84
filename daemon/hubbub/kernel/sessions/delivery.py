"""What one client is owed until it says that it has it: quality of service 1 and 2 (MQTT 5.0 section 4.3).

    hub -> QosReceiver (a subscription's box) -> Delivery: the line, then the flight -> link -> client -> Delivery.ack

A message waits in the line, bounded, until it may fly: at most `window` fly at once, and none while the transport is
paused. What flies is sent again when the client comes back; so a Delivery outlives its link.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from hubbub import limits
from hubbub.events import QosPublish, Subscribe
from hubbub.kernel.sessions.session import AWAY, LATER, LOST, NOW, Batch, Receiver
from hubbub.kernel.sessions.store import InflightMessage, PersistentSession
from hubbub.message import Message, cost

if TYPE_CHECKING:
    from hubbub.kernel.hub import Hub


class Carrier(Protocol):
    """The link that takes what is owed to its client."""

    def carry(self, owed: InflightMessage, frame: bytes | None) -> bool: ...
    def room(self) -> bool: ...
    def paused(self) -> bool: ...
    def send_qos0(self, batch: Batch, wish: Subscribe) -> None: ...
    def fail(self, error: Exception) -> None: ...


class QueuedBytes:
    """What all clients are owed together.

    size  bytes; over: is called when they come to be more than limits.OWED_BYTES_ALL
    """

    __slots__ = ("over", "size")

    def __init__(self, over: Callable[[], None]) -> None:
        self.size = 0
        self.over = over

    def add(self, size: int) -> None:
        """Count what is owed from now on."""
        self.size += size
        if self.size > limits.OWED_BYTES_ALL:
            self.over()


class Delivery:
    """What leads from a client's line to its flight.

    kept     both, see kernel.sessions.store
    carrier  the client's link, or None
    window   messages that may fly at once
    ids      the highest id
    dropped  messages that were lost
    """

    __slots__ = (
        "carrier", "dropped", "ids", "kept", "window", "_again", "_hub", "_last", "_marked", "_pool", "_sources",
    )  # fmt: skip

    def __init__(self, hub: Hub, pool: QueuedBytes, kept: PersistentSession) -> None:
        self.carrier: Carrier | None = None
        self.dropped = 0
        self.ids = limits.PACKET_IDS
        self.kept = kept
        self.window = limits.FLIGHT
        self._again: deque[InflightMessage] = deque()  # what flies, and has still to be sent again on this link
        self._hub = hub
        self._last = next(reversed(kept.flight), 0)  # id
        self._marked = False  # for a turn's end
        self._pool = pool
        self._sources: dict[str, tuple[Iterator[Batch | None], Subscribe]] = {}  # by filter, so that one has one

    # What goes out

    def owe(self, message: Message, wish: Subscribe, qos: int, frame: bytes | None, share: str = "") -> None:
        """Let a message fly, or put it into the line, or drop what the policy says."""
        kept = self.kept
        owed = InflightMessage(message, wish, qos, share)
        if not kept.line and self._may_fly():
            self._pool.add(owed.size)
            self._fly(owed, frame)
            return
        while kept.line and self._too_much(owed.size):
            if kept.full != "drop-oldest":
                self._lose()
                return
            self._drop(kept.take())
        kept.wait(owed)
        self._pool.add(owed.size)

    def room(self, message: Message) -> int:
        """Tell what would become of one more message (kernel.sessions.session.Member)."""
        if not self.kept.line and self._may_fly():
            return NOW
        if self.kept.line and self._too_much(cost(message) + limits.OWED_BYTES):
            return LOST
        return AWAY if self.carrier is None else LATER

    def _too_much(self, size: int) -> bool:
        kept = self.kept
        return len(kept.line) >= limits.QUEUE_MESSAGES or kept.size - kept.flying + size > kept.room

    def _drop(self, owed: InflightMessage) -> None:
        self._pool.size -= owed.size
        self._lose()

    def _lose(self) -> None:
        self.dropped += 1
        self._hub.counters.dropped += 1

    def give_way(self, size: int) -> bool:
        """All clients are owed too much: lose what has waited the longest. False: more than `size` bytes fly."""
        while self.kept.line and self.kept.size > size:
            self._drop(self.kept.take())
        return self.kept.size <= size

    def _may_fly(self) -> bool:
        kept, carrier = self.kept, self.carrier
        if carrier is None or self._again or len(kept.flight) >= self.window or kept.flying > kept.room:
            return False
        return carrier.room()

    def _fly(self, owed: InflightMessage, frame: bytes | None) -> None:
        message = owed.message
        if isinstance(message, QosPublish) and message.left(self._hub.wall()) is None:
            self._drop(owed)
            return
        owed.id = self._free_id()
        self.kept.fly(owed)
        self._carry(owed, frame)

    def _carry(self, owed: InflightMessage, frame: bytes | None = None) -> None:
        assert self.carrier is not None
        if not self.carrier.carry(owed, frame):
            self._land(owed)
            self._hub.counters.uncarried += 1

    def _land(self, owed: InflightMessage) -> None:
        self.kept.land(owed)
        self._pool.size -= owed.size

    def _free_id(self) -> int:
        while True:
            self._last = self._last % self.ids + 1
            if self._last not in self.kept.flight:
                return self._last

    def go_on(self) -> None:
        """Let as many fly as may."""
        line = self.kept.line
        if self._again:
            self._resend()
        while line and self._may_fly():
            self._fly(self.kept.take(), None)
        if not line and self._sources:
            self._pull_some()
        self._mark_if_more()

    def _resend(self) -> None:
        """Send again what flies, in order, as far as the window reaches (MQTT-4.4.0-1, MQTT-4.6.0-1)."""
        again, flight, carrier = self._again, self.kept.flight, self.carrier
        while again and carrier is not None and carrier.room() and len(flight) - len(again) < self.window:
            owed = again.popleft()
            if flight.get(owed.id) is owed:  # the client may have said meanwhile that it has it
                owed.again = True
                self._carry(owed)

    def _mark_if_more(self) -> None:
        """Go on at the end of this turn where more may fly then; the client's acks and the link's `resume` do else."""
        carrier = self.carrier
        kept = self.kept
        if self._marked or carrier is None or not (kept.line or self._sources or self._again):
            return
        if not carrier.paused() and len(kept.flight) - len(self._again) < self.window and kept.flying <= kept.room:
            self._marked = True
            self._hub.outboxes.append(self)
            self._hub.schedule_flush()

    def flush(self) -> None:
        """A turn ends (kernel.hub.Flushed)."""
        self._marked = False
        carrier = self.carrier
        if carrier is None:
            return
        try:
            self.go_on()
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            carrier.fail(error)
        self._hub.clients.store.commit()  # the link may be the next to be flushed

    def pull(self, batches: Iterator[Batch | None], wish: Subscribe) -> None:
        """Deliver retained messages as there is room for them."""
        self._sources[wish.filter] = (batches, wish)
        self.go_on()

    def _pull_some(self) -> None:
        budget = limits.RETAINED_AT_ONCE
        while self._sources and budget > 0 and self._may_fly():
            batches, wish = next(iter(self._sources.values()))
            batch = next(batches, _END)
            budget -= 1
            if batch is _END:
                del self._sources[wish.filter]
            elif batch is not None and batch.count:
                message = batch.messages[0]
                qos = min(qos_of(message), wish.qos)
                if qos:
                    owed = InflightMessage(message, wish, qos)
                    self._pool.add(owed.size)
                    self._fly(owed, batch.frames[0])
                else:
                    self.direct(batch, wish)
            elif batch is not None:
                self._hub.counters.uncarried += 1

    def direct(self, batch: Batch, wish: Subscribe) -> None:
        """Send what has quality 0."""
        if self.carrier is not None:
            self.carrier.send_qos0(batch, wish)

    # The client comes and goes

    def attach(self, carrier: Carrier, window: int) -> None:
        """The client is there: send again what flew, then go on."""
        self.carrier = carrier
        self.window = min(window, limits.FLIGHT)
        self._again = deque(self.kept.flight.values())
        self.go_on()

    def begin_anew(self) -> None:
        """The other side knows nothing of what flew: it is sent as if it never was."""
        kept = self.kept
        flew, waited = list(kept.flight.values()), [kept.take() for _ in range(len(kept.line))]
        for owed in flew:
            kept.land(owed)
            owed.id, owed.received, owed.again = 0, False, False
        for owed in flew + waited:
            kept.wait(owed)

    def detach(self) -> None:
        """The client has gone; what it is owed stays, and retained messages it may ask for again."""
        self.carrier = None
        self._again.clear()
        self._sources.clear()

    def let_others(self) -> None:
        """The client has gone: others of its groups who are there may have what waits for it."""
        shared = self._hub.shared
        if any(owed.share for owed in self.kept.line):
            self._sift(lambda owed: not (owed.share and shared.pass_on(owed.share, owed.message, LATER)))

    def clear(self) -> None:
        """Nothing is owed any more; others of its groups may have what no one has been sent for sure (MQTT-4.8.2-5)."""
        self.detach()
        kept = self.kept
        flew = list(kept.flight.values())
        left = [owed for owed in flew if owed.qos == 1] + list(kept.line)
        for owed in flew:
            self._land(owed)
        self._sift(lambda _: False)
        for owed in left:
            if owed.share:
                self._hub.shared.pass_on(owed.share, owed.message)

    # What comes in

    def ack(self, id: int, stage: str) -> bool:
        """The client has the message of that id, see events.Ack. False: none of that id flies, or not at that stage."""
        owed = self.kept.flight.get(id)
        if owed is None or (stage == "received" and owed.qos != 2):
            return False
        if stage == "received":
            owed.received = True
            self.kept.mark(owed)
        else:
            self._land(owed)
            self.go_on()
        return True

    def purge(self, keep: Callable[[str], bool]) -> None:
        """Forget what waits on topics that `keep` says no to; what flies is with the client already."""
        self._sift(lambda owed: keep(owed.message.topic))
        for filter, (batches, wish) in self._sources.items():
            self._sources[filter] = (_kept(batches, keep), wish)

    def withhold(self, keep: Callable[[str], bool]) -> None:
        """The client is back, maybe as less than it was: what it may not have isn't sent again; what it has stays."""
        for owed in list(self.kept.flight.values()):
            if not owed.received and not keep(owed.message.topic):
                self._land(owed)

    def _sift(self, stays: Callable[[InflightMessage], bool]) -> None:
        """Take out of the line what doesn't stay."""
        kept = self.kept
        for owed in [kept.take() for _ in range(len(kept.line))]:
            if stays(owed):
                kept.wait(owed)
            else:
                self._pool.size -= owed.size


_END = Batch((), (b"",))  # of retained messages


def _kept(batches: Iterator[Batch | None], keep: Callable[[str], bool]) -> Iterator[Batch | None]:
    for batch in batches:
        yield None if batch is not None and batch.count and not keep(batch.messages[0].topic) else batch


def qos_of(message: Message) -> int:
    """Tell the quality of service that a message was published with."""
    return message.qos if isinstance(message, QosPublish) else 0


class QosReceiver:
    """The box of a subscription at quality 1 or 2 (kernel.sessions.session.Box).

    box    where what has quality 0 goes; None: the client isn't there, and such is lost
    share  the shared filter that this is a member of, or ""
    """

    __slots__ = ("share", "_box", "_delivery", "_wish", "_wrap")

    def __init__(
        self, delivery: Delivery, receiver: Receiver | None, wrap: Callable[[bytes], bytes] | None, wish: Subscribe
    ) -> None:
        self.share = ""
        self._delivery = delivery
        self._box = receiver
        self._wish = wish
        self._wrap = wrap

    @property
    def there(self) -> bool:
        """Whether the client is."""
        return self._box is not None

    def put(self, batch: Batch) -> None:
        """Take messages."""
        delivery, there = self._delivery, self.there
        if not any(map(qos_of, batch.messages)):
            self._straight(batch)
            return
        try:
            for message, frame in zip(batch.messages, batch.frames, strict=True):
                qos = min(qos_of(message), self._wish.qos)
                if qos:
                    delivery.owe(message, self._wish, qos, frame if there else None, self.share)
                else:
                    self._straight(Batch((message,), (frame,), True, batch.full))
            delivery.go_on()
        except Exception as error:  # noqa: BLE001  a plugin's dialect, amid what others wait for
            if delivery.carrier is not None:
                delivery.carrier.fail(error)

    def _straight(self, batch: Batch) -> None:
        if self._box is not None:
            self._box.put(framed(batch, self._wrap, self._box))

    def room(self, message: Message) -> int:
        """Tell what would become of a message here."""
        if min(qos_of(message), self._wish.qos):
            return self._delivery.room(message)
        receiver: Any = self._box
        return LOST if receiver is None else int(receiver.room(message))

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried: a client that counts on them has no word for it."""


def framed(batch: Batch, wrap: Callable[[bytes], bytes] | None, receiver: Any) -> Batch:
    """Put the transport's own frame around each unit."""
    if wrap is None and receiver.stream:
        return batch
    frames = batch.frames if wrap is None else [wrap(frame) for frame in batch.frames]
    return Batch(batch.messages, frames, receiver.stream, batch.full)
