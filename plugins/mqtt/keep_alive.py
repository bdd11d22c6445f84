"""The keep alive of one connection, on either side (MQTT 5.0 sections 3.1.2.10 and 3.12).

Both sides count from the last packet that arrived. Times are monotonic seconds.
"""

from __future__ import annotations

from hubbub import duration
from hubbub_plugins.mqtt.wire import TEXT_BYTES


def keep_alive_seconds(raw: object) -> int:
    """Read the option `keep-alive=`: seconds that fit into two bytes. Raises ValueError."""
    found = duration(raw)
    if not 1 <= found <= TEXT_BYTES or found % 1:
        raise ValueError(f"expected 1 to {TEXT_BYTES} whole seconds")
    return int(found)


class KeepAlive:
    """The server's side: how long a client may be silent. Until CONNECT has come, `deadline` counts."""

    __slots__ = ("_deadline", "_seconds")

    def __init__(self) -> None:
        self._deadline: float | None = None
        self._seconds: float | None = None

    def begin(self, deadline: float) -> float:
        """Wait for CONNECT until `deadline`, which is returned."""
        self._deadline = deadline
        return deadline

    def agree(self, keep_alive: float) -> None:
        """Take up the keep alive of CONNECT: seconds, or 0 for none."""
        self._seconds = 1.5 * keep_alive  # MQTT-3.1.2-22

    def received(self, now: float) -> float | None:
        """Return the deadline after a packet has arrived."""
        seconds = self._seconds
        if seconds is None:
            return self._deadline
        return now + seconds if seconds else None


class PingTimer:
    """The client's side: when to send PINGREQ, and how long to wait for a packet after it.

    answer_seconds  that the server has for any packet after a PINGREQ
    """

    __slots__ = ("_answer_seconds", "_deadline", "_ping_at", "_seconds", "_waiting_since")

    def __init__(self, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds
        self._deadline: float | None = None
        self._ping_at: float | None = None
        self._seconds = 0.0
        self._waiting_since: float | None = None

    def begin(self, deadline: float) -> float:
        """Wait for CONNACK until `deadline`, which is returned."""
        self._deadline = deadline
        return deadline

    def agree(self, keep_alive: float) -> None:
        """CONNACK has come: send PINGREQ each time that three quarters of `keep_alive` have passed."""
        self._seconds = 0.75 * keep_alive

    def received(self, now: float) -> float | None:
        """Return the deadline after a packet has arrived."""
        if self._seconds:
            self._waiting_since = None
            self._deadline = self._ping_at = self._ping_at or now + self._seconds
        return self._deadline

    @property
    def running(self) -> bool:
        """Whether CONNACK has come."""
        return self._ping_at is not None

    def unanswered(self, now: float) -> bool:
        """Return whether the server has been silent for too long after a PINGREQ."""
        return self._waiting_since is not None and now >= self._waiting_since + self._answer_seconds

    def ping(self, now: float) -> bool:
        """Return whether to send a PINGREQ now; then it counts as sent."""
        if self._ping_at is None or now < self._ping_at:
            return False
        self._ping_at = now + self._seconds
        self._waiting_since = now if self._waiting_since is None else self._waiting_since
        return True

    def deadline(self) -> float | None:
        """Return when there is something to do next."""
        if self._ping_at is None or self._waiting_since is None:
            return self._ping_at
        return min(self._ping_at, self._waiting_since + self._answer_seconds)
