"""The receivers of subscriptions at QoS 1 and 2: they hand each message to the Delivery of its client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from hubbub.events import Subscribe
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.subscription import LOST, NEVER, Receiver
from hubbub.kernel.sessions.away import AwayLog, Place
from hubbub.kernel.sessions.delivery import Delivery
from hubbub.kernel.sessions.inflight import InflightMessage, Lender
from hubbub.kernel.sessions.qos import qos_of
from hubbub.kernel.sessions.recorded_batch import NOT_RECORDED, RecordedBatch
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.limits import DELIVERIES_AT_ONCE, PUT_OFF
from hubbub.message import Message


class QosReceiver:
    """The receiver of a subscription at QoS 1 or 2 (routing.subscription.GroupMember).

    delivery  sends the messages of its client
    wish     the Subscribe event of its subscription
    there    whether the client has a link
    waits    whether its messages may be kept together with those of other sessions without a link
    durable  whether a store keeps its messages
    """

    __slots__ = ("delivery", "wish", "_receiver", "_share", "_wrap")

    def __init__(
        self, delivery: Delivery, receiver: Receiver | None, wrap: Callable[[bytes], bytes] | None, wish: Subscribe
    ) -> None:
        """`receiver` gets what has QoS 0; None: the client has no link, and drops it. `wrap` frames that before."""
        self._share = ""
        self.delivery = delivery
        self._receiver = receiver
        self.wish = wish
        self._wrap = wrap

    def enlist(self, share: str) -> None:
        """It is a member of the group of that shared filter."""
        self._share = share

    def wait_for_room(self, member: object, ask: Callable[[], object]) -> None:
        """There was no room for a message of a work queue: call `ask` once there is, for that member."""
        self.delivery.suppliers[member] = ask
        self.delivery.ask_later()

    def forget(self, member: object) -> None:
        """That member of a work queue has left."""
        self.delivery.suppliers.pop(member, None)

    def borrow(self, lender: Lender, loan: InflightMessage, frame: bytes) -> None:
        """Take a message of a work queue, for which there is room."""
        try:
            self.delivery.borrow(lender, loan, self.wish, frame, self._share)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            assert self.delivery.link is not None
            self.delivery.link.fail(error)

    @property
    def there(self) -> bool:
        return self._receiver is not None

    @property
    def durable(self) -> bool:
        return self.delivery.state.recorded

    # What waits for many sessions

    @property
    def waits(self) -> bool:
        return self._receiver is None and self.wish.qos > 0 and self.delivery.changes is None

    @property
    def state(self) -> PersistentSession:
        """Its session."""
        return self.delivery.state

    def new_log(self, changed: Callable[[AwayLog], object]) -> AwayLog:
        """Return a log for sessions of which this is one."""
        return self.delivery.queue.new_log(changed)

    def stand_in(self, log: AwayLog, place: Place) -> bool:
        """Have a place in a log, or return False."""
        return self.delivery.queue.stand_in(log, place)

    def settle(self) -> None:
        """Take what waits in logs."""
        self.delivery.queue.settle()

    def forgo(self, count: int, number: int) -> None:
        """The log has forgotten messages that its client hasn't taken; see SessionQueue."""
        self.delivery.queue.forgo(count, number)

    def left(self, log: AwayLog) -> None:
        """It has no place in that log any more."""
        self.delivery.queue.places.pop(log, None)

    # Messages

    def put(self, batch: Batch) -> None:
        """Take messages, or put them off."""
        delivery = self.delivery
        if delivery.coming or (delivery.turn.handed >= DELIVERIES_AT_ONCE and delivery.link is not None):
            self._put_off(batch)
        else:
            self.take(batch)

    def _put_off(self, batch: Batch) -> None:
        """Take messages as the client is flushed: of a crowd some clients are in each turn.

        A store has them at once, as their publisher is told so.
        """
        delivery = self.delivery
        numbers = self._record(batch) if delivery.state.number else NOT_RECORDED
        if len(delivery.coming) >= PUT_OFF:
            first, oldest, known = delivery.coming.pop(0)
            first.take(oldest, known)
        delivery.coming.append((self, batch, numbers))
        delivery.flush_later()

    def _record(self, batch: Batch) -> Sequence[int]:
        """Record what is put off. Returns what the store calls each message."""
        state, wish, turn = self.delivery.state, self.wish, self.delivery.turn
        turn.recorded = recorded = RecordedBatch.of(turn.recorded, batch, state.store)
        for qos, sessions in recorded.ways.items():
            sessions[state.number] = (wish.key, qos if qos < wish.qos else wish.qos, self._share)
        return recorded.numbers

    def take(self, batch: Batch, numbers: Sequence[int] = NOT_RECORDED) -> None:
        """Take messages; `numbers`: what the store calls them, if it has them already."""
        delivery, there = self.delivery, self._receiver is not None
        if delivery.ended:  # some of its subscriptions are still to end
            return
        if not any(map(qos_of, batch.messages)):
            self._put_qos0(batch)
            return
        try:
            for message, frame, number in zip(batch.messages, batch.frames, numbers or repeat(0)):  # noqa: B905
                qos = min(qos_of(message), self.wish.qos)
                if qos:
                    one = InflightMessage(message, self.wish, qos, self._share)
                    one.number = number
                    delivery.add(one, frame if there else None)
                else:
                    self._put_qos0(Batch((message,), (frame,), True, batch.full))
            delivery.go_on()
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            if delivery.link is not None:
                delivery.link.fail(error)

    def _put_qos0(self, batch: Batch) -> None:
        if self._receiver is not None:
            self._receiver.put(framed(batch, self._wrap, self._receiver))
        elif self.delivery.changes is not None:
            self.delivery.changes.note(self.wish.key, batch.messages)

    def room(self, message: Message) -> int:
        """Return what would happen to a message here."""
        if self.delivery.ended:
            return NEVER
        if min(qos_of(message), self.wish.qos):
            return self.delivery.room(message)
        receiver: Any = self._receiver
        return LOST if receiver is None else int(receiver.room(message))

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried; such a client has no notice for it."""


def framed(batch: Batch, wrap: Callable[[bytes], bytes] | None, receiver: Any) -> Batch:
    """Put the transport's own frame around each unit."""
    if wrap is None and receiver.stream:
        return batch
    frames = batch.frames if wrap is None else [wrap(frame) for frame in batch.frames]
    return Batch(batch.messages, frames, receiver.stream, batch.full)
