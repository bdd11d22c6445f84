"""The outbox of a UDP peer."""

from __future__ import annotations

from typing import Any

from mypy_extensions import mypyc_attr

from hubbub.kernel.connection.outbox import Outbox


@mypyc_attr(allow_interpreted_subclasses=True)
class DatagramOutbox(Outbox):
    """Sends each unit as a datagram of its own; one that can't be sent is missed.

    wire  takes one datagram and returns whether it was sent
    """

    __slots__ = ()
    stream = False

    def flush(self) -> None:
        """Send as many bytes as a flush may have; the rest waits for the next turn."""
        self.plain = False
        super().flush()

    def hand_over(self, unit: Any) -> None:
        for frame in unit.frames:
            if not unit.count:
                self.wire.write(frame)
                continue
            self.tell_lost()
            if self.wire.write(frame):
                self.sent += 1
            else:
                self.lost += 1
                self.lose(1)

    def tell_lost(self) -> None:
        notice = self.notice(self.lost) if self.lost else b""
        if not notice or self.wire.write(notice):
            self.lost = 0
        else:
            self.plain = False  # the notice goes before the next message that can be sent
