"""All deadlines of all links in one heap, so that one timer serves them (autobahn-python#642 tells why)."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Protocol


class Sleeper(Protocol):
    """What can be woken. `alarm_at` belongs to Alarms."""

    alarm_at: float | None

    def alarm(self, now: float) -> None: ...


class Alarms:
    """Wakes each sleeper at its deadline; a later deadline costs nothing until the earlier one has passed.

    arm  called with the next deadline, in seconds of the monotonic clock, whenever it becomes an earlier one
    """

    def __init__(self, arm: Callable[[float], object]) -> None:
        self._arm = arm
        self._heap: list[tuple[float, int, Sleeper]] = []
        self._serial = 0
        self._cancelled = 0

    def at(self, sleeper: Sleeper, when: float) -> None:
        """Wake `sleeper` at `when` or, where an earlier alarm is set already, at that one."""
        if sleeper.alarm_at is not None and sleeper.alarm_at <= when:
            return
        sleeper.alarm_at = when
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, sleeper))
        if self._heap[0][2] is sleeper:
            self._arm(when)

    def cancel(self, sleeper: Sleeper) -> None:
        """Forget the alarm of `sleeper`; its row leaves the heap in its time, or once half of the heap is such."""
        if sleeper.alarm_at is None:
            return
        sleeper.alarm_at = None
        self._cancelled += 1
        if self._cancelled > len(self._heap) // 2 + 1_000:
            self._heap = [row for row in self._heap if row[2].alarm_at == row[0]]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def ring(self, now: float) -> None:
        """Wake everybody whose deadline has passed, then arm for the next.

        Who asks for a time that has passed already gets the next ring; who raises keeps nobody from theirs.
        """
        due: deque[tuple[float, int, Sleeper]] = deque()
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap))
        try:
            while due:
                when, _, sleeper = due.popleft()
                if sleeper.alarm_at == when:
                    sleeper.alarm_at = None
                    sleeper.alarm(now)
        finally:
            for row in due:
                heapq.heappush(self._heap, row)
            if self._heap:
                self._arm(self._heap[0][0])
