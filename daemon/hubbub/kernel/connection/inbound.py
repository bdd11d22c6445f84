"""The events of one link that wait: for the result of an earlier one, for their turn, or for answers to be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from hubbub import limits
from hubbub.kernel.connection import unread


class InboundQueue:
    """Events that are held back, in order. While there are any, the link isn't read.

    deferred  how many times its share of a turn was over first
    blocked  how many reasons there are to act on no further event
    held_at  monotonic seconds since when events are held back; None: they aren't
    holding  whether events are held back, and with them reading
    unread   what came behind them and isn't decoded yet, see connection.unread; None: there has been nothing
    """

    __slots__ = ("blocked", "deferred", "held_at", "holding", "unread", "_events", "_taking")

    def __init__(self) -> None:
        self.blocked = 0
        self.deferred = 0
        self.held_at: float | None = None
        self.holding = False
        self.unread: deque[tuple[bytes, bool | None]] | None = None
        self._events: deque[Any] = _NOTHING
        self._taking: _Taking | None = None  # acts on `_events`: what it has yet to yield has never left the queue

    def __len__(self) -> int:
        return len(self._events)

    def hold(self, link: Any, events: Iterable[Any]) -> None:
        """Hold events back until nothing blocks them, and stop reading."""
        if not link.active:
            return
        if self.holding:
            self.add(events)
        else:
            self._begin(link.hub.turn.now())
            if events is not self._taking:
                self._events.extendleft(reversed(list(events)))
            link.wire.reading(False)
        if not self.blocked:
            link.outbox.drained = link.go_on

    def _begin(self, now: float) -> None:
        self.holding = True
        if self._events is _NOTHING:
            self._events = deque()
            self._taking = _Taking(self._events)
        if self.held_at is None:
            self.held_at = now

    def must_yield(self, link: Any) -> bool:
        """Return whether the link's share is over; if so, it has another one later."""
        turn = link.hub.turn
        now = turn.now()
        if now < link.timeouts.last_received + limits.JOB_SECONDS or now < turn.scheduler.ends or not link.active:
            return False
        self.blocked += 1
        self.deferred += 1
        turn.do_later("commands", link.take_turn)
        return True

    def add(self, events: Iterable[Any]) -> None:
        """Hold events back behind those that wait already; only while `holding`."""
        if events is not self._taking:
            self._events.extend(events)

    def clear(self) -> None:
        """Forget all events."""
        self.unread = None
        self._rest()

    def _rest(self) -> None:
        self.holding = False
        self.held_at = None
        self._events = _NOTHING
        self._taking = None

    def go_on(self, link: Any) -> None:
        """Act on the events that were held back, and read on."""
        if self.blocked and link.active:
            return
        if link.active:
            link.outbox.drained = None
            if self.holding:
                self.holding = False
                assert self._taking is not None
                link.act(self._taking)
                if self.unread:
                    unread.decode(link)
                if not self.holding and link.active:
                    self._read_on(link)
        link.shutdown.finish_if_done(link)

    def _read_on(self, link: Any) -> None:
        held_at = self.held_at
        self._rest()
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


_NOTHING: deque[Any] = deque()  # of a queue that holds nothing back: most links never do


class _Taking:
    """Takes events out of a queue, one by one, also for an event that lets the link go on while it is acted on."""

    __slots__ = ("_events",)

    def __init__(self, events: deque[Any]) -> None:
        self._events = events

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._events:
            raise StopIteration
        return self._events.popleft()
