"""What waits for all clients that don't take it, together: bounded, and whoever waits for most gives way first.

Only an outbox whose transport has paused it is counted, at the end of a turn that brought it something: one that is
read pays nothing. Messages that several outboxes share are counted for each, so that memory is never more than this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubbub.kernel.hub import Hub

_ROOM = 0.9  # of the bound, what is left when it was reached: the search for the largest isn't begun for each message


class SlowConsumers:
    """The outboxes that wait, and their bytes.

    size     bytes of them, as far as they were counted
    dropped  messages that gave way; cut: links that gave way
    """

    def __init__(self, hub: Hub) -> None:
        self.size = 0
        self.dropped = 0
        self.cut = 0
        self._hub = hub
        self._waiting: dict[Any, int] = {}  # outbox -> bytes
        self._asked = False

    def count(self, outbox: Any) -> None:
        """An outbox that waits has got something."""
        self.size += outbox.size - self._waiting.get(outbox, 0)
        self._waiting[outbox] = outbox.size
        if self.size > self._hub.bounds.outbox_bytes and not self._asked:
            self._asked = True
            self._hub.outboxes.append(self)
            self._hub.schedule_flush()

    def forget(self, outbox: Any) -> None:
        """An outbox waits no longer."""
        self.size -= self._waiting.pop(outbox, 0)

    def flush(self) -> None:
        """Have the largest give way until all fit (kernel.hub.Flushed): none keeps more than the level that does it."""
        self._asked = False
        room = int(self._hub.bounds.outbox_bytes * _ROOM)
        if self.size <= self._hub.bounds.outbox_bytes:
            return
        most = level(sorted(self._waiting.values()), room)
        for outbox in [outbox for outbox, size in self._waiting.items() if size > most]:
            before = outbox.dropped
            if outbox.give_way(most):
                self.dropped += outbox.dropped - before
                self.count(outbox)
            else:
                self.cut += 1


def level(sizes: list[int], room: int) -> int:
    """Return how much each may keep, so that all of `sizes`, in order, fit into `room` together."""
    for at, size in enumerate(sizes):
        left = len(sizes) - at
        if size * left > room:
            return room // left
        room -= size
    return room
