"""Encoded messages: a batch that all its receivers share, and a part of one."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from hubbub.joined_frames import JoinedFrames, ends_of
from hubbub.kernel.routing.packed import Topics
from hubbub.limits import FLUSH_BYTES


class _Split:
    """What receivers that split a batch share.

    ends    at which byte each message ends
    topics  see Batch.topics; cut: the last copy of some of its messages, with the first and the last of them
    """

    __slots__ = ("cut", "ends", "topics")

    def __init__(self, ends: Sequence[int]) -> None:
        self.cut: tuple[int, int, Any] = (0, 0, None)
        self.ends = ends
        self.topics: dict[str, tuple[int, int]] | None = None


class Batch:
    """Consecutive messages to the same receivers, encoded; all outboxes share it.

    messages  each is a Message, or a Topic once the batch is packed, see `pack`
    size   bytes of their frames; count: how many messages
    data   the frames joined, for streams; empty for datagrams, and until `join` is called in a SplicedBatch
    full   the overflow policy of the subscription, or None
    """

    __slots__ = ("messages", "size", "count", "data", "full", "_frames", "_split")

    def __init__(
        self, messages: Sequence[Any], frames: Sequence[bytes], stream: bool = True, full: str | None = None
    ) -> None:
        self.messages = messages
        self._frames = frames
        self.count = len(messages)
        self.full = full
        self._split: _Split | None = None  # until it is split for the first time
        if stream:
            if len(frames) == 1:
                self.data = frames[0]
            else:
                self.data = frames.data if type(frames) is JoinedFrames else b"".join(frames)
            self.size = len(self.data)
        else:
            self.data = b""
            self.size = sum(map(len, frames))

    def join(self) -> bytes:
        """Return the frames joined, for streams; empty for datagrams."""
        return self.data

    @property
    def frames(self) -> Sequence[bytes]:
        """The frame of each message."""
        return self._frames

    def pack(self) -> bool:
        """Keep nothing but the data and the topics, while it waits and all its receivers have it.

        Returns False if it is packed already, or can't be: datagrams stay as they are.
        """
        if type(self.messages) is Topics or not self.data:
            return False
        if self.count == 1:
            self._frames, self._split = (self.data,), None
        else:
            self._frames = JoinedFrames(self.data, self.count, ends=self.ends())
        self.messages = Topics(self.messages)
        return True

    def singles(self, stream: bool) -> list[Batch]:
        """Return the same messages in batches of one."""
        return [
            Batch((message,), (frame,), stream, self.full)
            for message, frame in zip(self.messages, self.frames, strict=True)
        ]

    def ends(self) -> Sequence[int]:
        """Return at which byte each message ends; made once for all receivers."""
        split = self._split
        if split is None:
            frames = self.frames
            split = self._split = _Split(frames.ends if isinstance(frames, JoinedFrames) else ends_of(frames))
        return split.ends

    def topics(self) -> dict[str, tuple[int, int]]:
        """Return the place of each topic's newest message, and its longest in bytes, in the order of those places."""
        self.ends()
        split = self._split
        assert split is not None
        if split.topics is None:
            found: dict[str, tuple[int, int]] = {}
            for at, (message, frame) in enumerate(zip(self.messages, self.frames, strict=True)):
                found[message.topic] = (at, max(len(frame), found.pop(message.topic, (0, 0))[1]))
            split.topics = found
        return split.topics

    def fitting(self, room: int, at: int = 0) -> int:
        """Return how many messages, from that one on, have at most so many bytes together."""
        ends = self.ends()
        return bisect_right(ends, room + (ends[at - 1] if at else 0), at) - at

    def freeing(self, need: int) -> int:
        """Return how many messages, from the first, have at least so many bytes together, all if none have."""
        return min(bisect_left(self.ends(), need) + 1, self.count)

    def part(self, start: int, end: int) -> Any:
        """Return the messages from `start` to before `end`.

        Few of them are copied, because a Part would keep all others in memory; receivers in the same state share that.
        """
        if start == 0 and end == self.count:
            return self
        self.ends()
        split = self._split
        assert split is not None
        first, last, cut = split.cut
        if cut is None or first != start or last != end:
            part = Part(self, start, end)
            if part.size * 2 >= self.size:
                return part
            cut = Batch(self.messages[start:end], self.frames[start:end], True, self.full)
            split.cut = (start, end, cut)
        return cut

    def single(self, at: int) -> Any:
        """Return one message as a unit that its taker may `empty`."""
        if self.count == 1:
            return Part(self, 0, 1)
        return Batch((self.messages[at],), (self.frames[at],), True, self.full)

    @property
    def topic(self) -> str:
        """The topic of the first message."""
        topic: str = self.messages[0].topic
        return topic

    def empty(self) -> None:
        """Take its messages out: newer ones have replaced them."""
        self.messages, self._frames, self.data, self.size, self.count = (), (), b"", 0, 0


class Around:
    """What batches share whose frames differ in an id alone.

    messages  those of each, see Batch; full: the overflow policy of the subscriptions, or None
    pieces    what stands before, between and behind the ids; size: bytes
    """

    __slots__ = ("full", "messages", "pieces", "size", "_ends", "_sizes")

    def __init__(self, messages: Sequence[Any], pairs: Sequence[tuple[bytes, bytes]], full: str | None) -> None:
        """`pairs`: of each message what comes before the id and behind it."""
        pieces, rest = [], b""
        for head, tail in pairs:
            pieces.append(rest + head)
            rest = tail
        pieces.append(rest)
        self.full = full
        self.messages = messages
        self.pieces = pieces
        self.size = sum(map(len, pieces))
        self._ends: dict[int, Sequence[int]] = {}  # by the length of the id
        self._sizes = [len(head) + len(tail) for head, tail in pairs]

    def ends(self, size: int) -> Sequence[int]:
        """Return at which byte each message ends, with an id of that many bytes."""
        if size not in self._ends:
            self._ends[size] = array("I", accumulate([one + size for one in self._sizes]))
        return self._ends[size]

    def pack(self) -> bool:
        """Keep no messages but their topics, as Batch.pack does."""
        if type(self.messages) is Topics:
            return False
        self.messages = Topics(self.messages)
        return True


class SplicedBatch(Batch):
    """A batch whose bytes are joined when it leaves, so that those of many receivers don't wait beside each other."""

    __slots__ = ("_around", "_id")

    def __init__(self, around: Around, id: bytes) -> None:
        messages = around.messages
        self.messages = messages
        self.count = len(messages)
        self.size = around.size + len(messages) * len(id)
        self.full = around.full
        self.data = b""
        self._frames = ()
        self._split = None
        self._around: Around | None = around  # until its frames are looked at
        self._id = id

    def join(self) -> bytes:
        return self.data if self._around is None else self._id.join(self._around.pieces)

    @property
    def frames(self) -> Sequence[bytes]:
        self._cut()
        return self._frames

    @property
    def halves(self) -> tuple[bytes, bytes] | None:
        """Both sides of one message that is longer than what one flush sends: the second is shared. None: it isn't."""
        around = self._around
        if around is None or self.count != 1 or self.size <= FLUSH_BYTES:
            return None
        head, tail = around.pieces
        return head + self._id, tail

    def pack(self) -> bool:
        if self._around is None:
            return super().pack()
        packed = self.messages is not self._around.messages or self._around.pack()
        self.messages = self._around.messages
        return packed

    def ends(self) -> Sequence[int]:
        if self._around is not None and self._split is None:
            self._split = _Split(self._around.ends(len(self._id)))
        return super().ends()

    def _cut(self) -> None:
        """Be like any other batch from now on."""
        if self._around is not None:
            self.data = self.join()
            self._frames = JoinedFrames(self.data, self.count, ends=self._around.ends(len(self._id)))
            self._around = None


class Part:
    """Some messages of a batch; it looks like a Batch to its receivers.

    messages, frames, size, count, full  as of a Batch
    """

    __slots__ = ("batch", "count", "end", "full", "size", "start")

    data = b""  # `join` joins its frames

    def __init__(self, batch: Batch, start: int, end: int) -> None:
        ends = batch.ends()
        self.batch = batch
        self.count = end - start
        self.end = end
        self.full = batch.full
        self.size = ends[end - 1] - (ends[start - 1] if start else 0)
        self.start = start

    @property
    def messages(self) -> Sequence[Any]:
        return self.batch.messages[self.start : self.end]

    @property
    def frames(self) -> Sequence[bytes]:
        return self.batch.frames[self.start : self.end]

    def join(self) -> bytes:
        """Return the frames joined."""
        return b"".join(self.frames)

    @property
    def topic(self) -> str:
        """The topic of the first message."""
        topic: str = self.batch.messages[self.start].topic
        return topic

    def topics(self) -> dict[str, tuple[int, int]]:
        """Return the place of each topic's newest message, and its longest in bytes, in the order of those places."""
        return Batch(self.messages, self.frames, False).topics()

    def fitting(self, room: int, at: int = 0) -> int:
        """Return how many messages, from that one on, have at most so many bytes together."""
        ends, start = self.batch.ends(), self.start + at
        return bisect_right(ends, room + (ends[start - 1] if start else 0), start, self.end) - start

    def freeing(self, need: int) -> int:
        """Return how many messages, from the first, have at least so many bytes together, all if none have."""
        ends, start = self.batch.ends(), self.start
        at = bisect_left(ends, need + (ends[start - 1] if start else 0), start, self.end) - start
        return min(at + 1, self.count)

    def part(self, start: int, end: int) -> Any:
        """Return the messages from `start` to before `end`, counted from the first of this part."""
        return self.batch.part(self.start + start, self.start + end)

    def single(self, at: int) -> Any:
        """Return one message as a unit that its taker may `empty`."""
        return self.batch.single(self.start + at)

    def empty(self) -> None:
        """Take its messages out: newer ones have replaced them."""
        self.count = self.size = 0
        self.end = self.start


END = Batch((), (b"",))  # of a search for retained messages


def kept(batches: Iterator[Batch | None], keep: Callable[[str], bool]) -> Iterator[Batch | None]:
    """Yield what a search finds, with None for messages on topics that `keep` denies."""
    for batch in batches:
        yield None if batch is not None and batch.count and not keep(batch.messages[0].topic) else batch
