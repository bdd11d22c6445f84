"""What leaves an outbox with one flush, unit by unit. Each function is given the outbox."""

from __future__ import annotations

from typing import Any

from hubbub import limits
from hubbub.kernel.connection.units import END, Answers, Barrier, Search
from hubbub.kernel.routing.batch import Batch
from hubbub.limits import FLUSH_BYTES


def take(outbox: Any, safe: int) -> None:
    """Hand units over, about FLUSH_BYTES, as far as the store's batches up to `safe` let it."""
    units, budget = outbox.queue(), FLUSH_BYTES
    if outbox.front:
        units.extendleft(reversed(outbox.front))
        outbox.front = []
    while units and budget > 0:
        unit = units[0]
        if type(unit) is Search:
            batch = next(unit.batches, END)
            if batch is END:
                outbox.searches -= 1
                units.popleft()
            else:
                budget -= FLUSH_BYTES // limits.RETAINED_AT_ONCE + _take_found(outbox, batch)
        elif type(unit) is Barrier:
            if unit.number > safe:
                break
            units.popleft()
        elif unit.count > 1 and unit.size > budget and unit.size <= FLUSH_BYTES:
            break  # it leaves whole with the next flush
        else:
            budget -= _take_unit(outbox, unit, budget)
    if not units:
        outbox.units = []
        outbox.latest = None
        outbox.plain = True
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
    elif type(unit) is Answers:
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
        outbox.note_uncarried()
        outbox.lost += 1
    return batch.size
