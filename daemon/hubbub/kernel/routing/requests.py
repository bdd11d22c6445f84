"""Requests that wait for their reply."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from hubbub.errors import Refusal
from hubbub.events import Subscribe
from hubbub.kernel.sessions.session import REPLIES, Batch, Session, as_is
from hubbub.message import Message

if TYPE_CHECKING:
    from hubbub.kernel.hub import Hub


class PendingReply:
    """One request: a session with a single subscription that gets a single message.

    done  is called once, with the reply or a Refusal, unless `end` comes first
    """

    __slots__ = ("alarm_at", "topic", "_done", "_hub", "_left", "_result", "_session", "_until")

    def __init__(self, hub: Hub, done: Callable[[Message | Refusal], None]) -> None:
        self.topic = REPLIES + secrets.token_urlsafe(16)
        self.alarm_at: tuple[float, int] | None = None
        self._hub = hub
        self._done: Callable[[Message | Refusal], None] | None = done
        self._result: Message | Refusal | None = None
        self._until: float | None = None  # monotonic seconds; None while the clock stands
        self._left: float | None = None  # seconds that it still has while the clock stands
        self._session = Session("", 0, "hub", "request")
        self._session.subscriptions = {}
        hub.subscribe(self._session, Subscribe(self.topic), hub.encoding(as_is, None), self)
        hub.requests[self.topic] = self

    def wait(self, seconds: float) -> None:
        """Wait so long from now on, or from when the clock goes again."""
        if self._left is not None:
            self._left = seconds
        elif self._done is not None:
            self._until = self._hub.now() + seconds
            self._hub.alarms.at(self, self._until)

    def suspend(self) -> None:
        """Stop the clock: the command waits in a line (kernel.connection.half_duplex)."""
        if self._left is None:
            self._left = 0.0 if self._until is None else max(0.0, self._until - self._hub.now())
            self._until = None

    def resume(self) -> None:
        """Let the clock go again: the command is written."""
        if self._left is not None:
            left, self._left = self._left, None
            self.wait(left)

    def refuse(self, refusal: Refusal) -> None:
        """Whoever was to reply can't."""
        self._settle(refusal)

    def put(self, batch: Batch) -> None:
        """Take the reply (kernel.sessions.session.Box)."""
        self._settle(batch.messages[0])

    def miss(self, count: int) -> None:
        """A request takes any message."""

    def _settle(self, result: Message | Refusal) -> None:
        if self._result is None and self._done is not None:
            self._result = result
            self._hub.inboxes.append(self)
            self._hub.schedule_flush()

    def flush(self) -> None:
        """Tell who has asked."""
        done, result = self._done, self._result
        if done is not None and result is not None:
            self.end()
            done(result)

    def alarm(self, now: float) -> None:
        """The time may be over."""
        done = self._done
        if done is None or self._until is None:
            return
        if now < self._until:
            self._hub.alarms.at(self, self._until)
            return
        self.end()
        done(Refusal("timeout", "nobody replied in time"))

    def end(self) -> None:
        """Wait no longer."""
        self._done = self._result = None
        self._hub.alarms.cancel(self)
        self._hub.unsubscribe(self._session, self.topic)
        self._hub.requests.pop(self.topic, None)
