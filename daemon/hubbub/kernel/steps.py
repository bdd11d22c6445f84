"""Work that is too long for one turn of the reactor, some of it in each of the next turns."""

from __future__ import annotations

from collections.abc import Iterator

from hubbub import limits
from hubbub.kernel.turn import Turn


def spread(turn: Turn, kind: str, work: Iterator[object]) -> None:
    """Do as much of `work` at once as one job has time for, and the rest in later turns. It must not raise.

    work  yields after each piece, which is bounded
    kind  of the job, as metrics show it
    """

    def step(ends: float) -> None:
        left = limits.PIECES_AT_ONCE
        for _ in work:
            left -= 1
            if left <= 0 or turn.now() >= ends:
                turn.scheduler.add(kind, lambda: step(turn.scheduler.ends))
                turn.schedule_flush()
                return

    step(turn.now() + limits.JOB_SECONDS)
