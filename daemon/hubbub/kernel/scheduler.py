"""Shares a turn of the reactor among jobs: what would take too long at once is done in steps, round robin.

What a part of the kernel can't do within its share of one turn becomes a job. After the outboxes are flushed, jobs run
one after the other, each for a share, until their time is over; then the sockets are looked at. So a client waits for
one share of each other busy one at most, however much any of them wants.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hubbub import limits

Job = Callable[[], object]
"""Does one bounded step, and adds itself again if more is left. It must not raise."""


class Scheduler:
    """The paced jobs of one hub.

    now        returns the monotonic time in seconds
    ends       until when the job that runs may go on
    deferred   steps that were put off, by kind of job; exhausted: turns that ended with jobs left, by their kinds
    """

    __slots__ = ("deferred", "ends", "exhausted", "_jobs", "_now")

    def __init__(self, now: Callable[[], float]) -> None:
        self.deferred: dict[str, int] = {}
        self.exhausted: dict[str, int] = {}
        self.ends = 0.0
        self._jobs: deque[tuple[str, Job]] = deque()
        self._now = now

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._jobs)

    def add(self, kind: str, job: Job) -> None:
        """Run `job` step by step behind those that wait already. The caller has the turn flushed."""
        self.deferred[kind] = self.deferred.get(kind, 0) + 1
        self._jobs.append((kind, job))

    def run(self) -> None:
        """Run jobs until the time is over."""
        jobs = self._jobs
        now = self._now()
        ends = now + limits.TURN_SECONDS
        while jobs and now < ends:
            kind, job = jobs.popleft()
            self.ends = min(ends, now + limits.JOB_SECONDS) if jobs else ends
            job()
            now = self._now()
        for kind in {kind for kind, _ in jobs}:
            self.exhausted[kind] = self.exhausted.get(kind, 0) + 1
