"""The bound of how long a message waits in the queue of a session, or in a work queue: `--limit queue-age`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from hubbub import limits
from hubbub.kernel.steps import spread
from hubbub.kernel.turn import Turn


class Queue(Protocol):
    """Has messages that wait."""

    def drop_older(self) -> None:
        """Drop those that have waited for longer than `queue-age`."""


class QueueAges:
    """Drops what has waited for too long, also of clients that are away, so that it takes no room."""

    def __init__(self, turn: Turn, *queues: Mapping[Any, Queue]) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self._queues = queues
        self._turn = turn

    def look_later(self) -> None:
        """Look at all queues in a while, if there is a bound, and a queue."""
        if any(self._queues) and self._turn.bounds.queue_age:
            self._turn.alarms.at(self, self._turn.now() + limits.QUEUE_AGE_LOOK_SECONDS)

    def alarm(self, now: float) -> None:
        """Look at all queues, some in each turn (kernel.alarms.AlarmTarget)."""
        spread(self._turn, "queue ages", self._look())

    def _look(self) -> Iterator[None]:
        for queue in [queue for some in self._queues for queue in some.values()]:
            queue.drop_older()
            yield
        self.look_later()
