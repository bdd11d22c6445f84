"""When a link's patience ends: with a stalled outbox, a silent client, a slow end, a lease, a dialect's deadline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.kernel.connection.wire import ListenerContext, Wire
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.session import Session


class Deadlines:
    """The deadlines of one link, of which one alarm serves the earliest. Base of Link.

    heard  when something came from the client; lease: over UDP, when its subscriptions end; both monotonic seconds
    """

    __slots__ = (
        "alarm_at", "heard", "lease",
        "_asked", "_close_at", "_ended", "_finishing", "_held_at", "_progress", "_progress_at", "_rest_until",
    )  # fmt: skip

    hub: Hub
    context: ListenerContext
    wire: Wire
    dialect: Dialect
    session: Session
    open: bool

    def __init__(self, now: float) -> None:
        self.heard = now
        self.alarm_at: tuple[float, int] | None = None
        self.lease: float | None = None
        self._asked = False  # for a sign of life, since the client was heard
        self._close_at: float | None = None
        self._ended = False  # the client has ended its input
        self._held_at: float | None = None  # since when events are held back, and nothing is read
        self._finishing = False  # it is closed as soon as what waits is sent
        self._rest_until: float | None = None  # when the link acts and reads again
        self._progress = 0  # what was unsent at the last look
        self._progress_at: float | None = None  # when something of it was last sent; None: the transport takes more

    def abort(self) -> None:
        """Cut the link."""
        raise NotImplementedError

    def act(self, events: Iterable[Any]) -> None:
        """Act on what a passed deadline brings."""
        raise NotImplementedError

    def fail(self, error: Exception) -> None:
        """Cut the link, whose dialect has raised."""
        raise NotImplementedError

    def _expire(self) -> None:
        """Close the link, whose login has come to its end."""
        raise NotImplementedError

    def _rested(self) -> None:
        """Act and read again."""
        raise NotImplementedError

    def set_alarm(self) -> None:
        """Have `alarm` called at the earliest of this link's deadlines."""
        silent = self._finishing or self._held_at is not None
        times = [None if silent else self.dialect.deadline, self._close_at, self.lease, self._rest_until]
        if self.session.expires is not None:
            times.append(self.hub.now() + max(0.0, self.session.expires - self.hub.wall()))
        if self._ended:
            times.append(self.hub.now() + limits.HALF_CLOSED_SECONDS)
        if self._progress_at is not None:
            times.append(self._progress_at + self.context.stall)
        if self.context.dialect_context.transport == "websocket":
            times.append(self.heard + self.context.idle * (1.0 if self._asked else 0.5))
        due = [time for time in times if time is not None]
        if due:
            self.hub.alarms.at(self, min(due))

    def alarm(self, now: float) -> None:
        """A deadline may have passed."""
        try:
            if self.open:
                self._look(now)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.fail(error)

    def _look(self, now: float) -> None:
        if self._close_at is not None and now >= self._close_at:
            self.cut("close")
            return
        if self._progress_at is not None and now >= self._progress_at + self.context.stall and self._stalled(now):
            self.cut("stall")
            return
        if (self.lease is not None and now >= self.lease) or (self._ended and not self.wire.there()):
            self.abort()
            return
        if self._rest_until is not None and now >= self._rest_until:
            self._rest_until = None
            self._rested()
        if self.session.expires is not None and self.hub.wall() >= self.session.expires:
            self._expire()
        deadline = None if self._finishing or self._held_at is not None else self.dialect.deadline
        if deadline is not None and now >= deadline:
            self.dialect.deadline = None
            self.act(self.dialect.timeout(now))
        if self.open and not self._alive(now):
            self.cut("idle")
        if self.open:
            self.set_alarm()

    def cut(self, reason: str) -> None:
        """Cut the link, and count why."""
        self.context.cuts(reason)
        self.abort()

    def _let_go(self) -> None:
        """Events are no longer held back: the time in which nothing was read doesn't count for the dialect."""
        held_at = self._held_at
        self._held_at = None
        if held_at is not None and self.dialect.deadline is not None:
            self.dialect.deadline += self.hub.now() - held_at
            self.set_alarm()

    def _stalled(self, now: float) -> bool:
        """Whether the client took nothing at all since the last look."""
        unsent = self.wire.unsent()
        if unsent == self._progress:
            return True
        self._progress, self._progress_at = unsent, now
        return False

    def _alive(self, now: float) -> bool:
        """Ask a silent WebSocket client for a sign of life, and tell whether it may stay."""
        if self.context.dialect_context.transport != "websocket":
            return True
        silent = now - self.heard
        if self._rest_until is not None:  # who isn't read can't be heard
            self.heard, silent = now, 0.0
        if silent < self.context.idle / 2:
            self._asked = False
        elif not self._asked:
            self._asked = self.wire.ping()
            if not self._asked:  # who can't be asked isn't silent
                self.heard, silent = now, 0.0
        return silent < self.context.idle
