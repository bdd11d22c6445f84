"""How a link ends: what waits is flushed, the last unit follows, then the transport closes."""

from __future__ import annotations

from enum import IntEnum
from functools import partial
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.connection import overflow, unread

_CUT = {
    "unstored": "the cluster hasn't stored what it published in time",
    "stall": "it has taken nothing for stall= seconds",
    "idle": "it has given no sign of life for idle= seconds",
    "full": "it takes less than is sent to it",
}


class State(IntEnum):
    """How far a link is. It acts on events while OPEN."""

    OPEN = 0
    FINISHING = 1  # what waits is flushed, then the last unit
    SHUT = 2  # the last unit is written: the client closes
    CLOSED = 3


class Shutdown:
    """The end of one link.

    state        see State
    input_ended  the client has ended its input, and may still receive
    refusal      why the hub has ended the link, or None
    """

    __slots__ = ("input_ended", "reason", "refusal", "state", "_last", "_listens")

    def __init__(self) -> None:
        self.input_ended = False
        self.reason = ""
        self.refusal: Refusal | None = None
        self.state = State.OPEN
        self._last = b""
        self._listens = True

    def end_of_input(self, link: Any, listens: bool) -> None:
        """The client has ended its input; unless it `listens`, it only waits for its answers."""
        if self.input_ended or self.state is not State.OPEN:
            return
        self.input_ended = True
        self._listens = listens
        if not unread.end(link):
            self.decode_end(link)
        self.finish_if_done(link)
        link.set_alarm()

    def decode_end(self, link: Any) -> None:
        """Act on what the end of input means: all before it is decoded."""
        dialect = link.dialect
        link.act(dialect.eof(link.timeouts.last_received))
        if link.dialect is not dialect:  # the end of input has decided which dialect it is
            link.act(link.dialect.eof(link.timeouts.last_received))

    def finish_if_done(self, link: Any) -> None:
        """Close after the end of input, once nothing is to come any more."""
        if not self.input_ended or link.inbound.holding or link.inbound.blocked:
            return
        if not link.requests and not (self._listens and link.write_after_eof):
            self.finish(link, "end of input", None)

    def finish(self, link: Any, reason: str, refusal: Refusal | None, last: bytes = b"") -> None:
        """Flush what waits, write the last unit, then close."""
        if self.state is not State.OPEN:
            return
        self.state = State.FINISHING
        link.inbound.blocked += 1  # act on nothing more
        link.inbound.clear()
        link.release_client(True)
        if refusal is not None:  # its traceback knows this link, and the link keeps it: it would hold itself
            refusal.__traceback__ = None
        self.reason, self.refusal, self._last = reason, refusal, last
        link.timeouts.close_at = link.hub.turn.now() + limits.CLOSE_SECONDS
        link.outbox.drained = link.on_drained
        link.outbox.mark()
        link.set_alarm()

    def shut(self, link: Any) -> None:
        """The outbox is drained: write the last unit, or close after it."""
        turn, outbox = link.hub.turn, link.outbox
        if turn.inboxes or not outbox.empty:  # handlers still work on what it may have caused
            if outbox.searches and self.refusal is None:  # its client has taken all that was found, and waits for more
                link.timeouts.close_at = max(link.timeouts.close_at or 0.0, turn.now() + limits.CLOSE_SECONDS)
            if not outbox.searching and outbox.barrier_at_front() is None:  # else a job or the commit has it flushed
                outbox.mark()
            return
        overflow.stop(link.outbox)  # nothing follows the last unit
        link.hub.subscriptions.leave(link.session)
        last, self._last = self._last, b""
        if last:
            link.egress.write(last)
            return
        self.state = State.SHUT
        link.outbox.drained = None
        link.outbox.paused = True
        timeouts = link.timeouts
        if timeouts.close_at is not None:  # from here on the client is to close
            timeouts.close_at = min(timeouts.close_at, turn.now() + limits.CLOSE_SECONDS)
            link.set_alarm()
        link.wire.close(self.reason, self.refusal)

    def burst(self, link: Any) -> None:
        """The outbox is full, and the policy is to disconnect: nothing leaves any more, and a job cuts the link.

        Amid a delivery its will would come to others before the message that has cut it.
        """
        overflow.stop(link.outbox)
        overflow.forget_all(link.outbox)
        link.outbox.paused = True
        link.hub.turn.do_later("slow consumers", partial(_cut_if_open, link))

    def note_cut(self, reason: str) -> None:
        """Remember why the link is cut."""
        if reason in _CUT and self.state is State.OPEN:
            self.reason, self.refusal = reason, Refusal("unavailable", _CUT[reason])


def _cut_if_open(link: Any) -> None:
    if link.open:
        link.cut("full")
