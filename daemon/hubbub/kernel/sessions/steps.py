"""Work on many messages, some of them in each turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from hubbub import limits
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.turn import Turn


def in_steps(
    turn: Turn,
    messages: Iterable[InflightMessage],
    take: Callable[[list[InflightMessage]], object],
    done: Callable[[], object] | None = None,
) -> None:
    """Call `take` with some of the messages in each of the next turns; it returns True to stop. Then call `done`."""
    left = iter(messages)

    def step() -> None:
        some = list(islice(left, limits.SHARED_AT_ONCE))
        if some and not take(some):
            later()
        elif done is not None:
            done()

    def later() -> None:
        turn.scheduler.add("shared messages", step)
        turn.schedule_flush()

    later()
