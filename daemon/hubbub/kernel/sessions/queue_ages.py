"""The bound of how long a message waits in the queue of a session, `--limit queue-age`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hubbub import limits
from hubbub.kernel.sessions.client import Client
from hubbub.kernel.sessions.records import Key
from hubbub.kernel.steps import spread
from hubbub.kernel.turn import Turn


class QueueAges:
    """Drops what has waited for too long, also of clients that are away, so that it takes no room."""

    def __init__(self, turn: Turn, clients: Mapping[Key, Client]) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self._clients = clients
        self._turn = turn

    def look_later(self) -> None:
        """Look at all queues in a while, if there is a bound, and a client."""
        if self._clients and self._turn.bounds.queue_age:
            self._turn.alarms.at(self, self._turn.now() + limits.QUEUE_AGE_LOOK_SECONDS)

    def alarm(self, now: float) -> None:
        """Look at all queues, some in each turn (kernel.alarms.AlarmTarget)."""
        spread(self._turn, "queue ages", self._look())

    def _look(self) -> Iterator[None]:
        for client in list(self._clients.values()):
            client.drop_older()
            yield
        self.look_later()
