"""The bounded queue of one outbox, and its policies for when the bound is reached.

A unit is a Batch. One without messages is an answer, a gap notice or a last unit: it keeps its place and is never
dropped. Gap notices stand where messages are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from hubbub import limits
from hubbub.kernel.connection.units import Barrier, Keep, Latest, Search, part_of
from hubbub.kernel.counters import Counters
from hubbub.kernel.routing.subscription import Batch
from hubbub.limits import FLUSH_BYTES, QUEUE_MESSAGES

POLICIES = ("drop-oldest", "drop-newest", "latest", "disconnect")

_END = Batch((), (b"",))  # of a Search


class Owner(Protocol):
    """The link of a queue."""

    def gap(self, n: int) -> bytes:
        """Encode the notice that n messages were dropped; empty: the dialect has none."""

    def on_overflow(self) -> None:
        """The queue is full, and the policy is to disconnect."""

    def fail(self, error: Exception) -> None:
        """The dialect has raised: close."""


class NoOwner:
    """The owner of a queue whose link has gone."""

    def gap(self, n: int) -> bytes:
        return b""

    def on_overflow(self) -> None:
        pass

    def fail(self, error: Exception) -> None:
        pass


NO_OWNER = NoOwner()


class Sink(Protocol):
    """Takes what leaves the queue."""

    def hand_over(self, unit: Batch) -> None: ...
    def tell_lost(self) -> None: ...


class UnitQueue:
    """What waits for one link.

    owner        its link
    full, limit  the overflow policy, one of POLICIES, and the bound in bytes
    held         bytes handed over that the transport hasn't sent yet
    size, count  bytes, `held` included, and messages; answers: bytes of units without messages
    lost         messages dropped before the first that waits; missed: after the last; dropped: all of them
    searches     searches for retained messages that wait
    plain        whether all that waits may leave in one write, without a look at each unit
    """

    __slots__ = (
        "answers", "count", "dropped", "full", "held", "limit", "lost", "missed", "owner", "plain", "searches", "size",
        "units", "_barrier", "_counters", "_latest", "_stream",
    )  # fmt: skip

    def __init__(self, counters: Counters, owner: Owner, full: str, limit: int, stream: bool) -> None:
        self.answers = 0
        self.count = 0
        self.dropped = 0
        self.full = full
        self.held = 0
        self.limit = limit
        self.lost = 0
        self.missed = 0
        self.owner: Owner = owner
        self.plain = True
        self.searches = 0
        self.size = 0
        self.units: list[Any] = []
        self._barrier = 0  # the batch of the last barrier
        self._counters = counters
        self._latest: Latest | None = None  # while full with `latest`
        self._stream = stream

    # Units come

    def put(self, batch: Batch) -> bool:
        """Take messages, or drop some as the policy says. False: the policy is to disconnect."""
        size = self.size + batch.size
        count = self.count + batch.count
        if size > self.limit or count > QUEUE_MESSAGES or not self.plain:
            return self._put_each(batch)
        self.size = size
        self.count = count
        self.units.append(batch)
        return True

    def answer(self, data: bytes) -> None:
        """Take an answer; it is never dropped."""
        self._tell_missed()
        self._append(Batch((), (data,), self._stream))

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried here, at this place among the others."""
        self.missed += count
        self.plain = False

    def wait_for(self, batches: Iterator[Batch | None]) -> None:
        """Search for retained messages as there is room."""
        self._tell_missed()
        self.units.append(Search(batches))
        self.searches += 1
        self.plain = False

    def barrier(self, number: int) -> None:
        """Let units that come from now on leave once the store's batch of that number is safe."""
        if number > self._barrier:
            self._barrier = number
            self.units.append(Barrier(number))
            self.plain = False

    def barrier_at_front(self) -> int:
        """Return the number of the barrier at the front of the queue, or 0."""
        return self.units[0].number if self.units and type(self.units[0]) is Barrier else 0

    def is_half_full(self) -> bool:
        """Return whether a message would wait behind many others."""
        return self.size > self.limit // 2 or self.count > QUEUE_MESSAGES // 2

    def is_full(self) -> bool:
        """Return whether one more message means that one is dropped."""
        return bool(self.count) and (self.size >= self.limit or self.count >= QUEUE_MESSAGES)

    def _append(self, batch: Batch) -> None:
        self.units.append(batch)
        self.size += batch.size
        self.count += batch.count
        if not batch.count:
            self.answers += batch.size

    def _put_each(self, batch: Batch) -> bool:
        """Take of `batch` what the policy allows, message by message."""
        full = batch.full or self.full
        for one in batch.singles(self._stream):
            if full == "latest" and self._latest is not None:
                self._supersede(self._latest, one)
            if not self._fits(one) and not self._make_room(one, full):
                if full == "disconnect":
                    return False
                self._count_drop()
                self.missed += 1
                continue
            self._tell_missed()
            self._append(one)
            if full == "latest" and self._latest is not None:
                self._latest.add(one)
        return True

    def _fits(self, one: Batch) -> bool:
        """Return whether there is room; an empty queue always takes one message."""
        if self.count == 0:
            return True
        return self.size + one.size <= self.limit and self.count < QUEUE_MESSAGES

    def _make_room(self, one: Batch, full: str) -> bool:
        """Drop waiting messages until `one` fits, if the policy says so."""
        self.plain = False
        if full == "latest" and self._latest is None:
            self._supersede(self._conflate(), one)
        if full in ("drop-newest", "disconnect"):
            return False
        at = 0
        while not self._fits(one):
            unit = self.units[at]
            if unit.count == 0:
                at += 1
                continue
            if unit.count > 1:
                self.units[at : at + 1] = unit.singles(self._stream)
                unit = self.units[at]
            del self.units[at]
            self._lose(unit)
        return True

    def _conflate(self) -> Latest:
        """Keep the newest message of each topic, of those that wait under `latest`."""
        units, self.units = self.units, []
        latest = self._latest = Latest()
        for unit in units:
            if not unit.count or (unit.full or self.full) != "latest":
                self.units.append(unit)
                continue
            for one in unit.singles(self._stream):
                self.units.append(one)
                self._supersede(latest, one)
                latest.add(one)
        return latest

    def _supersede(self, latest: Latest, one: Batch) -> None:
        """Drop the message that waits on the topic of `one`."""
        old = latest.superseded(one)
        if old is None:
            return
        self._lose(old)
        latest.empty(old)
        if latest.dead > 64 and latest.dead > len(self.units) // 4:
            self.units = [unit for unit in self.units if unit.size or type(unit) is not Batch]
            latest.dead = 0

    def _lose(self, unit: Batch) -> None:
        self.size -= unit.size
        self.count -= unit.count
        self.lost += unit.count
        self._count_drop(unit.count)
        if self._latest is not None:
            self._latest.remove(unit)

    def lose_sent(self) -> None:
        """A message that was handed over couldn't be sent."""
        self.lost += 1
        self._count_drop()

    def _count_drop(self, count: int = 1) -> None:
        self.dropped += count
        self.plain = False
        self._counters.dropped += count

    def _tell_missed(self) -> None:
        if self.missed:
            count, self.missed = self.missed, 0
            notice = self.notice(count)
            if notice:
                self._append(Batch((), (notice,), self._stream))

    def give_way(self, size: int) -> bool:
        """Drop messages as the policy says until `size` bytes are left.

        False: the link is to be cut, by its policy or because other units than messages take that much.
        """
        kept: list[Any] = []  # answers keep their place
        units, lost, at = self.units, self.lost, 0
        newest = self.full == "drop-newest"
        if newest:
            units.reverse()
        while self.size > size and at < len(units):
            unit = units[at]
            if unit.count > 1 and self.size - unit.size < size:
                units[at : at + 1] = unit.singles(self._stream)[:: -1 if newest else 1]
                unit = units[at]
            at += 1
            if not unit.count:
                kept.append(unit)
            elif (unit.full or self.full) == "disconnect":
                return False
            else:
                self._lose(unit)
        if self.size > size:
            return False
        units[:at] = kept
        if newest:
            units.reverse()
            count, self.lost = self.lost - lost, lost
            self._tell_there(len(units) - len(kept), count)
        return True

    def notice(self, count: int) -> bytes:
        """Encode the notice that `count` messages were dropped; empty: there is none."""
        try:
            return self.owner.gap(count)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.owner.fail(error)
            return b""

    def _tell_there(self, at: int, count: int) -> None:
        """Put a gap notice of `count` messages at this place."""
        notice = self.notice(count) if count else b""
        if notice:
            unit = Batch((), (notice,), self._stream)
            self.units.insert(at, unit)
            self.size += unit.size
            self.answers += unit.size

    def purge(self, keep: Keep) -> None:
        """Forget messages on topics that `keep` denies. The client may not know of them: they don't count as lost."""
        units, self.units = self.units, []
        for unit in units:
            left = unit
            if type(unit) is Search:
                unit.purge(keep)
            elif not all(keep(message.topic) for message in getattr(unit, "messages", ())):
                if self._latest is not None:
                    self._latest.remove(unit)
                left = part_of(unit, keep, self._stream)
                self.size += left.size - unit.size
                self.count += left.count - unit.count
            if left is unit or left.count:
                self.units.append(left)

    # Units leave

    def take_all(self) -> bytes:
        """Take everything, joined; only while `plain`."""
        units = self.units
        data: bytes = units[0].data if len(units) == 1 else b"".join([unit.data for unit in units])
        units.clear()
        self.size = self.held
        self.count = self.answers = 0
        return data

    def take(self, sink: Sink, safe: int) -> None:
        """Hand units over to `sink`, about FLUSH_BYTES, as far as the store's batches up to `safe` let it."""
        taken, units, budget = 0, self.units, FLUSH_BYTES
        while taken < len(units) and budget > 0:
            unit = units[taken]
            kind = type(unit)
            if kind is Search:
                batch = next(unit.batches, _END)
                if batch is _END:
                    self.searches -= 1
                    taken += 1
                else:
                    budget -= FLUSH_BYTES // limits.RETAINED_AT_ONCE + self._take_found(sink, batch)
                continue
            if kind is Barrier:
                if unit.number > safe:
                    break
            else:
                if unit.count > 1 and unit.size > budget:
                    if unit.size <= FLUSH_BYTES:
                        break  # it leaves whole with the next flush
                    units[taken : taken + 1] = unit.singles(self._stream)
                    unit = units[taken]
                self._take_unit(sink, unit)
                budget -= unit.size
            taken += 1
        del units[:taken]
        if not units:
            self._latest = None
            self.plain = True
            self.lost, self.missed = self.lost + self.missed, 0
            sink.tell_lost()

    def _take_unit(self, sink: Sink, unit: Batch) -> None:
        if unit.count:
            sink.tell_lost()
            if self._latest is not None:
                self._latest.remove(unit)
        else:
            self.answers -= unit.size
        self.count -= unit.count
        self.size -= unit.size
        sink.hand_over(unit)

    def _take_found(self, sink: Sink, batch: Batch | None) -> int:
        """Hand over a retained message that was found. Returns its bytes."""
        if batch is None:
            return 0
        if batch.count:
            sink.tell_lost()
            sink.hand_over(batch)
        else:
            self._counters.uncarried += 1
            self.lost += 1
        return batch.size

    def hold(self, held: int) -> None:
        """The transport holds so many bytes that it hasn't sent."""
        self.size += held - self.held
        self.held = held

    def clear(self) -> None:
        """Forget everything: the link has gone."""
        self.owner = NO_OWNER  # or both would hold each other until a garbage collection
        self.units.clear()
        self._latest = None
        self.size = self.count = self.answers = self.lost = self.missed = self.held = 0
