"""A hub whose time and turns are in the hands of a test, and the doors that clients come in by."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from hubbub.dialect import Dialect
from hubbub.handler import Handler
from hubbub.kernel.hub import Hub
from hubbub.option import configure
from hubbub.service.plugins.handler_runner import HandlerRunner
from hubbub.testing.memory_listener import End, MemoryListener

_START = 1_000.0  # seconds that the clock shows at first
_EPOCH = 1.7e9  # seconds of Unix time when the clock shows 0
_TURNS = 1_000  # turns until a hub that doesn't come to rest is an error


class World:
    """One hub in memory. `more` goes to the hub: `retained=`."""

    def __init__(self, **more: Any) -> None:
        self.clock = Clock()
        self.clock.advance(_START)
        self.hub = Hub(self._wake, self.wall, self.clock.seconds, self._arm, **more)
        self.ends: list[End] = []
        self.listeners: list[MemoryListener] = []
        self._ports = 50_000
        self._awake = False
        self._timer: Any = None

    def wall(self) -> float:
        """Tell the Unix time in seconds."""
        return _EPOCH + self.clock.seconds()

    def turn(self) -> None:
        """End this turn and those that it causes, until nothing moves any more."""
        for _ in range(_TURNS):
            self.clock.advance(0)
            moved = [end.move() for end in self.ends]
            if self._awake:
                self._awake = False
                self.hub.turn.flush()
            elif not any(moved):
                self._check_outboxes()
                return
        raise AssertionError(f"the hub hasn't come to rest within {_TURNS} turns")

    def _check_outboxes(self) -> None:
        """Whatever puts something into an outbox has to schedule its flush, or it waits for other traffic."""
        for link in [link for one in self.listeners for link in one.context.links]:
            outbox = link.outbox
            waits = outbox.count or outbox.answers or outbox.searches
            if waits and not outbox.paused and outbox.barrier_at_front() is None:
                raise AssertionError(f"something waits in the outbox of {link.session}, and no flush is scheduled")

    def advance(self, seconds: float) -> None:
        """Let time pass; whatever is due meanwhile happens at its time, and ends its turn."""
        self.turn()
        until = self.clock.seconds() + seconds
        while (calls := self.clock.getDelayedCalls()) and (due := min(call.getTime() for call in calls)) <= until:
            self.clock.advance(max(0.0, due - self.clock.seconds()))
            self.turn()
        self.clock.advance(until - self.clock.seconds())
        self.turn()

    def listen(self, transport: str, dialect: type[Dialect], **keys: Any) -> MemoryListener:
        """Open a listener. `keys` are those of a listener, with `_` for `-`: `prefix="boat"`, `anonymous=False`, ..."""
        return MemoryListener(self, transport, dialect, **keys)

    def run(self, handler: type[Handler], **options: object) -> Handler:
        """Start a handler and return it."""
        made = configure(handler, options)()
        started: Deferred[Any] = HandlerRunner(self.hub, made, handler.name, self.clock).start()
        self.turn()
        assert started.called, f"{handler.name} is still starting: advance(seconds)"
        return made

    def port(self) -> int:
        """Return a port that no client of this world has had."""
        self._ports += 1
        return self._ports

    def _wake(self) -> None:
        self._awake = True

    def _arm(self, when: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self.clock.callLater(max(0.0, when - self.clock.seconds()), self._ring)

    def _ring(self) -> None:
        self.hub.turn.alarms.ring(self.clock.seconds())
