"""What waits in an outbox beside batches: answers, searches for retained messages, barriers that wait for a commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hubbub.kernel.commits import Commits
from hubbub.kernel.routing.batch import Batch, kept

Keep = Callable[[str], bool]
"""Returns whether messages on a topic may stay."""


class Answers:
    """Consecutive units that are no messages: answers, gap notices, last units. They are never dropped.

    data  the bytes of the only one, for a stream; empty if there are more, which `join` joins
    """

    __slots__ = ("count", "data", "frames", "size")

    def __init__(self, frame: bytes) -> None:
        self.count = 0
        self.data = frame
        self.frames = [frame]
        self.size = len(frame)

    def join(self) -> bytes:
        """Return their bytes, for a stream."""
        return b"".join(self.frames)

    def add(self, frame: bytes) -> None:
        """Take one more behind them."""
        self.data = b""
        self.frames.append(frame)
        self.size += len(frame)

    def extend(self, others: Answers) -> None:
        """Take others behind them."""
        self.data = b""
        self.frames += others.frames
        self.size += others.size


class Pieces:
    """A long unit for this link alone; other links share the longest of its pieces, `frames`. It is never dropped."""

    __slots__ = ("count", "frames", "size")

    data = b""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.count = 0
        self.frames = frames
        self.size = sum(map(len, frames))

    def join(self) -> bytes:
        """Return them joined."""
        return b"".join(self.frames)


class Search:
    """Messages that are found or made as there is room for them.

    batches  these; None is a step without a message
    size     bytes that they need until then; weight: for how many searches for retained messages it counts
    """

    __slots__ = ("batches", "count", "size", "weight")

    def __init__(self, batches: Iterator[Batch | None], size: int = 0, weight: int = 1) -> None:
        self.batches = batches
        self.count = 0
        self.size = size
        self.weight = weight

    def purge(self, keep: Keep) -> None:
        """Find no messages on topics that `keep` denies."""
        self.batches = kept(self.batches, keep)


class Barrier:
    """Units behind it wait until the batch that `commits` takes changes for now is safe."""

    __slots__ = ("commits", "count", "number", "size")

    def __init__(self, commits: Commits) -> None:
        self.commits = commits
        self.number = commits.open
        self.count = 0
        self.size = 0

    def covers(self, commits: Commits) -> bool:
        """Return whether what comes behind it needs no other barrier for the open batch of `commits`."""
        return self.commits is commits and self.number == commits.open

    @property
    def stands(self) -> bool:
        """Whether units behind it have to wait."""
        return self.number > self.commits.safe


class Latest:
    """The newest waiting message of each topic, for the policy `latest`.

    An emptied unit stays in the queue until there are many; `dead` counts them.
    """

    __slots__ = ("dead", "_newest")

    def __init__(self) -> None:
        self.dead = 0
        self._newest: dict[str, Any] = {}

    def add(self, one: Any) -> None:
        """A unit of one message is the newest of its topic."""
        self._newest[one.topic] = one

    def remove(self, unit: Any) -> None:
        """A unit leaves the queue."""
        topic = unit.topic if unit.count == 1 else None
        if topic is not None and self._newest.get(topic) is unit:
            del self._newest[topic]

    def superseded(self, topic: str) -> Any:
        """Return the waiting unit of a topic, or None."""
        return self._newest.get(topic)


def part_that(unit: Any, keep: Keep) -> Any:
    """Return what `keep` leaves of a unit, which other outboxes may share."""
    whole = unit.part(0, unit.count)
    left = [pair for pair in zip(whole.messages, whole.frames, strict=True) if keep(pair[0].topic)]
    return Batch([message for message, _ in left], [frame for _, frame in left], True, unit.full)
