"""The way out of one link: a bounded queue of encoded units, and one write for each turn.

Nothing leaves while the transport is paused; each flush hands over at most limits.FLUSH_BYTES. `overflow.py` decides
what a full outbox drops. Gap notices stand where messages are missing. Where many links have stopped reading, what
comes for all of them waits in a `Backlog`, and each takes its part when it reads again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mypy_extensions import mypyc_attr

from hubbub import limits
from hubbub.kernel.commits import Commits
from hubbub.kernel.connection import flushing, overflow
from hubbub.kernel.connection.backlog import Backlog, Place
from hubbub.kernel.connection.copies import CopyingReceiver
from hubbub.kernel.connection.owner import NO_OWNER, Owner, Writer
from hubbub.kernel.connection.slow_consumers import SlowConsumers, weigh
from hubbub.kernel.connection.units import Answers, Barrier, Keep, Latest, Pieces, Search
from hubbub.kernel.routing.batch import END, Batch
from hubbub.kernel.routing.subscription import LATER, LOST, NEVER, NOW, Subscription
from hubbub.kernel.turn import Turn
from hubbub.limits import ANSWER_BYTES, FLUSH_BYTES, QUEUE_MESSAGES
from hubbub.message import Message


@mypyc_attr(allow_interpreted_subclasses=True)  # a trace has one
class Outbox:
    """The way out of one stream link.

    owner, wire  its link; takes bytes for the transport, and may call `pause` before it returns
    full, limit  the overflow policy, one of overflow.POLICIES, and the bound in bytes
    awaiting  what to call when there is room, by the replay or delivery that waits for it; None: nothing does
    drained  is called at the end of each flush that leaves no answer waiting
    paused   whether the transport takes no more; stalled: it has been so for a while, see Backlog
    stopped  whether it takes no message any more
    sent, sent_bytes  messages handed over; bytes of them and of answers
    units        what waits: Batch, Part, Answers, Search, Barrier; a list while nothing has to leave before others
    front        those units, none of them messages, that stand before `units`: the messages between were dropped
    held         bytes handed over that the transport hasn't sent yet
    size, count  bytes, `held` included, and messages; answers: bytes of units without messages
    lost, missed  messages dropped before the first that waits; after the last
    latest       the newest message of each topic, while full with the policy `latest`
    places       where it stands in backlogs, or None
    frames       what the flush that goes on hands over; searching: whether a job goes on with a search
    plain        whether all that waits may leave in one write, without a look at each unit
    """

    __slots__ = (
        "answers", "awaiting", "count", "drained", "frames", "front", "full", "held", "latest", "limit", "lost",
        "missed", "owner", "paused", "places", "plain", "searches", "searching", "sent", "sent_bytes", "size",
        "stalled", "stopped", "turn", "units", "wire", "_alone", "_barrier", "_dirty", "_dropped", "_rest", "_slow",
    )  # fmt: skip

    stream = True

    def __init__(self, turn: Turn, slow: SlowConsumers, owner: Owner, wire: Writer, full: str, limit: int) -> None:
        self.answers = 0
        self.awaiting: dict[object, Callable[[], None]] | None = None
        self.count = 0
        self.drained: Callable[[], None] | None = None
        self.front: list[Any] = []
        self.full = full
        self.held = 0
        self.latest: Latest | None = None
        self.limit = limit
        self.lost = self.missed = 0
        self.owner: Owner = owner
        self.paused = False
        self.places: dict[Backlog, Place] | None = None
        self.plain = True
        self.searches = 0
        self.sent = 0
        self.sent_bytes = 0
        self.size = 0
        self.stalled = False
        self.units: list[Any] | deque[Any] = []
        self.wire = wire
        self._alone = False  # it takes part in no backlog
        self._barrier: Barrier | None = None  # the last one
        self._dirty = False  # it is flushed at the end of this turn
        self._dropped = 0
        self.frames: list[bytes] | None = None  # of the flush that goes on
        self.stopped = False
        self._rest = 0  # turns that bring something until it may stand in a backlog
        self.searching = False  # a job goes on with a search
        self._slow = slow
        self.turn = turn

    @property
    def dropped(self) -> int:
        """Messages lost."""
        return self._dropped + self.unsettled

    @property
    def unsettled(self) -> int:
        """How many of them were dropped in backlogs, and aren't counted yet."""
        return 0 if self.places is None else overflow.lost_in_backlogs(self)

    @property
    def weight(self) -> int:
        """Bytes of memory that what waits here takes (slow_consumers.Trimmable)."""
        return weigh(self.size, len(self.units), self.count)

    @property
    def empty(self) -> bool:
        """Whether nothing waits here; the transport may still hold bytes."""
        return not self.units and not self.front and not self.missed and self.places is None

    def depth(self) -> tuple[int, int]:
        """Return how many messages and bytes wait."""
        if self.places is None:
            return self.count, self.size
        count, size = overflow.depth(self)
        return min(count, QUEUE_MESSAGES), min(size, max(self.limit, self.size))

    # What comes

    def put(self, batch: Batch) -> None:
        """Take messages (routing.subscription.Receiver)."""
        size = self.size + batch.size
        count = self.count + batch.count
        if size > self.limit or count > QUEUE_MESSAGES or not self.plain:
            if self.stopped:  # some of its subscriptions are still to end
                return
            if self.places is not None:
                self.evict()
            if not overflow.put(self, batch):
                self.owner.on_overflow()
                return
        else:
            self.size = size
            self.count = count
            self.units.append(batch)
        if not self._dirty:
            self._dirty = True
            self.turn.outboxes.append(self)
            if not self.turn.scheduled:
                self.turn.schedule_flush()

    def room(self, message: Message) -> int:
        """Return what would happen to a message here (routing.subscription.GroupMember)."""
        if self.stopped:
            return NEVER
        count, size = self.depth()
        if count and (size >= self.limit or count >= QUEUE_MESSAGES):
            return LOST
        return LATER if self.paused or self.is_half_full() else NOW

    def is_half_full(self) -> bool:
        """Return whether a message would wait behind many others."""
        return self.size > self.limit // 2 or self.count > QUEUE_MESSAGES // 2

    def room_for_replay(self) -> int:
        """Return how many bytes of a replay may wait here; at most one flush is ahead of the transport."""
        if self.paused or self.stopped or self.answers >= ANSWER_BYTES:
            return 0
        return min(FLUSH_BYTES, self.limit // 2) - self.size

    def await_room(self, one: object, then: Callable[[], None]) -> None:
        """Call `then` after the flush that has made room for a replay or a delivery."""
        if self.awaiting is None:
            self.awaiting = {}
        self.awaiting[one] = then
        self.plain = False

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried here, at this place among the others."""
        if self.stopped:
            return
        self.evict()
        self.missed += count
        self.plain = False
        self.mark()

    def answer(self, data: bytes, more: Sequence[bytes] = ()) -> None:
        """Take an answer to the client's own command; never dropped. `more`: the rest of a long one."""
        if self.places is not None:
            self.evict()
        if self.missed:
            overflow.tell_missed(self)
        if more:
            flushing.append_pieces(self, Pieces((data, *more)))
        else:
            self.append_answer(data)
        self.mark()

    def queue(self) -> deque[Any]:
        """Return what waits as a queue whose first unit may leave alone."""
        units = self.units
        if not isinstance(units, deque):
            units = self.units = deque(units)
        return units

    def append_answer(self, data: bytes) -> None:
        """Take a unit that is no message."""
        units, size = self.units, len(data)
        if units and type(units[-1]) is Answers:
            units[-1].add(data)
        else:
            units.append(Answers(data))
        self.size += size
        self.answers += size

    def barrier_at_front(self) -> Barrier | None:
        """Return the barrier before all that waits, if that has to wait."""
        first = self.front[0] if self.front else self.units[0] if self.units else None
        return first if type(first) is Barrier and first.stands else None

    def wait_for_commit(self, commits: Commits) -> None:
        """Let what comes from now on leave once the open batch of `commits` is safe."""
        if commits.open and (self._barrier is None or not self._barrier.covers(commits)):
            self.evict()
            self._barrier, self.plain = Barrier(commits), False
            self.units.append(self._barrier)

    def retained(self, batches: Iterator[Batch | None]) -> None:
        """Take retained messages: some now, the rest as the client reads. None is a step without one.

        A search that has begun holds a position in the tree, so only one of a link has begun at a time.
        """
        self.evict()
        budget = 0 if self.searches or self.count >= limits.RETAINED_AT_ONCE else limits.RETAINED_AT_ONCE
        while budget > 0 and not self.is_half_full():
            batch = next(batches, END)
            if batch is END:
                break
            budget -= 1
            if batch is None:
                continue
            if batch.count:
                self.put(batch)
            else:
                self.turn.counters.uncarried += 1
                self.miss(1)
        else:
            overflow.append_search(self, Search(batches))
        self.mark()

    def purge(self, keep: Keep) -> None:
        """Forget messages on topics that `keep` denies. The client may not know of them: they don't count as lost."""
        self.evict()
        overflow.purge(self, keep)
        self.mark()

    def give_way(self, weight: int) -> bool:
        """All outboxes hold too much: drop messages until `weight` is left. False: the link is cut instead."""
        self.evict()
        if overflow.give_way(self, weight):
            return not self.stopped  # a notice may have failed
        self.owner.on_overflow()
        return False

    def lose(self, count: int) -> None:
        """Count messages that were dropped; a gap notice follows."""
        self._dropped += count
        self.turn.counters.dropped += count
        self.plain = False

    def notice(self, count: int) -> bytes:
        """Encode the notice that `count` messages were dropped; empty: there is none."""
        try:
            return self.owner.gap(count)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.owner.fail(error)
            return b""

    def mark(self) -> None:
        """Have this flushed at the end of this turn."""
        if not self._dirty:
            self._dirty = True
            self.turn.outboxes.append(self)
        if not self.turn.scheduled:
            self.turn.schedule_flush()

    def new_copying(self, subscriptions: Sequence[Subscription]) -> CopyingReceiver:
        """Return what takes messages for many subscriptions of this link."""
        return CopyingReceiver(self, subscriptions)

    # Backlogs

    def new_backlog(self, group: Any) -> Backlog:
        """Return a backlog for a group of receivers, of which this is one."""
        return Backlog(self.turn, self._slow, group)

    def evict(self) -> None:
        """Take what waits in backlogs, and stand in none for a while: something comes for this outbox alone."""
        if self.places is not None:
            self.stalled = False
            self._rest = limits.BACKLOG_REST
            for backlog in overflow.settle(self):
                backlog.send_home(self)

    def settle(self) -> None:
        """Take what waits in backlogs, and stand in them again."""
        for backlog in overflow.settle(self):
            if not backlog.join(self):
                backlog.send_home(self)

    def is_over(self) -> bool:
        """Return whether more waits, here and in backlogs, than fits."""
        count, size = overflow.depth(self)
        return count > QUEUE_MESSAGES or size > self.limit

    def stay_alone(self, alone: bool) -> None:
        """Have each message put into this outbox itself, as a trace wants it."""
        self.evict()
        self._alone, self.stalled = alone, False

    def _wait_paused(self) -> None:
        """A turn has ended that brought something while the transport is paused."""
        for unit in reversed(self.units):
            if not isinstance(unit, Batch) or not unit.pack():
                break
        self._slow.count(self)
        if self._rest:
            self._rest -= 1
        elif not self.stalled and not self._alone:
            self.stalled = True
            self.turn.counters.stalls += 1

    # What leaves

    def flush(self) -> None:
        """Hand over what waits, in one write, as far as the transport takes it."""
        self._dirty = False
        if self.paused:
            if not self.stopped:
                self._wait_paused()
            return
        try:
            if not self.plain or self.size > FLUSH_BYTES:
                flushing.flush(self, False)
            elif units := self.units:
                if len(units) == 1:
                    data = units[0].data or units[0].join()
                else:
                    data = b"".join([unit.data or unit.join() for unit in units])
                units.clear()
                self.sent += self.count
                self.sent_bytes += self.size
                self.size = self.held
                self.count = self.answers = 0
                self.wire.write(data)
            if self.drained is not None and not self.answers:
                self.drained()
        except Exception as error:  # noqa: BLE001  a plugin's dialect: its fault costs its own link
            self.owner.fail(error)

    def hand_over(self, unit: Any) -> None:
        """Write a unit with this flush."""
        flushing.hand_over(self, unit)

    def tell_lost(self) -> None:
        """Write the notice of what was lost before the next message."""
        if self.lost:
            notice = self.notice(self.lost)
            self.lost = 0
            if notice:
                assert self.frames is not None
                self.frames.append(notice)

    def pause(self, held: int) -> None:
        """The transport takes no more for now; `held` bytes of the last write wait in it."""
        self.paused = True
        self._rest = limits.BACKLOG_REST
        self.size += held - self.held
        self.held = held
        self._slow.count(self)

    def resume(self) -> None:
        """The transport takes more."""
        self.evict()
        self.paused = self.stalled = False
        self.size -= self.held
        self.held = 0
        self._slow.forget(self)
        self.mark()

    def clear(self) -> None:
        """The link has gone: forget everything, and take nothing any more."""
        self._dropped = self.dropped
        for backlog, place in (self.places or {}).items():
            backlog.remove(self, place)
        self.places = None
        self._slow.forget(self)
        self.turn.commits.forget(self)
        self.turn.stream.forget(self)
        self.owner = NO_OWNER  # or both would hold each other until a garbage collection
        self.units.clear()
        self.units, self.front = [], []
        self.awaiting = self.latest = None
        self.size = self.count = self.answers = self.lost = self.missed = self.held = 0
        self.drained = None
        self.paused, self.stopped, self.plain, self.stalled = True, True, False, False
