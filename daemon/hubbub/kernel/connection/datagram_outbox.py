"""The outbox of a UDP peer."""

from __future__ import annotations

from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.routing.subscription import Batch


class DatagramOutbox(Outbox):
    """Sends each unit as a datagram of its own; one that can't be sent is missed.

    wire  takes one datagram and returns whether it was sent
    """

    __slots__ = ()
    stream = False

    def flush(self) -> None:
        """Send as many bytes as a flush may have; the rest waits for the next turn."""
        self.queue.plain = False
        super().flush()

    def hand_over(self, unit: Batch) -> None:
        for frame in unit.frames:
            if not unit.count:
                self._wire.write(frame)
                continue
            self.tell_lost()
            if self._wire.write(frame):
                self.sent += 1
            else:
                self.queue.lose_sent()

    def tell_lost(self) -> None:
        notice = self.queue.notice(self.queue.lost) if self.queue.lost else b""
        if not notice or self._wire.write(notice):
            self.queue.lost = 0
        else:
            self.queue.plain = False  # the notice goes before the next message that can be sent
