"""What is left of the messages of a batch while it waits: their topics, in one piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubbub.joined_frames import ends_of


class Topic:
    """What is left of a message in a packed batch."""

    __slots__ = ("topic",)

    def __init__(self, topic: str) -> None:
        self.topic = topic


class Topics(Sequence[Topic]):
    """The messages of a packed batch, as their topics alone: cut out of one text, or the same for all."""

    __slots__ = ("_count", "_ends", "_text")

    def __init__(self, messages: Sequence[Any]) -> None:
        self._count = len(messages)
        self._text: str = messages[0].topic
        self._ends: Sequence[int] | None = None
        if self._count > 1:
            topics = [message.topic for message in messages]
            if topics.count(self._text) < self._count:
                self._text, self._ends = "".join(topics), ends_of(topics)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(self._count))]
        ends = self._ends
        if ends is None:
            if at >= self._count:
                raise IndexError(at)
            return Topic(self._text)
        return Topic(self._text[ends[at - 1] if at else 0 : ends[at]])
