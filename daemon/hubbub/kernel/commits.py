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

    __slots__ = ("open", "refuses", "safe", "_of_number", "_waiting")

    def __init__(self) -> None:
        self.open = 0
        self.safe = 0
        self.refuses = ""
        self._of_number: dict[int, dict[Waiting, None]] = {}  # those that wait, by the number of their batch
        self._waiting: dict[Waiting, int] = {}  # and that number of each

    def close(self) -> int:
        """Begin the next batch. Returns the number of the one that ends here."""
        self.open += 1
        return self.open - 1

    def done(self, number: int) -> None:
        """All batches up to `number` are safe: flush the outboxes that waited for them."""
        before = self.safe
        if number > before:
            self.safe = number
            if self._of_number:
                for one in range(before + 1, number + 1):
                    if one in self._of_number:
                        self._go_on(one)

    def _go_on(self, number: int) -> None:
        for outbox in self._of_number.pop(number):
            del self._waiting[outbox]
            outbox.mark()

    @property
    def waiting(self) -> int:
        """How many outboxes hold something back."""
        return len(self._waiting)

    def take_waiting(self) -> list[Waiting]:
        """Forget the outboxes that hold something back, and return them."""
        waiting, self._waiting, self._of_number = self._waiting, {}, {}
        return list(waiting)

    def check(self) -> None:
        """Check that something more can be kept. Raises NotKept."""
        if self.refuses:
            raise NotKept(self.refuses)

    def wait(self, outbox: Waiting, number: int) -> None:
        """Have `outbox` flushed once a batch is safe that isn't yet."""
        if number < self._waiting.get(outbox, number + 1):
            self.forget(outbox)
            self._waiting[outbox] = number
            self._of_number.setdefault(number, {})[outbox] = None

    def forget(self, outbox: Waiting) -> None:
        """Have `outbox` wait no more."""
        number = self._waiting.pop(outbox, 0)
        if number:
            del self._of_number[number][outbox]
