"""One turn of the reactor: its clocks, its alarms, its counters, and what is flushed when it ends.

Everything in the kernel that acts later asks the Turn for it. The Turn knows none of them beyond `flush` and `alarm`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol

from hubbub import limits
from hubbub.bounds import DEFAULTS, Bounds
from hubbub.kernel.alarms import Alarms
from hubbub.kernel.commits import Commits
from hubbub.kernel.counters import Counters
from hubbub.kernel.scheduler import Scheduler


class Flushable(Protocol):
    """An object that asked to be flushed at the end of the turn."""

    def flush(self) -> None: ...


class Turn:
    """The current turn of the reactor.

    wake     is called once a turn, when something waits for its end; it must have `flush` called then
    wall     returns the Unix time in seconds; now: the monotonic time in seconds
    began    attribute: the monotonic time in seconds when the hub was built
    arm      must have `alarms.ring` called at that monotonic time
    bounds   what an operator may limit
    number   counts the turns
    time     Unix seconds when this turn began; valid once something was scheduled in it
    inboxes  handlers and requests to flush; outboxes: links and others to flush after them
    first    of these, and of `late`, those with an answer: it doesn't wait for the messages of others
    late     those of earlier turns whose time was over first
    handed   messages handed over at QoS 1 and 2, and to groups, in this turn
    recorded  the sessions.recorded_batch.RecordedBatch that was put off last in this turn, or None
    deliver  attribute: encodes the open batch of messages and puts it into the outboxes
    scheduler  the jobs that go on in later turns
    stores   what closes the batches of this turn's changes: `commit` of the store, and of the sessions of a cluster
    commits  attribute: the numbers of the store's batches
    stream   attribute: the numbers of the messages that go into the cluster's stream
    failed   attribute: is called with an exception of a plugin, and its Session or None
    """

    def __init__(
        self,
        wake: Callable[[], object],
        wall: Callable[[], float],
        now: Callable[[], float],
        arm: Callable[[float], object],
        bounds: Bounds = DEFAULTS,
    ) -> None:
        self.now = now
        self.began = now()
        self.wall = wall
        self.alarms = Alarms(arm, now)
        self.bounds = bounds
        self.counters = Counters()
        self.scheduler = Scheduler(now)
        self.number = 0
        self.time = 0.0
        self.inboxes: list[Flushable] = []
        self.outboxes: list[Flushable] = []
        self.first: list[Flushable] = []
        self.late: deque[Flushable] = deque()
        self.handed = 0
        self.recorded: Any = None
        self.deliver: Callable[[], object] = _nothing
        self.stores: list[Callable[[], object]] = []
        self.commits = Commits()
        self.stream = Commits()
        self.failed: Callable[[Exception, Any], object] = _ignore
        self._wake = wake
        self.scheduled = False

    def schedule_flush(self) -> None:
        """Have this turn flushed at its end."""
        if not self.scheduled:
            self.scheduled = True
            self.time = self.wall()
            self._wake()

    def do_later(self, kind: str, job: Callable[[], object]) -> None:
        """Do one bounded piece of work in a later turn; it must not raise. `kind`: of the job, as metrics show it."""
        self.scheduler.add(kind, job)
        self.schedule_flush()

    def flush_later(self, one: Flushable) -> None:
        """Flush `one` after the handlers at the end of this turn. The caller asks once a turn."""
        self.outboxes.append(one)
        if not self.scheduled:
            self.schedule_flush()

    def flush_first(self, one: Flushable) -> None:
        """Flush `one`, which is flushed later, before the others if they are many: a client waits for an answer."""
        first = self.first
        if (self.late or len(self.outboxes) > limits.FLUSHES_AT_ONCE) and (not first or first[-1] is not one):
            first.append(one)

    def fail(self, error: Exception, session: Any = None) -> None:
        """Count and report what a plugin's dialect has raised, and for which session if it was for one."""
        self.counters.failed += 1
        self.failed(error, session)

    def flush(self) -> None:
        """End the turn: drain the handlers, commit to the store, flush each outbox once, then go on with paced jobs.

        Outboxes with answers are first. Those for which there is no time are flushed in the next turns, and what is put
        into them meanwhile with them; paced jobs, publishers among them, wait for that. If a plugin raises, it loses
        its turn; those behind it get theirs in the next.
        """
        try:
            self.deliver()
            if self.inboxes:
                self._drain()
        finally:
            # From here on a new turn begins: what a flush causes is flushed at the end of that one.
            self.scheduled = False
            self.number += 1
            for commit in self.stores:
                commit()  # if it raises, nothing is written to any client
            self._flush_outboxes()
        if self.scheduler.waiting and not self.late:
            self.run_jobs()

    def _flush_outboxes(self) -> None:
        rest, self.outboxes = self.outboxes, []
        try:
            if self.first:
                first, self.first = self.first, []
                left: list[Flushable] = []
                try:
                    self._flush_some(first, left)
                finally:
                    self.first[:0] = left  # before the answers to what these have let in
            self._flush_some(rest, self.late)
            if self.late:
                self._flush_late()
        finally:
            self.handed = 0
            self.recorded = None
            if self.inboxes or self.outboxes or self.first or self.late:
                self.schedule_flush()

    def _flush_some(self, outboxes: list[Flushable], late: list[Flushable] | deque[Flushable]) -> None:
        """Flush one after the other while there is time; the rest is added to `late`."""
        rest, left = iter(outboxes), len(outboxes)
        ends = self.now() + limits.TURN_SECONDS if left > limits.FLUSHES_AT_ONCE else 0.0
        try:
            while left > 0:
                for outbox in islice(rest, limits.FLUSHES_AT_ONCE):
                    outbox.flush()
                left -= limits.FLUSHES_AT_ONCE
                if left > 0 and self.now() >= ends:
                    break
        finally:
            late.extend(rest)

    def _flush_late(self) -> None:
        """Flush those of earlier turns while there is time; the time doesn't depend on how many are left."""
        ends = self.now() + limits.TURN_SECONDS
        while self.late:
            for _ in range(min(limits.FLUSHES_AT_ONCE, len(self.late))):
                self.late.popleft().flush()
            if self.now() >= ends:
                break

    def run_jobs(self) -> None:
        """Go on with paced jobs; what is left goes on in the next turn."""
        try:
            self.scheduler.run()
        finally:
            if self.scheduler.waiting:
                self.schedule_flush()

    def _drain(self) -> None:
        for _ in range(limits.HOPS + 1):
            if not self.inboxes:
                break
            rest, self.inboxes = iter(self.inboxes), []
            try:
                for inbox in rest:
                    inbox.flush()
            finally:
                self.inboxes += rest
            self.deliver()


def _nothing() -> None:
    pass


def _ignore(error: Exception, session: Any) -> None:
    pass
