"""A handler that tells the time."""

from datetime import UTC, datetime

from hubbub import Handler


class Clock(Handler):
    """Publish the UTC time on clock/utc every second."""

    def start(self) -> None:
        """Begin to tick."""
        self.every(1, self.tick)

    def tick(self) -> None:
        """Publish the time as ISO 8601, to the second."""
        self.publish("clock/utc", datetime.now(UTC).isoformat(timespec="seconds"))
