"""An outbox with its owner and its transport, which keep the books of all that was put into it."""

from __future__ import annotations

from contextlib import contextmanager
from unittest.mock import patch

from hubbub import limits
from hubbub.kernel.connection import outbox
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.routing.batch import Around, Batch, SplicedBatch
from hubbub.message import Message
from unit.kernel_help import World

LIMIT = 300
LONGEST = 400  # of one message: more than the whole limit


@contextmanager
def flushing(size):
    """Each flush hands over that many bytes."""
    with (
        patch.object(outbox, "FLUSH_BYTES", size),
        patch("hubbub.kernel.connection.flushing.FLUSH_BYTES", size),
        patch("hubbub.kernel.routing.batch.FLUSH_BYTES", size),
    ):
        yield


def frame(kind, number, topic, size=0):
    return b"%b %d %b %b\n" % (kind, number, topic.encode(), b"x" * size)


class Pipe:
    """An outbox, its owner and its transport. Everything put gets the next number, and its unit shows it."""

    def __init__(self, full, limit=LIMIT, can_say_gap=True):
        self.world = World()
        self.receiver = Outbox(self.world.hub.turn, self.world.hub.slow_consumers, self, self, full, limit)
        self.can_say_gap = can_say_gap
        self.numbers = 0
        self.topics = {}  # number -> topic, of all messages put
        self.answers = []
        self.missed = 0
        self.blocked = False
        self.writes = []
        self.bursts = 0

    # The owner

    def gap(self, n):
        return b"gap %d\n" % n if self.can_say_gap else b""

    def on_overflow(self):
        self.bursts += 1
        self.receiver.clear()

    # The transport

    def write(self, data):
        assert not self.receiver.paused
        assert data
        self.writes.append(data)
        if self.blocked:
            self.receiver.pause(len(data))

    # What a test does

    def message(self, topic, size):
        self.numbers += 1
        self.topics[self.numbers] = topic
        return Message(topic, b"x" * size), frame(b"msg", self.numbers, topic, size)

    def batch(self, units, full=None):
        """Every other batch shares all but an id with others."""
        spliced = self.numbers % 2
        messages, frames = zip(*[self.message(*unit) for unit in units], strict=True)
        if not spliced:
            return Batch(messages, frames, full=full)
        return SplicedBatch(Around(messages, [(b"", one.removeprefix(b"msg")) for one in frames], full), b"msg")

    def put(self, *units, full=None):
        self.receiver.put(self.batch(units, full))
        self.world.hub.turn.schedule_flush()

    def answer(self, size=0):
        self.numbers += 1
        self.answers.append(self.numbers)
        self.receiver.answer(frame(b"ans", self.numbers, "", size))

    def miss(self, count):
        self.missed += count
        self.receiver.miss(count)

    def retained(self, count):
        self.receiver.retained(iter([self.batch([("r", 10)]) for _ in range(count)]))

    def give_way(self, more):
        """Keep `more` bytes beside what can't be dropped."""
        weight = self.receiver.held + self.receiver.answers + more
        assert self.receiver.give_way(weight)
        assert self.receiver.size <= weight + 20
        assert not self.receiver.count or self.receiver.weight <= weight + 3 * limits.UNIT_BYTES  # with notices

    def resume(self):
        self.blocked = False
        if self.receiver.paused:
            self.receiver.resume()

    def drain(self):
        self.resume()
        self.world.turn()

    def out(self):
        """What came out: (kind, number)."""
        lines = b"".join(self.writes).splitlines()
        return [(line.split()[0].decode(), int(line.split()[1])) for line in lines]

    def check_bound(self):
        # One message over the limit may wait, and one more be with the transport, with the notice before it.
        assert self.receiver.size <= self.receiver.limit + 2 * (LONGEST + 20) + self.receiver.answers
        assert self.receiver.count <= limits.QUEUE_MESSAGES

    def check_order(self):
        reported, seen, newest = 0, 0, {}
        for kind, number in self.out():
            if kind == "gap":
                reported += number
                continue
            assert number > seen
            seen = number
            if kind == "msg":
                newest[self.topics[number]] = number
        assert [number for kind, number in self.out() if kind == "ans"] == self.answers
        return reported, newest

    def check_gaps(self):
        """Before each message the client has been told of all that are missing before it."""
        sent = {number for kind, number in self.out() if kind == "msg"}
        reported = 0
        for kind, number in self.out():
            if kind == "gap":
                reported += number
            elif kind == "msg":
                assert reported >= sum(other < number and other not in sent for other in self.topics)


def filled(full, **more):
    """An outbox with messages 1 to 3 of one topic each, all that fit, on a transport that holds nothing."""
    pipe = Pipe(full, limit=3 * len(frame(b"msg", 1, "a", 10)), **more)
    pipe.put(("a", 10), ("b", 10))
    pipe.put(("c", 10))
    assert pipe.receiver.dropped == 0
    return pipe
