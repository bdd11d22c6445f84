"""Receivers that adapt shared units to one subscription: by its id, or by whatever its dialect does."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from hubbub.dialect import NeverDrop
from hubbub.events import Subscribe
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.packed import Frames
from hubbub.kernel.routing.subscription import Receiver
from hubbub.message import Message

_PROBE = b"a unit"


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
        ended = self._ended
        if ended is not None and self.taken >= self._max:
            self._ended = None
            ended(self)

    def adapt(self, batch: Batch) -> Batch:
        """Return the same messages in units for this subscription, and count them."""
        raise NotImplementedError

    def room(self, message: Message) -> int:
        """Return what would happen to a message here (routing.subscription.GroupMember)."""
        return self._outbox.room(message)

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried."""
        self._outbox.miss(count)


class CountingReceiver(AdaptingReceiver):
    """The receiver of a subscription that may end after a number of messages, see `Dialect.counts`."""

    __slots__ = ()

    def adapt(self, batch: Batch) -> Batch:
        self.taken += batch.count
        return batch


class PerLinkEncoder(AdaptingReceiver):
    """The receiver of a subscription whose dialect adapts each unit, see `Dialect.frame_for_link`."""

    __slots__ = ("_frame", "_kept", "_wish", "_wrap")

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
        self._kept = [at for at, unit in enumerate(frames) if type(unit) is NeverDrop]
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


class SplicedBatch(Batch):
    """A shared batch with the id of one subscription in each unit. Its frames are cut only if it is split or waits."""

    __slots__ = ("_id_bytes", "_shared")

    def __init__(self, shared: Batch, id: bytes) -> None:
        self.messages = shared.messages
        self.frames = ()
        self.count = shared.count
        self.full = shared.full
        self.parts = None
        self.data = id.join(shared.splice())
        self.size = len(self.data)
        self._split = None
        self._id_bytes = len(id)
        self._shared: Batch | None = shared

    def ends(self) -> Sequence[int]:
        if self._shared is not None:
            ends = array("I", accumulate([len(frame) + self._id_bytes for frame in self._shared.frames]))
            self.frames, self._shared = Frames(self.data, ends), None
        return super().ends()

    def singles(self, stream: bool) -> list[Batch]:
        self.ends()
        return super().singles(stream)

    def single(self, at: int) -> Any:
        self.ends()
        return super().single(at)

    def pack(self) -> bool:
        self.ends()
        return super().pack()


class SplicingReceiver(AdaptingReceiver):
    """The receiver of a subscription whose units differ from those of others in its id alone, see dialect.Splice."""

    __slots__ = ("_id",)

    def __init__(self, outbox: Outbox, id: bytes) -> None:
        super().__init__(outbox)
        self._id = id

    def adapt(self, batch: Batch) -> Batch:
        self.taken += batch.count
        if self.stream:
            return SplicedBatch(batch, self._id)
        frames = [_spliced(frame, self._id) for frame in batch.frames]
        return Batch(batch.messages, frames, False, batch.full)


def _spliced(frame: bytes, id: bytes) -> bytes:
    at = getattr(frame, "at", len(frame))
    return frame[:at] + id + frame[at:]


def can_splice(wrap: Callable[[bytes], bytes] | None) -> bool:
    """Return whether a transport's frame leaves the unit as it is, neither masked nor compressed."""
    return wrap is None or wrap(_PROBE).endswith(_PROBE)
