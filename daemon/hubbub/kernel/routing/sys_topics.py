"""What the hub says of itself on `$SYS/...`: known at once to who subscribes, then told again as it changes.

Nothing of it is made, and nothing wakes, while nobody is subscribed to any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from hubbub import limits
from hubbub.message import Message
from hubbub.topics import matches

if TYPE_CHECKING:
    from hubbub.kernel.hub import Hub

SYSTEM = "$SYS/"


class SysTopics:
    """The topics below `$SYS/` of one hub.

    figures  attribute: returns what there is to say now, by topic
    said     messages that were published here, which no client has sent
    """

    __slots__ = ("alarm_at", "metrics", "said", "_hub", "_known")

    def __init__(self, hub: Hub) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self.metrics: Callable[[], Mapping[str, str]] = dict
        self.said = 0
        self._hub = hub
        self._known: Mapping[str, str] = {}

    def begin(self) -> None:
        """Somebody wants to know: from now on it is told as it changes."""
        if self.alarm_at is None:
            self._look()

    def match(self, filter: str) -> Iterator[Message]:
        """Go through what a filter matches, as retained messages."""
        for topic, value in self._known.items():  # as they are now: what changes is another mapping
            if matches(filter, topic):
                yield self._retained(topic, value)

    def _retained(self, topic: str, value: str) -> Message:
        message = Message(topic, value.encode())
        message.retain = message.retained = True
        message.time = self._hub.wall()
        return message

    def _look(self) -> Mapping[str, str]:
        """Look at the figures, and again in a while. Returns what has changed."""
        before, self._known = self._known, dict(self.metrics())
        self._hub.alarms.at(self, self._hub.now() + limits.SYSTEM_SECONDS)
        return {topic: value for topic, value in self._known.items() if before.get(topic) != value}

    def alarm(self, now: float) -> None:
        """It is time to look again, if somebody wants to know (kernel.alarms.Sleeper)."""
        hub = self._hub
        if not any(map(hub.listened, self._known)):
            self._known = {}
            return
        for topic, value in self._look().items():
            if hub.listened(topic):
                self.said += 1
                hub.say(Message(topic, value.encode()))
