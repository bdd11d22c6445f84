"""Receivers that count the messages of one subscription, or adapt shared units to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hubbub.dialect import NeverDrop
from hubbub.events import Subscribe
from hubbub.kernel.connection.copies import CopyingReceiver
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.subscription import Receiver, Subscription
from hubbub.message import Message


class AdaptingReceiver:
    """A receiver that adapts shared units, counts its messages, and may end after a number of them."""

    __slots__ = ("stream", "taken", "_ended", "_max", "_outbox")

    def __init__(self, outbox: Outbox) -> None:
        self.stream = outbox.stream
        self.taken = 0
        self._ended: Callable[[Receiver], None] | None = None
        self._max = 0  # messages; 0: any number
        self._outbox = outbox

    def end_after(self, count: int, ended: Callable[[Receiver], None]) -> bool:
        """Take `count` messages in all, then call `ended`, once. False: it has had as many."""
        if self.taken >= count:
            return False
        self._max, self._ended = count, ended
        return True

    def put(self, batch: Batch) -> None:
        """Take messages (routing.subscription.Receiver)."""
        try:
            if self._max:
                self._put_last(batch)
            else:
                self._put(batch)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self._outbox.owner.fail(error)

    def _put(self, batch: Batch) -> None:
        self._outbox.put(self.adapt(batch))

    def _put_last(self, batch: Batch) -> None:
        left = self._max - self.taken
        if left > 0:
            if batch.count > left:
                batch = Batch(batch.messages[:left], batch.frames[:left], self.stream, batch.full)
            self._put(batch)
        self._end_if_done()

    def _end_if_done(self) -> None:
        ended = self._ended
        if ended is not None and self.taken >= self._max:
            self._ended = None
            ended(self)

    def adapt(self, batch: Batch) -> Batch:
        """Return the same messages in units for this subscription, and count them."""
        raise NotImplementedError

    def new_copying(self, subscriptions: Sequence[Subscription]) -> CopyingReceiver:
        """Return what takes messages for many subscriptions of this link, of which this receiver has one."""
        return CopyingReceiver(self._outbox, subscriptions)

    def copy(self, batch: Batch) -> Batch | None:
        """Return one message for this subscription, and count it; None: it has had all that it should have."""
        if not self._max:
            return self.adapt(batch)
        adapted = self.adapt(batch) if self.taken < self._max else None
        self._end_if_done()
        return adapted

    def room(self, message: Message) -> int:
        """Return what would happen to a message here (routing.subscription.GroupMember)."""
        return self._outbox.room(message)

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried."""
        self._outbox.miss(count)


class CountingReceiver(AdaptingReceiver):
    """The receiver of a subscription that may end after a number of messages, see `Dialect.counts`."""

    __slots__ = ()

    def put(self, batch: Batch) -> None:
        if self._max:
            super().put(batch)
        else:
            self.taken += batch.count
            self._outbox.put(batch)

    def adapt(self, batch: Batch) -> Batch:
        self.taken += batch.count
        return batch


class PerLinkEncoder(AdaptingReceiver):
    """The receiver of a subscription whose dialect adapts each unit, see `Dialect.frame_for_link`."""

    __slots__ = ("_frame", "_kept", "_wish", "_wrap")

    durable = False  # it handles each message by itself, as receivers at QoS 1 do, but no store keeps them
    waits = False

    def __init__(
        self,
        outbox: Outbox,
        frame: Callable[[bytes, Message, Subscribe], bytes],
        wrap: Callable[[bytes], bytes] | None,
        wish: Subscribe,
    ) -> None:
        super().__init__(outbox)
        self._frame = frame
        self._kept: list[int] = []  # which units of the last batch are NeverDrop
        self._wish = wish
        self._wrap = wrap

    def adapt(self, batch: Batch) -> Batch:
        self.taken += batch.count
        frame, wish = self._frame, self._wish
        frames = [frame(unit, message, wish) for unit, message in zip(batch.frames, batch.messages, strict=True)]
        some = NeverDrop in map(type, frames)
        self._kept = [at for at, unit in enumerate(frames) if type(unit) is NeverDrop] if some else []
        if self._wrap is not None:
            frames = [self._wrap(unit) for unit in frames]
        return Batch(batch.messages, frames, self._outbox.stream, batch.full)

    def _put(self, batch: Batch) -> None:
        adapted = self.adapt(batch)
        if self._kept:
            self._put_each(adapted)
        else:
            self._outbox.put(adapted)

    def _put_each(self, batch: Batch) -> None:
        """Put messages of which some are never dropped."""
        kept, self._kept = self._kept, []
        if self._outbox.stopped:
            return
        for at, one in enumerate(batch.singles(self.stream)):
            if at in kept:
                self._outbox.answer(one.frames[0])
                self._outbox.sent += 1
            else:
                self._outbox.put(one)
