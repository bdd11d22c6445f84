"""All deadlines of all links in one heap, so that one timer serves them (autobahn-python#642 tells why)."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Protocol

from hubbub import limits


class AlarmTarget(Protocol):
    """What can be woken. `alarm_at` belongs to Alarms: monotonic seconds, and a number that no other alarm has."""

    alarm_at: tuple[float, int] | None

    def alarm(self, now: float) -> None: ...


class Alarms:
    """Wakes each sleeper at its deadline; a later deadline costs nothing until the earlier one has passed.

    arm    called with the next deadline, in seconds of the monotonic clock, whenever it becomes an earlier one
    clock  returns the monotonic time in seconds
    """

    def __init__(self, arm: Callable[[float], object], clock: Callable[[], float]) -> None:
        self._arm = arm
        self._clock = clock
        self._heap: list[tuple[float, int]] = []
        self._sleepers: dict[int, AlarmTarget] = {}  # by number; a row without one is stale, and keeps no target alive
        self._serial = 0

    def at(self, sleeper: AlarmTarget, when: float) -> None:
        """Wake `sleeper` at `when` or, where an earlier alarm is set already, at that one."""
        before = sleeper.alarm_at
        if before is not None:
            if before[0] <= when:
                return
            del self._sleepers[before[1]]
        self._serial += 1
        sleeper.alarm_at = row = (when, self._serial)
        self._sleepers[self._serial] = sleeper
        heapq.heappush(self._heap, row)
        if self._heap[0][1] == self._serial:
            self._arm(when)

    def cancel(self, sleeper: AlarmTarget) -> None:
        """Forget the alarm of `sleeper`; its row leaves the heap in its time, or once half of the heap is such."""
        row = sleeper.alarm_at
        if row is None:
            return
        sleeper.alarm_at = None
        del self._sleepers[row[1]]
        if len(self._heap) > 2 * len(self._sleepers) + 1_000:
            self._heap = [row for row in self._heap if row[1] in self._sleepers]
            heapq.heapify(self._heap)

    def ring(self, now: float) -> None:
        """Wake targets whose deadline has passed, while there is time for them in this turn, then arm for the next.

        limits.ALARMS_AT_ONCE are woken at most. A target that asks for a time in the past is woken by the next ring.
        One that raises doesn't stop the others.
        """
        ends = self._clock() + limits.TURN_SECONDS
        due: deque[tuple[float, int]] = deque()
        while self._heap and self._heap[0][0] <= now and len(due) < limits.ALARMS_AT_ONCE:
            due.append(heapq.heappop(self._heap))
        try:
            while due:
                sleeper = self._sleepers.pop(due.popleft()[1], None)
                if sleeper is not None:
                    sleeper.alarm_at = None
                    sleeper.alarm(now)
                    if self._clock() >= ends:
                        break
        finally:
            for row in due:
                heapq.heappush(self._heap, row)
            if self._heap:
                self._arm(self._heap[0][0])
