"""What leaves an outbox with one flush, unit by unit. Each function is given the outbox."""

from __future__ import annotations

from functools import partial
from typing import Any

from hubbub import limits
from hubbub.kernel.connection.owner import NO_OWNER
from hubbub.kernel.connection.units import Answers, Barrier, Pieces, Search
from hubbub.kernel.routing.batch import END, Batch, SplicedBatch
from hubbub.limits import FLUSH_BYTES


def flush(outbox: Any, searching: bool) -> None:
    """Hand over what may leave now, in one write; with the next steps of a search if `searching`."""
    turn = outbox.turn
    outbox.frames = []
    take(outbox, searching)
    write(outbox)
    outbox.frames = None
    if outbox.awaiting is not None and outbox.room_for_replay() > 0:
        awaiting, outbox.awaiting = outbox.awaiting, None
        for there_is_room in awaiting.values():
            there_is_room()
    if not outbox.units or outbox.paused:
        return
    barrier = outbox.barrier_at_front()
    if barrier is not None:
        barrier.commits.wait(outbox, barrier.number)
    elif type(outbox.units[0]) is not Search:
        outbox.mark()
    elif not outbox.searching:
        outbox.searching = True
        turn.do_later("retained messages", partial(search, outbox))


def write(outbox: Any) -> None:
    """Write what was handed over."""
    data = b"".join(outbox.frames)
    outbox.frames.clear()
    if data:  # a superseded unit has none
        outbox.sent_bytes += len(data)
        outbox.wire.write(data)


def hand_over(outbox: Any, unit: Any) -> None:
    """Write a unit with this flush; what a long one shares with those of others is written without a copy."""
    pieces = unit.halves if type(unit) is SplicedBatch else unit.frames if type(unit) is Pieces else None
    if pieces is None:
        outbox.frames.append(unit.data or unit.join())
    else:
        for at, piece in enumerate(pieces):
            if at and outbox.paused:
                _put_back(outbox, Pieces(pieces[at:]))
                break
            outbox.frames.append(piece)
            write(outbox)
            if outbox.owner is NO_OWNER:
                return  # it was too much for all outboxes
    outbox.sent += unit.count


def append_pieces(outbox: Any, unit: Pieces) -> None:
    """Put a long unit behind all that waits."""
    outbox.units.append(unit)
    _count(outbox, unit)


def _put_back(outbox: Any, rest: Pieces) -> None:
    """Let the rest of a unit that has begun to leave wait before all others; like an answer it is never dropped."""
    outbox.queue().appendleft(rest)
    _count(outbox, rest)


def _count(outbox: Any, unit: Pieces) -> None:
    outbox.size += unit.size
    outbox.answers += unit.size
    outbox.plain = False


def search(outbox: Any) -> None:
    """Go on with the search for retained messages that stands first (kernel.scheduler.Job)."""
    outbox.searching = False
    if not outbox.paused:
        try:
            flush(outbox, True)
            if outbox.drained is not None and not outbox.answers:
                outbox.drained()
        except Exception as error:  # noqa: BLE001  a plugin's dialect: its fault costs its own link
            outbox.owner.fail(error)


def take(outbox: Any, searching: bool) -> None:
    """Hand units over, about FLUSH_BYTES, as far as no barrier stands before them.

    A search for retained messages takes limits.RETAINED_AT_ONCE steps, and one unless `searching`.
    """
    steps = limits.RETAINED_AT_ONCE if searching else 1
    units, budget = outbox.queue(), FLUSH_BYTES
    if outbox.front:
        units.extendleft(reversed(outbox.front))
        outbox.front = []
    while units and budget > 0:
        unit = units[0]
        if type(unit) is Search:
            if not steps:
                break
            batch = next(unit.batches, END)
            steps -= 1
            if batch is END:
                outbox.searches -= unit.weight
                outbox.size -= unit.size
                units.popleft()
            else:
                budget -= _take_found(outbox, batch)
        elif type(unit) is Barrier:
            if unit.stands:
                break
            units.popleft()
        elif unit.count > 1 and unit.size > budget and unit.size <= FLUSH_BYTES:
            break  # it leaves whole with the next flush
        else:
            budget -= _take_unit(outbox, unit, budget)
    if not units:
        outbox.units = []
        outbox.latest = None
        outbox.plain = outbox.awaiting is None and not outbox.stopped
        outbox.lost, outbox.missed = outbox.lost + outbox.missed, 0
        outbox.tell_lost()


def _take_unit(outbox: Any, unit: Any, budget: int) -> int:
    """Hand over the first unit, or as much of it as the budget lets through. Returns its bytes."""
    units = outbox.queue()
    units.popleft()
    if unit.count > 1 and unit.size > budget:
        at = unit.freeing(budget)
        if at < unit.count:
            units.appendleft(unit.part(at, unit.count))
            unit = unit.part(0, at)
    if unit.count:
        outbox.tell_lost()
        if outbox.latest is not None:
            outbox.latest.remove(unit)
    elif type(unit) is Answers or type(unit) is Pieces:
        outbox.answers -= unit.size
    outbox.count -= unit.count
    outbox.size -= unit.size
    outbox.hand_over(unit)
    size: int = unit.size
    return size


def _take_found(outbox: Any, batch: Batch | None) -> int:
    """Hand over a retained message that was found. Returns its bytes."""
    if batch is None:
        return 0
    if batch.count:
        outbox.tell_lost()
        outbox.hand_over(batch)
    else:
        outbox.turn.counters.uncarried += 1
        outbox.lost += 1
    return batch.size
