"""Which retained messages changed while a connector had no link.

A session queues messages of QoS 1 and 2. One of QoS 0 that was retained, or cleared, meanwhile is sent when the link is
back: each topic once, with the value that it has then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

from hubbub import limits
from hubbub.message import Message


class RetainedChanges:
    """Topics by subscription, bounded. A topic stays until its value was sent."""

    __slots__ = ("_overflown", "_size", "_topics")

    def __init__(self) -> None:
        self._overflown: set[Hashable] = set()
        self._size = 0  # characters
        self._topics: dict[Hashable, dict[str, None]] = {}

    def note(self, id: Hashable, messages: Sequence[Message]) -> None:
        """Take the topics of retained messages that a subscription would have brought."""
        topics = self._topics.setdefault(id, {})
        for message in messages:
            if not message.retain or message.topic in topics:
                continue
            if len(topics) >= limits.RETAINED_CHANGES or self._size > limits.RETAINED_CHANGES_SIZE:
                self._overflown.add(id)
            else:
                topics[message.topic] = None
                self._size += len(message.topic)

    def miss(self, id: Hashable) -> None:
        """Changes for a subscription weren't noted, as in an earlier process."""
        self._overflown.add(id)

    def overflown(self, id: Hashable) -> bool:
        """Return whether there were too many, and forget that: all retained messages are sent again then."""
        found = id in self._overflown
        self._overflown.discard(id)
        return found

    def take(
        self, id: Hashable, current: Callable[[str], Message | None], only_cleared: bool
    ) -> Iterator[Message | None]:
        """Yield the current retained message of each topic, an empty one if it was cleared, or None for a step without.

        only_cleared  for those that have one yield None
        """
        topics = self._topics.get(id, {})
        while topics:
            topic = next(iter(topics))
            del topics[topic]
            self._size -= len(topic)
            message = current(topic)
            if message is None:
                yield Message(topic, b"", retain=True)
            else:
                yield None if only_cleared else message
