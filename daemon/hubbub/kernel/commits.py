"""The numbers of the store's batches: which one takes changes now, and which are safe.

The changes of one turn make one batch. Bytes that depend on a batch wait in their outbox until it is safe: an
acknowledgement never leaves before the data that it acknowledges is committed.

What goes into the stream of a cluster is numbered in the same way, each message for itself.
"""

from __future__ import annotations

from typing import Any, Protocol

from hubbub.errors import NotKept


class Waiting(Protocol):
    """An outbox whose next bytes depend on a batch. owner: its link."""

    owner: Any

    def mark(self) -> None: ...


class Commits:
    """The batches of one store, or the messages that go into a stream.

    open    the number of the batch that takes changes now; 0: the store isn't durable, and nothing waits for it. A
            durable store begins at 1
    safe    the number of the newest batch that is safe, as all before it are
    refuses  why nothing more can be kept for now, or ""
    """

    __slots__ = ("open", "refuses", "safe", "_waiting")

    def __init__(self) -> None:
        self.open = 0
        self.safe = 0
        self.refuses = ""
        self._waiting: dict[Waiting, None] = {}

    def close(self) -> int:
        """Begin the next batch. Returns the number of the one that ends here."""
        self.open += 1
        return self.open - 1

    def done(self, number: int) -> None:
        """All batches up to `number` are safe: flush the outboxes that waited."""
        self.safe = max(self.safe, number)
        if self._waiting:
            for outbox in self.take_waiting():
                outbox.mark()

    @property
    def waiting(self) -> int:
        """How many outboxes hold something back."""
        return len(self._waiting)

    def take_waiting(self) -> list[Waiting]:
        """Forget the outboxes that hold something back, and return them."""
        waiting, self._waiting = self._waiting, {}
        return list(waiting)

    def check(self) -> None:
        """Check that something more can be kept. Raises NotKept."""
        if self.refuses:
            raise NotKept(self.refuses)

    def wait(self, outbox: Waiting) -> None:
        """Have `outbox` flushed after the next batch."""
        self._waiting[outbox] = None

    def forget(self, outbox: Waiting) -> None:
        """The link of `outbox` has gone."""
        self._waiting.pop(outbox, None)
