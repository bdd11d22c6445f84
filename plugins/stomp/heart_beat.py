"""Heart-beats of one connection (STOMP 1.2, "Heart-beating"). Times are monotonic seconds."""

from __future__ import annotations

from hubbub import duration, limits
from hubbub_plugins.stomp.frames import Malformed

_DIGITS = 9  # of a number of milliseconds: eleven days


def seconds_between(raw: object) -> float:
    """Read the option `heart-beat=`: seconds, at least 1. Raises ValueError."""
    found = duration(raw)
    if found < 1:
        raise ValueError("expected 1s at least")
    return found


def read_heart_beat(value: str) -> tuple[float, float]:
    """Return how often, in seconds, the client can send heart-beats and wants to receive them. Raises Malformed."""
    numbers = value.split(",")
    if len(numbers) != 2 or not all(one.isascii() and one.isdigit() and len(one) <= _DIGITS for one in numbers):
        raise Malformed("heart-beat:X,Y has two numbers of milliseconds")
    return int(numbers[0]) / 1_000, int(numbers[1]) / 1_000


class HeartBeat:
    """When to send a heart-beat, and how long the client may be silent.

    deadline  when there is something to do next, or None
    last_received  when something has come last; the deadline may be too early then
    """

    __slots__ = ("deadline", "last_received", "_beat_at", "_every", "_silence")

    def __init__(self) -> None:
        self.deadline: float | None = None
        self._beat_at: float | None = None
        self._every = 0.0
        self.last_received = 0.0
        self._silence: float | None = None

    def agree(self, can_send: float, wants: float, interval: float) -> str:
        """Take up what CONNECT says, which has come just now, and return the header of CONNECTED.

        interval  seconds between the client's heart-beats, unless it can send less often only
        """
        every = max(can_send, interval)
        if can_send:
            self._silence = every + max(every, limits.STOMP_SILENCE_SECONDS)
        if wants:
            self._every = limits.STOMP_BEAT_MARGIN * max(wants, limits.STOMP_BEAT_SECONDS)
            self._beat_at = self.last_received + self._every
        self.deadline = self._earliest()
        return f"{int(1_000 * max(wants, limits.STOMP_BEAT_SECONDS))},{int(1_000 * every)}"

    def is_silent(self, now: float) -> bool:
        """Return whether the client has been silent for too long."""
        return self._silence is not None and now >= self.last_received + self._silence

    def beat(self, now: float) -> bool:
        """Return whether to send a heart-beat now, and wait for the next deadline."""
        due = self._beat_at is not None and now >= self._beat_at
        if due:
            self._beat_at = now + self._every
        self.deadline = self._earliest()
        return due

    def _earliest(self) -> float | None:
        times = [] if self._beat_at is None else [self._beat_at]
        if self._silence is not None:
            times.append(self.last_received + self._silence)
        return min(times, default=None)
