"""The outbox of a UDP peer."""

from __future__ import annotations

from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.sessions.session import Batch


class DatagramOutbox(Outbox):
    """What waits for one UDP peer: each unit leaves as a datagram of its own, and one that can't be sent is missed.

    write  takes one datagram and tells whether it was sent
    """

    __slots__ = ()
    stream = False

    def flush(self) -> None:
        """Send what waits, as many bytes as a flush may have; the rest in the next turn."""
        self._care = True
        super().flush()

    def _hand_over(self, frames: list[bytes], unit: Batch) -> None:
        for frame in unit.frames:
            if not unit.count:
                self._write(frame)
                continue
            self._tell_lost(frames)
            if self._write(frame):
                self.sent += 1
            else:
                self.lost += 1
                self._drop()

    def _tell_lost(self, frames: list[bytes]) -> None:
        notice = self._notice(self.lost) if self.lost else b""
        if not notice or self._write(notice):
            self.lost = 0
        else:
            self._care = True  # told before the next message that can be sent
