"""The end of a link: whoever ends it, what waits is flushed and the last word said before the transport closes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.connection.timeouts import Deadlines
from hubbub.kernel.sessions.registry import Client

_CUT = {
    "stall": "it has taken nothing for stall= seconds",
    "idle": "it has given no sign of life for idle= seconds",
    "full": "it takes less than is sent to it",
}


def own_fault(method: Callable[..., None]) -> Callable[..., None]:
    """Let what a plugin's dialect raises in `method` cost its own link, and nobody else."""

    @wraps(method)
    def guarded(link: Any, *arguments: Any) -> None:
        try:
            method(link, *arguments)
        except Exception as error:  # noqa: BLE001  whatever a plugin raises
            link.fail(error)

    return guarded


class Ending(Deadlines):
    """How one link ends. Base of Outgoing, which is Link's."""

    __slots__ = ("client", "outbox", "session", "_busy", "_close", "_held", "_last", "_requests")

    outbox: Outbox

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self._held: deque[Any] | None = None  # events that wait for what stands before them
        self.client: Client | None = None  # whose session may outlive this link
        self._busy = 0  # how many things hold back events
        self._requests = 0  # of this client, that wait for a reply
        self._close: tuple[str, Refusal | None] = ("", None)
        self._last = b""

    def lost(self) -> None:
        """The transport has gone."""
        raise NotImplementedError

    def _write(self, unit: bytes) -> None:
        raise NotImplementedError

    def part(self, will: bool) -> None:
        """The client's session goes on without this link, or ends with it."""
        raise NotImplementedError

    def _refused(self, refusal: Refusal) -> None:
        self.hub.counters.refused += 1
        self.context.refuse(refusal)

    @property
    def ending(self) -> bool:
        """Whether its last word is on the way."""
        return self._finishing

    @property
    def shut(self) -> bool:
        """Whether its last word has gone out, and it is for the client to close."""
        return self._finishing and self.outbox.drained is None

    @property
    def fault(self) -> str:
        """Why the hub has ended it, as it was refused; empty where that isn't so."""
        refusal = self._close[1]
        return refusal.reason if refusal is not None else ""

    @property
    def write_after_eof(self) -> bool:
        """Whether the link stays open for writing after the client's end of input."""
        return self.dialect.write_after_eof and bool(self.session.subscriptions)

    @own_fault
    def ended(self) -> None:
        """The client has said its last, and may still listen."""
        if not self.open or self._ended or self._finishing:
            return
        self._ended = True
        dialect = self.dialect
        self.act(dialect.eof(self.heard))
        if self.dialect is not dialect:  # the end of input has told which dialect it is
            self.act(self.dialect.eof(self.heard))
        self._finish_if_done()
        self.set_alarm()

    @own_fault
    def close(self, reason: str, refusal: Refusal | None = None, seconds: float = limits.CLOSE_SECONDS) -> None:
        """Close the link for the hub's own reasons, after its dialect's last words; what waits has `seconds` to go."""
        if self.open and not self._finishing:
            dialect = self.dialect
            last = dialect.encode_close(reason) if refusal is None else dialect.encode_disconnect(reason, refusal)
            self._finish(reason, refusal, last)
            self._close_at = self.hub.now() + seconds
            self.set_alarm()

    def on_overflow(self) -> None:
        """The outbox is full, and the policy is to disconnect."""
        self.cut("full")

    def cut(self, reason: str) -> None:
        """Cut the link, and count why."""
        if reason in _CUT and not self._finishing:
            self._close = reason, Refusal("unavailable", _CUT[reason])
        super().cut(reason)

    def fail(self, error: Exception) -> None:
        """Its dialect has raised: that costs this link, and nobody else."""
        self.hub.fail(error, self.session)
        self.abort()

    def abort(self) -> None:
        """Cut the link."""
        self.wire.abort()
        self.lost()

    def _finish_if_done(self) -> None:
        if self._ended and not self.write_after_eof and self._held is None and not self._busy and not self._requests:
            self._finish("end of input", None)

    def _finish(self, reason: str, refusal: Refusal | None, last: bytes = b"") -> None:
        """Flush what waits, say the last word, then close."""
        if self._finishing or not self.open:
            return
        self._finishing = True
        self._held = None
        if self.client is not None:
            self.part(True)
        if refusal is not None:  # where it was raised knows this link, and the link keeps it: it would hold itself
            refusal.__traceback__ = None
        self._close, self._last = (reason, refusal), last
        self._close_at = self.hub.now() + limits.CLOSE_SECONDS
        self.outbox.drained = self._shut
        self.outbox.mark()
        self.set_alarm()

    def _shut(self) -> None:
        if self.hub.inboxes or not self.outbox.empty:  # handlers still work on what it may have caused
            self.outbox.mark()
            return
        self.hub.leave(self.session)  # nothing follows the last word
        last, self._last = self._last, b""
        if last:
            self._write(last)
            return
        self.outbox.drained = None
        self.outbox.paused = True
        if self._close_at is not None:  # from here on it is for the client to close
            self._close_at = min(self._close_at, self.hub.now() + limits.CLOSE_SECONDS)
            self.set_alarm()
        self.wire.close(*self._close)
