"""How many messages each topic gets, counted for as long as a client looks at the topics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from hubbub import limits
from hubbub.kernel.hub import Hub
from hubbub.message import Message


class Level:
    """One level of topics.

    children  the levels below, by name; rows: the same in the order in which they came
    messages  on this topic and on all below it
    payload   the first bytes of the last one on this topic, None: there was none; size: all of its bytes
    time      Unix seconds of that message; retained: whether it is the retained one
    """

    __slots__ = ("children", "messages", "name", "payload", "retained", "rows", "size", "time")

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: dict[str, Level] = {}
        self.rows: list[Level] = []
        self.messages = 0
        self.payload: bytes | None = None
        self.size = 0
        self.time = 0.0
        self.retained = False

    def note(self, message: Message) -> None:
        """This is the last message of the topic."""
        payload = message.payload
        self.size = len(payload)
        self.payload = payload if self.size <= limits.COUNTED_VALUE_BYTES else payload[: limits.COUNTED_VALUE_BYTES]
        self.time = message.time
        self.retained = message.retain or message.retained


class TopicCounts:
    """Counts from the first look on, until limits.COUNTED_SECONDS after the last; then it forgets everything.

    since   Unix seconds when it began; missed: messages on topics that found no room
    topics  those with a message, in the order in which they came
    """

    def __init__(self, hub: Hub) -> None:
        self.alarm_at: tuple[float, int] | None = None
        self._hub = hub
        self._until = 0.0
        self._forget()

    def _forget(self) -> None:
        self.since = 0.0
        self.missed = 0
        self.topics: list[str] = []
        self._root = Level("")
        self._paths: dict[str, tuple[Level, ...]] = {}
        self._levels = 0
        self._bytes = 0
        self._loading: Iterator[Message | None] = iter(())

    def look(self) -> Level:
        """Return the root of the levels as they are now; the first look begins with the retained messages."""
        turn = self._hub.turn
        self._until = turn.now() + limits.COUNTED_SECONDS
        if not self.since:
            self.since = turn.wall()
            self._hub.router.commit()
            self._hub.router.watch = self.count
            self._loading = self._hub.retained.match("#")
            turn.alarms.at(self, self._until)
            self._load()
        return self._root

    def at(self, topic: str) -> Level | None:
        """Return one level, as `look` does."""
        level: Level | None = self.look()
        for name in topic.split("/"):
            level = None if level is None else level.children.get(name)
        return level

    def path(self, topic: str) -> tuple[Level, ...]:
        """Return the levels of a topic that has a message."""
        return self._paths.get(topic, ())

    def count(self, messages: list[Message]) -> None:
        """Count messages (kernel.routing.router.Router.watch)."""
        paths = self._paths
        for message in messages:
            path = paths.get(message.topic) or self._add(message.topic)
            if path:
                for level in path:
                    level.messages += 1
                path[-1].note(message)

    def _add(self, topic: str) -> tuple[Level, ...]:
        """Make the levels of a topic; none where it has no room, or is one of the hub's own."""
        if topic[:1] == "$":
            return ()
        names = topic.split("/")
        if self._levels + len(names) > limits.COUNTED_LEVELS or self._bytes + len(topic) > limits.COUNTED_BYTES:
            self.missed += 1
            return ()
        path, level = [], self._root
        for name in names:
            below = level.children.get(name)
            if below is None:
                below = level.children[name] = Level(name)
                level.rows.append(below)
                self._levels += 1
            path.append(below)
            level = below
        self._bytes += len(topic)
        self.topics.append(topic)
        found = self._paths[topic] = tuple(path)
        return found

    def _load(self) -> None:
        """Take some of the retained messages, and the others in later turns."""
        more = False
        for message in islice(self._loading, limits.RETAINED_AT_ONCE):
            more = True
            if message is not None and message.topic not in self._paths:
                path = self._add(message.topic)
                if path:
                    path[-1].note(message)
        if more:
            self._hub.turn.do_later("topics", self._load)

    def alarm(self, now: float) -> None:
        """The last look may be long ago (kernel.alarms.AlarmTarget)."""
        if now < self._until:
            self._hub.turn.alarms.at(self, self._until)
            return
        self._hub.router.watch = None
        self._forget()
