"""The events of one link that wait: for the result of an earlier one, or for a client that doesn't read its answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any


class InboundQueue:
    """Events that are held back, in order. While there are any, the link isn't read.

    blocked  how many reasons there are to act on no further event
    held_at  monotonic seconds since when events are held back; None: they aren't
    """

    __slots__ = ("blocked", "held_at", "_events")

    def __init__(self) -> None:
        self.blocked = 0
        self.held_at: float | None = None
        self._events: deque[Any] | None = None

    @property
    def holding(self) -> bool:
        """Whether events are held back, and with them reading."""
        return self._events is not None

    def __len__(self) -> int:
        return len(self._events or ())

    def begin(self, now: float) -> bool:
        """Hold events back from now on. False: they are held back already."""
        if self._events is not None:
            return False
        self._events = deque()
        self.held_at = now
        return True

    def add(self, events: Iterable[Any]) -> None:
        """Hold events back behind those that wait already; only while `holding`."""
        assert self._events is not None
        self._events.extend(events)

    def take(self) -> deque[Any] | None:
        """Hold events back no longer, and return them; None: there was nothing to hold back."""
        events, self._events = self._events, None
        return events

    def release(self) -> float | None:
        """The link is read again. Returns since when it wasn't."""
        held_at, self.held_at = self.held_at, None
        return held_at
