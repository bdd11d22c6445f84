"""What one client is owed until it says that it has it: quality of service 1 and 2 (MQTT 5.0 section 4.3).

    hub -> Owing (a subscription's box) -> Delivery: the line, then the flight -> link -> client -> Delivery.ack

A message waits in the line, bounded, until it may fly: at most `window` fly at once, and none while the transport is
paused. What flies is sent again when the client comes back; so a Delivery outlives its link.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from hubbub import limits
from hubbub.events import Letter, Subscribe
from hubbub.kernel.session import Batch, Box
from hubbub.message import Message

if TYPE_CHECKING:
    from hubbub.kernel.hub import Hub


class Owed:
    """One message on its way to one client.

    id        1 to 65,535 while it flies, else 0; no two that fly have the same
    qos       1 or 2
    again     whether it was sent before
    received  QoS 2: the client has it, and may forget its id once it is told to
    """

    __slots__ = ("message", "wish", "qos", "id", "again", "received", "size")

    def __init__(self, message: Message, wish: Subscribe, qos: int) -> None:
        self.message = message
        self.wish = wish
        self.qos = qos
        self.id = 0
        self.again = False
        self.received = False
        self.size = len(message.payload) + limits.OWED_BYTES


class Carrier(Protocol):
    """The link that takes what is owed to its client."""

    def carry(self, owed: Owed, frame: bytes | None) -> bool: ...
    def room(self) -> bool: ...
    def paused(self) -> bool: ...
    def straight(self, batch: Batch) -> None: ...
    def fail(self, error: Exception) -> None: ...


class Pool:
    """Bytes that wait for all clients together."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


class Delivery:
    """The line and the flight of one client.

    window   messages that may fly at once
    full     drop-oldest, drop-newest or else: what gives way in a full line
    bytes    that the line may hold; size: bytes that it holds
    dropped  messages that were lost
    """

    __slots__ = (
        "carrier", "window", "full", "bytes", "size", "line", "flight", "dropped",
        "_flying", "_hub", "_last", "_marked", "_pool", "_sources",
    )  # fmt: skip

    def __init__(self, hub: Hub, pool: Pool, bytes: int, full: str) -> None:
        self.carrier: Carrier | None = None
        self.window = limits.FLIGHT
        self.full = full
        self.bytes = bytes
        self.size = 0
        self.line: deque[Owed] = deque()
        self.flight: dict[int, Owed] = {}
        self.dropped = 0
        self._flying = 0  # bytes
        self._hub = hub
        self._last = 0
        self._marked = False  # for a turn's end
        self._pool = pool
        self._sources: dict[str, tuple[Iterator[Batch | None], Subscribe]] = {}  # by filter, so that one has one

    # What goes out

    def owe(self, message: Message, wish: Subscribe, qos: int, frame: bytes | None) -> None:
        """Let a message fly, or put it into the line, or drop what the policy says."""
        owed = Owed(message, wish, qos)
        if not self.line and self._may_fly():
            self._fly(owed, frame)
            return
        while self._too_much(owed.size):
            if self.full != "drop-oldest" or not self.line:
                self._drop()
                return
            self._out()
            self._drop()
        self.line.append(owed)
        self.size += owed.size
        self._pool.size += owed.size

    def _too_much(self, size: int) -> bool:
        line = self.line
        own = bool(line) and (len(line) >= limits.QUEUE_MESSAGES or self.size + size > self.bytes)
        return own or self._pool.size + size > limits.OWED_BYTES_ALL

    def _out(self) -> Owed:
        owed = self.line.popleft()
        self.size -= owed.size
        self._pool.size -= owed.size
        return owed

    def _drop(self) -> None:
        self.dropped += 1
        self._hub.counters.dropped += 1

    def _may_fly(self) -> bool:
        if self.carrier is None or len(self.flight) >= self.window or self._flying > self.bytes:
            return False
        return self.carrier.room()

    def _fly(self, owed: Owed, frame: bytes | None) -> None:
        message = owed.message
        if isinstance(message, Letter) and message.left(self._hub.wall()) is None:
            self._drop()
            return
        owed.id = self._free_id()
        self.flight[owed.id] = owed
        self._flying += owed.size
        self._carry(owed, frame)

    def _carry(self, owed: Owed, frame: bytes | None = None) -> None:
        assert self.carrier is not None
        if not self.carrier.carry(owed, frame):
            self._land(owed)
            self._hub.counters.uncarried += 1

    def _land(self, owed: Owed) -> None:
        del self.flight[owed.id]
        self._flying -= owed.size

    def _free_id(self) -> int:
        while True:
            self._last = self._last % limits.PACKET_IDS + 1
            if self._last not in self.flight:
                return self._last

    def go_on(self) -> None:
        """Let as many fly as may."""
        while self.line and self._may_fly():
            self._fly(self._out(), None)
        if not self.line and self._sources:
            self._pull_some()
        self._mark_if_more()

    def _mark_if_more(self) -> None:
        """Go on at the end of this turn where more may fly then; the client's acks and the link's `resume` do else."""
        carrier = self.carrier
        if self._marked or carrier is None or not (self.line or self._sources):
            return
        if not carrier.paused() and len(self.flight) < self.window and self._flying <= self.bytes:
            self._marked = True
            self._hub.outboxes.append(self)
            self._hub.rouse()

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
                qos = min(quality(message), wish.qos)
                if qos:
                    self._fly(Owed(message, wish, qos), batch.frames[0])
                else:
                    self.direct(batch)
            elif batch is not None:
                self._hub.counters.uncarried += 1

    def direct(self, batch: Batch) -> None:
        """Send what has quality 0."""
        if self.carrier is not None:
            self.carrier.straight(batch)

    # The client comes and goes

    def attach(self, carrier: Carrier, window: int) -> None:
        """The client is there: send again what flew, in order (MQTT-4.4.0-1, MQTT-4.6.0-1), then go on."""
        self.carrier = carrier
        self.window = min(window, limits.FLIGHT)
        for owed in list(self.flight.values()):
            owed.again = True
            self._carry(owed)
        self.go_on()

    def detach(self) -> None:
        """The client has gone; what it is owed stays, and retained messages it may ask for again."""
        self.carrier = None
        self._sources.clear()

    def clear(self) -> None:
        """Nothing is owed any more."""
        self.detach()
        while self.line:
            self._out()
        self.flight.clear()
        self._flying = 0

    # What comes in

    def ack(self, id: int, stage: str) -> bool:
        """The client has the message of that id, see events.Ack. False: none of that id flies, or not at that stage."""
        owed = self.flight.get(id)
        if owed is None or (stage == "received" and owed.qos != 2):
            return False
        if stage == "received":
            owed.received = True
        else:
            self._land(owed)
            self.go_on()
        return True

    def purge(self, keep: Callable[[str], bool]) -> None:
        """Forget what waits on topics that `keep` says no to; what flies is with the client already."""
        for owed in [self._out() for _ in range(len(self.line))]:
            if keep(owed.message.topic):
                self.line.append(owed)
                self.size += owed.size
                self._pool.size += owed.size
        for filter, (batches, wish) in self._sources.items():
            self._sources[filter] = (_kept(batches, keep), wish)


_END = Batch((), (b"",))  # of retained messages


def _kept(batches: Iterator[Batch | None], keep: Callable[[str], bool]) -> Iterator[Batch | None]:
    for batch in batches:
        yield None if batch is not None and batch.count and not keep(batch.messages[0].topic) else batch


def quality(message: Message) -> int:
    """Tell the quality of service that a message was published with."""
    return message.qos if isinstance(message, Letter) else 0


class Owing:
    """The box of a subscription at quality 1 or 2 (kernel.session.Box).

    box  where what has quality 0 goes; None: the client isn't there, and such is lost
    """

    __slots__ = ("_box", "_delivery", "_wish", "_wrap")

    def __init__(
        self, delivery: Delivery, box: Box | None, wrap: Callable[[bytes], bytes] | None, wish: Subscribe
    ) -> None:
        self._delivery = delivery
        self._box = box
        self._wish = wish
        self._wrap = wrap

    def put(self, batch: Batch) -> None:
        """Take messages."""
        delivery, there = self._delivery, self._box is not None
        if not any(map(quality, batch.messages)):
            self._straight(batch)
            return
        try:
            for one in batch.singles(True):
                message = one.messages[0]
                qos = min(quality(message), self._wish.qos)
                if qos:
                    delivery.owe(message, self._wish, qos, one.frames[0] if there else None)
                else:
                    self._straight(one)
            delivery.go_on()
        except Exception as error:  # noqa: BLE001  a plugin's dialect, amid what others wait for
            if delivery.carrier is not None:
                delivery.carrier.fail(error)

    def _straight(self, batch: Batch) -> None:
        if self._box is not None:
            self._box.put(framed(batch, self._wrap, self._box))

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried: a client that counts on them has no word for it."""


def framed(batch: Batch, wrap: Callable[[bytes], bytes] | None, box: Any) -> Batch:
    """Put the transport's own frame around each unit."""
    if wrap is None and box.stream:
        return batch
    frames = batch.frames if wrap is None else [wrap(frame) for frame in batch.frames]
    return Batch(batch.messages, frames, box.stream, batch.full)
