"""Topics below `$SYS/`: a subscriber gets their values at once, and again as they change.

While no client is subscribed to any of them, none is computed and no alarm rings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from hubbub import limits
from hubbub.kernel.routing.router import Router
from hubbub.kernel.steps import spread
from hubbub.kernel.turn import Turn
from hubbub.message import Message
from hubbub.topics import matches

SYSTEM = "$SYS/"


class SysTopics:
    """The topics below `$SYS/`.

    metrics    attribute: returns the current values by topic
    published  messages that were published here
    """

    __slots__ = ("alarm_at", "metrics", "published", "_known", "_router", "_turn")

    def __init__(self, turn: Turn, router: Router) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self.metrics: Callable[[], Mapping[str, str]] = dict
        self.published = 0
        self._turn = turn
        self._router = router
        self._known: Mapping[str, str] = {}

    def begin(self) -> None:
        """There is a subscriber: publish changes from now on."""
        if self.alarm_at is None:
            self._look()

    def match(self, filter: str) -> Iterator[Message]:
        """Yield what a filter matches, as retained messages."""
        for topic, value in self._known.items():  # as they are now: what changes is another mapping
            if matches(filter, topic):
                yield self._retained(topic, value)

    def _retained(self, topic: str, value: str) -> Message:
        message = Message(topic, value.encode())
        message.retain = message.retained = True
        message.time = self._turn.wall()
        return message

    def _look(self) -> Mapping[str, str]:
        """Look at the values, and again in a while. Returns those that have changed."""
        before, self._known = self._known, dict(self.metrics())
        self._turn.alarms.at(self, self._turn.now() + limits.SYSTEM_SECONDS)
        return {topic: value for topic, value in self._known.items() if before.get(topic) != value}

    def alarm(self, now: float) -> None:
        """Publish what has changed (kernel.alarms.AlarmTarget)."""
        router = self._router
        if not any(map(router.has_subscribers, self._known)):
            self._known = {}
            return
        spread(self._turn, "system", self._publishing(self._look()))

    def _publishing(self, changed: Mapping[str, str]) -> Iterator[None]:
        for topic, value in changed.items():
            if self._router.has_subscribers(topic):
                self.published += 1
                self._router.publish_own(Message(topic, value.encode()))
            yield
