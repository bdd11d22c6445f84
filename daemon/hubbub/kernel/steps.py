"""Work that is too long for one turn of the reactor, some of it in each of the next turns. It must not raise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from hubbub import limits
from hubbub.kernel.turn import Turn

_T = TypeVar("_T")


def spread(turn: Turn, kind: str, work: Iterator[object]) -> None:
    """Do as much of `work` at once as one job has time for, and the rest in later turns.

    work  yields after each piece, which is bounded
    kind  of the job, as metrics show it
    """
    _go_on(turn, kind, work, turn.now() + limits.JOB_SECONDS)


def spread_later(turn: Turn, kind: str, work: Iterator[object]) -> None:
    """Do `work` in later turns: many may ask for it in this one."""
    turn.do_later(kind, lambda: _go_on(turn, kind, work, turn.scheduler.ends))


def _go_on(turn: Turn, kind: str, work: Iterator[object], ends: float) -> None:
    left = limits.PIECES_AT_ONCE
    for _ in work:
        left -= 1
        if left <= 0 or turn.now() >= ends:
            spread_later(turn, kind, work)
            return


def in_pieces(those: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Yield `size` of those at a time."""
    for at in range(0, len(those), size):
        yield those[at : at + size]
