"""`hubbub trace`: the running traces, their links, and how many records each gets."""

from __future__ import annotations

from typing import Any

from hubbub import limits
from hubbub.errors import ConfigError, Refusal
from hubbub.kernel.connection.link import Link
from hubbub.service.control.control_socket import ControlProtocol
from hubbub.service.control.control_socket import Request as Asked
from hubbub.service.control.link_selector import LinkSelector
from hubbub.service.control.status import links_of
from hubbub.service.tracing.link_tap import Tap
from hubbub.topics import check_filter, matches


class Trace:
    """One running trace.

    caller   gets the records
    choice   the links that it wants to see
    asked    what of them: `topic` (a filter), which may be missing

    Raises ConfigError.
    """

    def __init__(self, reactor: Any, caller: ControlProtocol, choice: LinkSelector, asked: Asked) -> None:
        self._caller = caller
        self._reactor = reactor
        self.covers = choice.covers
        self.wants = choice.has
        self._filter = _filter(asked.get("topic"))
        self._over = False
        self._paused = False
        self._dropped = 0
        self._window = (0, 0)  # a second, and its records
        self._timer: Any = None

    def wants_topic(self, topic: str) -> bool:
        """Whether what happens on `topic`, or to this filter, is to be seen."""
        return self._filter is None or self._filter == topic or matches(self._filter, topic)

    @property
    def picks(self) -> bool:
        """Whether it wants some topics alone."""
        return self._filter is not None

    def room(self) -> bool:
        """Whether there is room for one more record; else it is counted."""
        if self._over:  # a link of a listener that has gone may still have its tap
            return False
        second = int(self._reactor.seconds())
        records = self._window[1] if self._window[0] == second else 0
        if self._paused or records >= limits.TRACE_RECORDS:
            self._dropped += 1
            if self._timer is None:
                self._timer = self._reactor.callLater(1.0, self._tell_dropped)
            return False
        self._window = (second, records + 1)
        return True

    def pause(self, on: bool) -> None:
        """The client takes nothing for now, or does again."""
        self._paused = on

    def _tell_dropped(self) -> None:
        self._timer = None
        if self._paused:
            self._timer = self._reactor.callLater(1.0, self._tell_dropped)
        elif self._dropped:
            count, self._dropped = self._dropped, 0
            self._caller.answer(dropped=count)

    def tell(self, record: dict[str, object]) -> None:
        """Tell a record for which there was room."""
        self._caller.answer(**record)

    def stop(self) -> None:
        """Record nothing any more."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Tracing:
    """All traces of one daemon."""

    def __init__(self, running: Any) -> None:
        self._running = running
        self._traces: list[Trace] = []

    def begin(self, asked: Asked, caller: ControlProtocol) -> None:
        """Let `caller` look on until it goes. Raises ConfigError."""
        if len(self._traces) >= limits.TRACES:
            raise ConfigError(f"{limits.TRACES} traces run already")
        trace = Trace(self._running.reactor, caller, LinkSelector(self._running, asked), asked)
        self._traces.append(trace)
        caller.gone = lambda: self._end(trace)
        caller.follow(trace.pause)
        seen = [one for one in links_of(self._running) if trace.wants(one)]
        caller.answer(tracing=len(seen))
        self._running.hub.traced = self._cover
        self._running.hub.rejected = self._tell_rejected
        for link in seen:
            self._cover(link)

    def _end(self, trace: Trace) -> None:
        trace.stop()
        self._traces.remove(trace)
        if not self._traces:
            self._running.hub.traced = self._running.hub.rejected = None
        for link in links_of(self._running):
            if trace.wants(link):
                self._cover(link)

    def _tell_rejected(self, listener: str, host: str, refusal: Refusal) -> None:
        """Record a connection that got no link; a trace of some topics records links alone."""
        for trace in self._traces:
            if not trace.picks and trace.covers(listener, host) and trace.room():
                now = self._running.hub.turn.wall()
                trace.tell({"time": now, "listener": listener, "host": host, "refused": refusal.reason})

    def _cover(self, link: Link) -> None:
        """Give `link` the tap that it is to have now, or take it away."""
        old = vars(link.dialect).get("tap")
        if old is not None:
            old.detach()
        traces = [trace for trace in self._traces if trace.wants(link)]
        if traces:
            Tap(link, traces, None if old is None else old.masker).attach()


def _filter(topic: object) -> str | None:
    if topic is None:
        return None
    try:
        return check_filter(str(topic))
    except Refusal as error:
        raise ConfigError(f"--topic {topic}: {error.reason}") from None
