"""The encoded units that wait to be written to one link, bounded; and what happens when the bound is reached.

A unit is a Batch. One without messages is an answer, a gap notice or a closing word: it keeps its place and is never
dropped. Nothing leaves while the transport is paused; each flush hands over at most limits.FLUSH_BYTES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from hubbub import limits
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.session import LATER, LOST, NOW, Batch
from hubbub.limits import FLUSH_BYTES, QUEUE_MESSAGES
from hubbub.message import Message

POLICIES = ("drop-oldest", "drop-newest", "latest", "disconnect")


class Owner(Protocol):
    """Whose outbox it is: a link."""

    def gap(self, n: int) -> bytes:
        """Word the notice that n messages were dropped; empty where that can't be said."""

    def on_overflow(self) -> None:
        """The outbox is full, and the policy is to disconnect."""

    def fail(self, error: Exception) -> None:
        """The dialect has raised: close."""


class _Nobody:
    """The owner of an outbox whose link has gone."""

    def gap(self, n: int) -> bytes:
        return b""

    def on_overflow(self) -> None:
        pass

    def fail(self, error: Exception) -> None:
        pass


_NOBODY = _Nobody()
_END = Batch((), (b"",))  # of a _Source


class _Source:
    """A unit that is made as room appears: what is left of many retained messages."""

    __slots__ = ("batches", "count", "size")

    def __init__(self, batches: Iterator[Batch | None]) -> None:
        self.batches = batches
        self.count = 0
        self.size = 0


class Outbox:
    """What waits for one stream link.

    write    takes bytes for the transport, and may call `pause` before it returns
    full     one of POLICIES; limit: bytes
    drained  where set, is called at the end of each flush that leaves no answer waiting
    """

    __slots__ = (
        "_hub", "_owner", "_write", "_units", "_dirty", "_care", "_held", "_newest", "_dead", "_gone", "_searches",
        "full", "limit", "drained", "size", "count", "answers", "lost", "missed", "paused",
        "sent", "sent_bytes", "dropped",
    )  # fmt: skip

    stream = True

    def __init__(self, hub: Hub, owner: Owner, write: Callable[[bytes], Any], full: str, limit: int) -> None:
        self._hub = hub
        self._owner: Owner = owner
        self._write = write
        self._units: list[Any] = []
        self._dirty = False
        self._care = False  # something waits that a plain flush doesn't know how to handle
        self._held = 0  # bytes handed over that the transport hasn't sent yet
        self._newest: dict[str, Batch] | None = None  # while full with `latest`: the unit of each topic
        self._dead = 0  # units whose message was superseded
        self._gone = False  # its link
        self._searches = 0  # of retained messages, that wait
        self.full = full
        self.limit = limit
        self.drained: Callable[[], None] | None = None
        self.size = 0  # bytes, what the transport holds included
        self.count = 0  # messages
        self.answers = 0  # bytes of units without messages
        self.lost = 0  # messages dropped before the first that waits
        self.missed = 0  # messages dropped after the last that waits
        self.paused = False
        self.sent = 0  # messages handed over
        self.sent_bytes = 0  # of them and of answers
        self.dropped = 0  # messages lost

    @property
    def empty(self) -> bool:
        """Whether nothing waits here; the transport may still hold something."""
        return not self._units and not self.missed

    def put(self, batch: Batch) -> None:
        """Take messages, or let the policy decide."""
        size = self.size + batch.size
        count = self.count + batch.count
        if size > self.limit or count > QUEUE_MESSAGES or self._care:
            self._squeeze(batch)
            return
        self.size = size
        self.count = count
        self._units.append(batch)
        if not self._dirty:
            self._dirty = True
            self._hub.outboxes.append(self)

    def room(self, message: Message) -> int:
        """Tell what would become of a message here (kernel.sessions.session.Member)."""
        if self.count and (self.size >= self.limit or self.count >= QUEUE_MESSAGES):
            return LOST
        return LATER if self.paused or self.size > self.limit // 2 or self.count > QUEUE_MESSAGES // 2 else NOW

    def miss(self, count: int) -> None:
        """Note that `count` messages could not be carried here, at this place among the others."""
        self.missed += count
        self._care = True
        self.mark()

    def answer(self, data: bytes) -> None:
        """Take an answer to the client's own command; it is never dropped."""
        self._tell_missed()
        self._append(Batch((), (data,), self.stream))
        self.mark()

    def retained(self, batches: Iterator[Batch | None]) -> None:
        """Take retained messages: some now, the rest as the client reads. None is a step without one.

        A search that stands holds a place in the tree: behind one that waits no other begins.
        """
        if self._searches:
            self._wait_for(batches)
            self.mark()
            return
        budget = limits.RETAINED_AT_ONCE
        for batch in batches:
            if batch is None:
                pass
            elif batch.count:
                self.put(batch)
            else:
                self._hub.counters.uncarried += 1
                self.miss(1)
            budget -= 1
            if budget <= 0 or self.size > self.limit // 2 or self.count > QUEUE_MESSAGES // 2:
                self._wait_for(batches)
                break
        self.mark()

    @property
    def searches(self) -> int:
        """How many searches for retained messages wait."""
        return self._searches

    def _wait_for(self, batches: Iterator[Batch | None]) -> None:
        self._tell_missed()
        self._units.append(_Source(batches))
        self._searches += 1
        self._care = True

    def fail(self, error: Exception) -> None:
        """What was to be put here made its dialect raise."""
        self._owner.fail(error)

    def mark(self) -> None:
        """Ask for a flush at the end of this turn."""
        if not self._dirty:
            self._dirty = True
            self._hub.outboxes.append(self)
        self._hub.schedule_flush()

    def _append(self, batch: Batch) -> None:
        self._units.append(batch)
        self.size += batch.size
        self.count += batch.count
        if not batch.count:
            self.answers += batch.size

    # When it is full

    def _squeeze(self, batch: Batch) -> None:
        """Take of `batch` what the policy allows, message by message."""
        full = batch.full or self.full
        for one in batch.singles(self.stream):
            if full == "latest" and self._newest is not None:
                self._supersede(one)
            if not self._fits(one) and not self._make_room(one, full):
                if full == "disconnect":
                    self._owner.on_overflow()
                    return
                self._drop()
                self.missed += 1
                continue
            self._tell_missed()
            self._append(one)
            if full == "latest" and self._newest is not None:
                self._newest[one.messages[0].topic] = one
        self.mark()

    def _fits(self, one: Batch) -> bool:
        """Whether there is room; an empty outbox always takes one message."""
        if self.count == 0:
            return True
        return self.size + one.size <= self.limit and self.count < QUEUE_MESSAGES

    def _make_room(self, one: Batch, full: str) -> bool:
        """Drop messages that wait until `one` fits, where the policy says so."""
        self._care = True
        if full == "latest" and self._newest is None:
            self._conflate()
            self._supersede(one)
        if full in ("drop-newest", "disconnect"):
            return False
        at = 0
        while not self._fits(one):
            unit = self._units[at]
            if unit.count == 0:
                at += 1
                continue
            if unit.count > 1:
                self._units[at : at + 1] = unit.singles(self.stream)
                unit = self._units[at]
            del self._units[at]
            self._lose(unit)
        return True

    def _conflate(self) -> None:
        """Keep the newest message of each topic, of those that wait under `latest`."""
        units, self._units, self._newest = self._units, [], {}
        for unit in units:
            if not unit.count or (unit.full or self.full) != "latest":
                self._units.append(unit)
                continue
            for one in unit.singles(self.stream):
                self._units.append(one)
                self._supersede(one)
                self._newest[one.messages[0].topic] = one

    def _supersede(self, one: Batch) -> None:
        """Let the message that waits on the topic of `one` go. Its unit was made here, so it is ours to empty."""
        assert self._newest is not None
        old = self._newest.get(one.messages[0].topic)
        if old is None:
            return
        self._lose(old)
        old.messages, old.frames, old.data, old.size, old.count = (), (), b"", 0, 0
        self._dead += 1
        if self._dead > 64 and self._dead > len(self._units) // 4:
            self._units = [unit for unit in self._units if unit.count or type(unit) is _Source or unit.size]
            self._dead = 0

    def _lose(self, unit: Batch) -> None:
        self.size -= unit.size
        self.count -= unit.count
        self.lost += unit.count
        self._drop(unit.count)
        self._not_newest(unit)

    def _not_newest(self, unit: Batch) -> None:
        if self._newest is not None and self._newest.get(unit.messages[0].topic) is unit:
            del self._newest[unit.messages[0].topic]

    def _drop(self, count: int = 1) -> None:
        self.dropped += count
        self._care = True
        self._hub.counters.dropped += count

    def _tell_missed(self) -> None:
        if self.missed:
            count, self.missed = self.missed, 0
            notice = self._notice(count)
            if notice:
                self._append(Batch((), (notice,), self.stream))

    def _notice(self, count: int) -> bytes:
        try:
            return self._owner.gap(count)
        except Exception as error:  # noqa: BLE001  a plugin's dialect, amid what others wait for
            self._owner.fail(error)
            return b""

    def give_way(self, size: int) -> bool:
        """All outboxes hold too much: lose messages as the policy says until this one has `size` bytes left.

        False: the link is cut, because that is the policy, or because what isn't a message takes that much.
        """
        kept: list[Any] = []  # answers keep their place
        units, lost, at = self._units, self.lost, 0
        newest = self.full == "drop-newest"
        if newest:
            units.reverse()
        while self.size > size and at < len(units):
            unit = units[at]
            if unit.count > 1 and self.size - unit.size < size:
                units[at : at + 1] = unit.singles(self.stream)[:: -1 if newest else 1]
                unit = units[at]
            at += 1
            if not unit.count:
                kept.append(unit)
            elif (unit.full or self.full) == "disconnect":
                self._owner.on_overflow()
                return False
            else:
                self._lose(unit)
        if self.size > size:
            self._owner.on_overflow()
            return False
        units[:at] = kept
        if newest:
            units.reverse()
            count, self.lost = self.lost - lost, lost
            self._tell_there(len(units) - len(kept), count)
        return not self._gone

    def _tell_there(self, at: int, count: int) -> None:
        """Tell at this place that `count` messages were dropped."""
        notice = self._notice(count) if count else b""
        if notice and not self._gone:
            unit = Batch((), (notice,), self.stream)
            self._units.insert(at, unit)
            self.size += unit.size
            self.answers += unit.size

    # Handing over

    def flush(self) -> None:
        """Hand over what waits, in one write, as far as the transport takes it."""
        self._dirty = False
        if self.paused:
            if not self._gone:
                self._hub.backlog.count(self)
            return
        units = self._units
        try:
            if self._care or self.size > FLUSH_BYTES:
                self._flush_with_care()
            elif units:
                data = units[0].data if len(units) == 1 else b"".join([unit.data for unit in units])
                units.clear()
                self.sent += self.count
                self.sent_bytes += self.size
                self.size = self.count = self.answers = 0
                self._write(data)
            if self.drained is not None and not self.answers:
                self.drained()
        except Exception as error:  # noqa: BLE001  a plugin's dialect: its fault costs its own link
            self._owner.fail(error)

    def _flush_with_care(self) -> None:
        frames: list[bytes] = []
        self._take(frames, FLUSH_BYTES)
        if not self._units:
            self._newest = None
            self._dead = 0
            self._care = False
            self.lost, self.missed = self.lost + self.missed, 0
            self._tell_lost(frames)
        data = b"".join(frames)
        if data:  # what was superseded has none
            self.sent_bytes += len(data)
            self._write(data)
        if self._units and not self.paused:
            self.mark()

    def _hand_over(self, frames: list[bytes], unit: Batch) -> None:
        frames += (unit.data,)
        self.sent += unit.count

    def _tell_lost(self, frames: list[bytes]) -> None:
        notice = self._notice(self.lost) if self.lost else b""
        self.lost = 0
        if notice:
            frames.append(notice)

    def _take(self, frames: list[bytes], budget: int) -> None:
        """Move units into `frames` until `budget` bytes are reached."""
        taken, units = 0, self._units
        while taken < len(units) and budget > 0:
            unit = units[taken]
            if type(unit) is _Source:
                batch = next(unit.batches, _END)
                if batch is _END:
                    self._searches -= 1
                    taken += 1
                    continue
                budget -= FLUSH_BYTES // limits.RETAINED_AT_ONCE
                if batch is None:
                    continue
                if batch.count:
                    self._tell_lost(frames)
                    self._hand_over(frames, batch)
                else:
                    self._hub.counters.uncarried += 1
                    self.lost += 1
                budget -= batch.size
                continue
            if unit.count > 1 and unit.size > budget:
                if unit.size <= FLUSH_BYTES:
                    break  # it goes whole with the next flush
                units[taken : taken + 1] = unit.singles(self.stream)
                unit = units[taken]
            if unit.count:
                self._tell_lost(frames)
                self._not_newest(unit)
            else:
                self.answers -= unit.size
            self.count -= unit.count
            self.size -= unit.size
            self._hand_over(frames, unit)
            budget -= unit.size
            taken += 1
        del units[:taken]

    def pause(self, held: int) -> None:
        """The transport takes no more for now; `held` bytes of the last write still wait in it."""
        self.paused = True
        self.size += held - self._held
        self._held = held
        self._hub.backlog.count(self)

    def resume(self) -> None:
        """The transport takes more."""
        self.paused = False
        self.size -= self._held
        self._held = 0
        self._hub.backlog.forget(self)
        self.mark()

    def clear(self) -> None:
        """Forget everything: the link has gone, and takes nothing any more."""
        self._gone = True
        self._owner = _NOBODY  # which would hold this, and this it, until somebody looked for garbage
        self._hub.backlog.forget(self)
        self._units.clear()
        self._newest = self.drained = None
        self.paused = True
        self.size = self.count = self.answers = self.lost = self.missed = self._held = 0
