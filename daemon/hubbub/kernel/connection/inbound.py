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

    def add(self, events: Iterable[Any]) -> None:
        """Hold events back behind those that wait already; only while `holding`."""
        assert self._events is not None
        self._events.extend(events)

    def clear(self) -> None:
        """Forget the events that are held back: the link acts on nothing more."""
        self._events = None

    def hold(self, link: Any, events: Iterable[Any]) -> None:
        """Hold events back until nothing blocks them, and stop reading."""
        if not link.active:
            return
        if self._events is None:
            self._events = deque()
            self.held_at = link.hub.turn.now()
            link.wire.reading(False)
        self._events.extend(events)
        if not self.blocked:
            link.outbox.drained = link.go_on

    def go_on(self, link: Any) -> None:
        """Act on the events that were held back, and read on."""
        if self.blocked and link.active:
            return
        if link.active:
            link.outbox.drained = None
            events, self._events = self._events, None
            if events is not None:
                link.act(events)
                if not self.holding and link.active:
                    self._read_on(link)
        link.shutdown.finish_if_done(link)

    def _read_on(self, link: Any) -> None:
        held_at, self.held_at = self.held_at, None
        if held_at is not None and link.dialect.deadline is not None:  # time in which nothing was read doesn't count
            link.dialect.deadline += link.hub.turn.now() - held_at
            link.set_alarm()
        link.wire.reading(True)

    def rest(self, link: Any, until: float) -> None:
        """Act on nothing more, and read nothing, until then: a monotonic time."""
        timeouts = link.timeouts
        if timeouts.rest_until is None:
            self.blocked += 1
        timeouts.rest_until = max(until, timeouts.rest_until or until)
        link.set_alarm()

    def rested(self, link: Any) -> None:
        """The time of `rest` is over."""
        self.blocked -= 1
        self.go_on(link)
