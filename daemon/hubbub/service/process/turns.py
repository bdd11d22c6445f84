"""Ends each turn of the hub, and measures how long messages took from their client to the sockets of the others."""

from __future__ import annotations

from bisect import bisect_left
from functools import partial
from time import monotonic
from typing import Any

from hubbub.service.metrics.histogram import Histogram

LATENCY = (0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LAG = (0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LAG_SECONDS = 1.0  # between two looks at the reactor's lag


class Turns:
    """The turns of one hub.

    latency  from the first message of a turn, read and understood, to the end of its writes, once for each delivery
    turns    from the first event of a turn that brought the hub something to the end of its writes and jobs
    commits  of the durable store's transactions
    lag      by how much the reactor was late for a call that was due, looked at once a second
    """

    def __init__(self, reactor: Any) -> None:
        self.latency = Histogram(LATENCY)
        self.turns = Histogram(LATENCY)
        self.commits = Histogram(LAG)
        self.lag = Histogram(LAG)
        self._reactor = reactor
        self._at_turn_end = getattr(reactor, "call_at_turn_end", partial(reactor.callLater, 0))
        self._began = 0.0
        self._delivered = 0
        self._due = 0.0
        self._look: Any = None

    def serve(self, hub: Any) -> None:
        """Take the hub whose turns these are."""
        self._flush, self._counters = hub.turn.flush, hub.turn.counters

    def wake(self) -> None:
        """A turn has begun: end it once the reactor has read what there is."""
        self._began = monotonic()
        self._at_turn_end(self._end)

    def _end(self) -> None:
        self._flush()
        delivered = self._counters.delivered
        times = delivered - self._delivered
        seconds = monotonic() - self._began
        at, turns = bisect_left(LATENCY, seconds), self.turns
        turns.counts[at] += 1  # as Histogram.add does it, without the call: with one message a turn that is felt
        turns.sum += seconds
        if times:
            self._delivered = delivered
            latency = self.latency
            latency.counts[at] += times
            latency.sum += seconds * times

    def start(self) -> None:
        """Begin to look at the reactor's lag."""
        self._due = monotonic() + LAG_SECONDS
        self._look = self._reactor.callLater(LAG_SECONDS, self._looked)

    def _looked(self) -> None:
        self.lag.add(max(0.0, monotonic() - self._due))
        self.start()

    def stop(self) -> None:
        """Look no more."""
        if self._look is not None and self._look.active():
            self._look.cancel()
