"""What waits in an outbox: batches, searches for retained messages, and barriers that wait for a commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hubbub.kernel.routing.subscription import Batch

Keep = Callable[[str], bool]
"""Returns whether messages on a topic may stay."""


class Search:
    """A search for retained messages, which goes on as there is room. None in `batches` is a step without a match."""

    __slots__ = ("batches", "count", "size")

    def __init__(self, batches: Iterator[Batch | None]) -> None:
        self.batches = batches
        self.count = 0
        self.size = 0

    def purge(self, keep: Keep) -> None:
        """Find no messages on topics that `keep` denies."""
        self.batches = _kept(self.batches, keep)


def _kept(batches: Iterator[Batch | None], keep: Keep) -> Iterator[Batch | None]:
    for batch in batches:
        yield None if batch is not None and batch.messages and not keep(batch.messages[0].topic) else batch


class Barrier:
    """Units behind it wait until the store's batch of that number is safe."""

    __slots__ = ("count", "number", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.count = 0
        self.size = 0


class Latest:
    """The newest waiting message of each topic, for the policy `latest`.

    An emptied unit stays in the queue until there are many; `dead` counts them.
    """

    __slots__ = ("dead", "_newest")

    def __init__(self) -> None:
        self.dead = 0
        self._newest: dict[str, Batch] = {}

    def add(self, one: Batch) -> None:
        """A batch of one message is the newest of its topic."""
        self._newest[one.messages[0].topic] = one

    def remove(self, unit: Batch) -> None:
        """A unit leaves the queue."""
        if unit.messages and self._newest.get(unit.messages[0].topic) is unit:
            del self._newest[unit.messages[0].topic]

    def superseded(self, one: Batch) -> Batch | None:
        """Return the waiting batch on the topic of `one`."""
        return self._newest.get(one.messages[0].topic)

    def empty(self, old: Batch) -> None:
        """Empty a superseded unit, which was made for this queue alone."""
        old.messages, old.frames, old.data, old.size, old.count = (), (), b"", 0, 0
        self.dead += 1


def part_of(unit: Batch, keep: Keep, stream: bool) -> Batch:
    """Return what `keep` leaves of a unit, which other outboxes may share."""
    left = [one for one in unit.singles(stream) if keep(one.messages[0].topic)]
    frames: Sequence[bytes] = [one.frames[0] for one in left]
    return Batch([one.messages[0] for one in left], frames, stream, unit.full)
