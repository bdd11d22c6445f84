"""The way out of one link: a bounded queue of encoded units, and one write for each turn.

Nothing leaves while the transport is paused; each flush hands over at most limits.FLUSH_BYTES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from hubbub import limits
from hubbub.kernel.connection.slow_consumers import SlowConsumers
from hubbub.kernel.connection.unit_queue import Owner, UnitQueue
from hubbub.kernel.connection.units import Keep
from hubbub.kernel.routing.subscription import LATER, LOST, NOW, Batch
from hubbub.kernel.turn import Turn
from hubbub.limits import FLUSH_BYTES
from hubbub.message import Message


class Writer(Protocol):
    """The wire of a link (connection.wire.Wire)."""

    def write(self, data: bytes) -> object: ...


class Outbox:
    """The way out of one stream link.

    queue    what waits
    wire     takes bytes for the transport, and may call `pause` before it returns
    drained  attribute: is called at the end of each flush that leaves no answer waiting
    paused   whether the transport takes no more
    sent, sent_bytes  messages handed over; bytes of them and of answers
    """

    __slots__ = (
        "drained", "paused", "queue", "sent", "sent_bytes",
        "_dirty", "_frames", "_gone", "_slow", "_turn", "_wire",
    )  # fmt: skip

    stream = True

    def __init__(self, turn: Turn, slow: SlowConsumers, owner: Owner, wire: Writer, full: str, limit: int) -> None:
        self.drained: Callable[[], None] | None = None
        self.paused = False
        self.queue = UnitQueue(turn.counters, owner, full, limit, self.stream)
        self.sent = 0
        self.sent_bytes = 0
        self._dirty = False  # it is flushed at the end of this turn
        self._frames: list[bytes] | None = None  # of the flush that goes on
        self._gone = False
        self._slow = slow
        self._turn = turn
        self._wire = wire

    @property
    def size(self) -> int:
        """Bytes that wait, here and in the transport."""
        return self.queue.size

    @property
    def dropped(self) -> int:
        """Messages lost."""
        return self.queue.dropped

    @property
    def empty(self) -> bool:
        """Whether nothing waits here; the transport may still hold bytes."""
        return not self.queue.units and not self.queue.missed

    # What comes

    def put(self, batch: Batch) -> None:
        """Take messages (routing.subscription.Receiver)."""
        if not self.queue.put(batch):
            self.queue.owner.on_overflow()
            return
        if not self._dirty:
            self._dirty = True
            self._turn.outboxes.append(self)
            if not self._turn.scheduled:
                self._turn.schedule_flush()

    def room(self, message: Message) -> int:
        """Return what would happen to a message here (routing.subscription.GroupMember)."""
        if self.queue.is_full():
            return LOST
        return LATER if self.paused or self.queue.is_half_full() else NOW

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried here, at this place among the others."""
        self.queue.miss(count)
        self.mark()

    def answer(self, data: bytes) -> None:
        """Take an answer to the client's own command; it is never dropped."""
        self.queue.answer(data)
        self.mark()

    def wait_for_commit(self) -> None:
        """Let what comes from now on leave once the store's open batch is safe."""
        self.queue.barrier(self._turn.commits.open)

    def retained(self, batches: Iterator[Batch | None]) -> None:
        """Take retained messages: some now, the rest as the client reads. None is a step without one.

        A search that has begun holds a position in the tree, so only one of a link has begun at a time.
        """
        queue, budget = self.queue, 0 if self.queue.searches else limits.RETAINED_AT_ONCE
        while budget > 0 and not queue.is_half_full():
            batch = next(batches, _END)
            if batch is _END:
                break
            budget -= 1
            if batch is None:
                continue
            if batch.count:
                self.put(batch)
            else:
                self._turn.counters.uncarried += 1
                queue.miss(1)
        else:
            queue.wait_for(batches)
        self.mark()

    def purge(self, keep: Keep) -> None:
        """Forget messages on topics that `keep` denies."""
        self.queue.purge(keep)
        self.mark()

    def give_way(self, size: int) -> bool:
        """All outboxes hold too much: drop messages until `size` bytes are left. False: the link is cut instead."""
        if self.queue.give_way(size):
            return not self._gone  # a notice may have failed
        self.queue.owner.on_overflow()
        return False

    def fail(self, error: Exception) -> None:
        """The dialect raised for a message of this outbox."""
        self.queue.owner.fail(error)

    def mark(self) -> None:
        """Have this flushed at the end of this turn."""
        if not self._dirty:
            self._dirty = True
            self._turn.outboxes.append(self)
        self._turn.schedule_flush()

    # What leaves

    def flush(self) -> None:
        """Hand over what waits, in one write, as far as the transport takes it."""
        self._dirty = False
        if self.paused:
            if not self._gone:
                self._slow.count(self)
            return
        queue = self.queue
        try:
            if not queue.plain or queue.size > FLUSH_BYTES:
                self._flush_by_units()
            elif queue.units:
                self.sent += queue.count
                self.sent_bytes += queue.size
                self._wire.write(queue.take_all())
            if self.drained is not None and not queue.answers:
                self.drained()
        except Exception as error:  # noqa: BLE001  a plugin's dialect: its fault costs its own link
            self.queue.owner.fail(error)

    def _flush_by_units(self) -> None:
        commits = self._turn.commits
        frames: list[bytes] = []
        self._frames = frames
        self.queue.take(self, commits.safe)
        self._frames = None
        data = b"".join(frames)
        if data:  # a superseded unit has none
            self.sent_bytes += len(data)
            self._wire.write(data)
        if self.queue.units and not self.paused:
            if self.queue.barrier_at_front() > commits.safe:
                commits.wait(self)
            else:
                self.mark()

    def hand_over(self, unit: Batch) -> None:
        """Write a unit with this flush (connection.unit_queue.Sink)."""
        assert self._frames is not None
        self._frames.append(unit.data)
        self.sent += unit.count

    def tell_lost(self) -> None:
        """Write the notice of what was lost before the next message."""
        if self.queue.lost:
            notice = self.queue.notice(self.queue.lost)
            self.queue.lost = 0
            if notice:
                assert self._frames is not None
                self._frames.append(notice)

    def pause(self, held: int) -> None:
        """The transport takes no more for now; `held` bytes of the last write wait in it."""
        self.paused = True
        self.queue.hold(held)
        self._slow.count(self)

    def resume(self) -> None:
        """The transport takes more."""
        self.paused = False
        self.queue.hold(0)
        self._slow.forget(self)
        self.mark()

    def clear(self) -> None:
        """The link has gone: forget everything, and take nothing any more."""
        self._gone = True
        self._slow.forget(self)
        self._turn.commits.forget(self)
        self.queue.clear()
        self.drained = None
        self.paused = True


_END = Batch((), (b"",))  # of retained messages
