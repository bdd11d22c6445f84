"""The deadlines of one link: a stalled outbox, an idle client, a slow shutdown, a lease, its dialect's own deadline."""

from __future__ import annotations

from typing import Any

from hubbub import limits
from hubbub.kernel.connection import authentication
from hubbub.kernel.connection.shutdown import State


class Timeouts:
    """The deadlines of one link; one alarm of the link serves the earliest. All times are monotonic seconds.

    last_received  when something came from the client
    lease          UDP: when its subscriptions end
    close_at       when a link that is shutting down is cut
    rest_until     when the link acts and reads again
    """

    __slots__ = ("close_at", "last_received", "lease", "rest_until", "_pinged", "_progress", "_progress_at")

    def __init__(self, now: float) -> None:
        self.close_at: float | None = None
        self.last_received = now
        self.lease: float | None = None
        self.rest_until: float | None = None
        self._pinged = False  # since something came last
        self._progress = 0  # bytes that were unsent at the last look
        self._progress_at: float | None = None  # when some of them were last sent; None: the transport takes more

    def note_received(self, now: float) -> None:
        """A ping or pong of the transport has come."""
        self.last_received = now
        self._pinged = False

    def paused(self, unsent: int, now: float) -> None:
        """The transport takes no more; so many bytes are unsent."""
        self._progress, self._progress_at = unsent, now

    def resumed(self) -> None:
        """The transport takes more."""
        self._progress_at = None

    def earliest(self, link: Any) -> float | None:
        """Return the earliest deadline of a link."""
        times = [None if _is_silent(link) else link.dialect.deadline, self.close_at, self.lease, self.rest_until]
        turn, expires = link.hub.turn, link.session.expires
        if expires is not None:
            times.append(turn.now() + max(0.0, expires - turn.wall()))
        if link.shutdown.input_ended:
            times.append(turn.now() + limits.HALF_CLOSED_SECONDS)
        if self._progress_at is not None:
            times.append(self._progress_at + link.context.stall)
        if link.context.dialect_context.transport == "websocket":
            times.append(self.last_received + link.context.idle * (1.0 if self._pinged else 0.5))
        return min([time for time in times if time is not None], default=None)

    def check(self, link: Any, now: float) -> None:
        """Act on each deadline of a link that has passed."""
        if self.close_at is not None and now >= self.close_at:
            link.cut("close")
            return
        due = self._progress_at is not None and now >= self._progress_at + link.context.stall
        if due and self._is_stalled(link.wire.unsent(), now):
            link.cut("stall")
            return
        ended = link.shutdown.input_ended and not link.wire.there()
        if ended or (self.lease is not None and now >= self.lease):
            link.abort()
            return
        if self.rest_until is not None and now >= self.rest_until:
            self.rest_until = None
            link.inbound.rested(link)
        if link.session.expires is not None and link.hub.turn.wall() >= link.session.expires:
            authentication.expire(link)
        deadline = None if _is_silent(link) else link.dialect.deadline
        if deadline is not None and now >= deadline:
            link.dialect.deadline = None
            link.act(link.dialect.timeout(now))
        if link.open and not self._is_alive(link, now):
            link.cut("idle")

    def _is_stalled(self, unsent: int, now: float) -> bool:
        """Return whether the client took nothing at all since the last look."""
        if unsent == self._progress:
            return True
        self._progress, self._progress_at = unsent, now
        return False

    def _is_alive(self, link: Any, now: float) -> bool:
        """Ping a silent WebSocket client, and return whether its link may stay (RFC 6455 section 5.5.2)."""
        if link.context.dialect_context.transport != "websocket":
            return True
        silent, idle = now - self.last_received, link.context.idle
        if self.rest_until is not None:  # a link that isn't read receives nothing
            self.last_received, silent = now, 0.0
        if silent < idle / 2:
            self._pinged = False
        elif not self._pinged:
            self._pinged = link.wire.ping()
            if not self._pinged:  # no ping could be sent, so silence means nothing
                self.last_received, silent = now, 0.0
        return bool(silent < idle)


def _is_silent(link: Any) -> bool:
    """Return whether the dialect's own deadline doesn't count: nothing is read."""
    return link.shutdown.state >= State.FINISHING or link.inbound.held_at is not None
