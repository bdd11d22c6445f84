"""Whatever many links do, each gets what a plain list of its own would have given it: messages, gaps, order."""

from __future__ import annotations

import contextlib
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hubbub import limits
from hubbub.kernel.connection import backlog, outbox, overflow
from hubbub.kernel.connection.overflow import POLICIES
from hubbub.kernel.routing import groups
from scale import examples
from unit.kernel_help import Tiny, World

MOST = 8  # messages that wait for one link
SEARCH = ("", b"")  # a search for retained messages that waits among these; it finds none
LINKS = 2  # that have stopped reading, for a backlog


@contextlib.contextmanager
def small():
    """Few messages fill an outbox, and few links a backlog."""
    with contextlib.ExitStack() as stack:
        for module in (outbox, overflow, backlog):
            stack.enter_context(patch.object(module, "QUEUE_MESSAGES", MOST))
        for module in (limits, backlog, groups):
            stack.enter_context(patch.object(module, "BACKLOG_LINKS", LINKS))
        stack.enter_context(patch.object(limits, "BACKLOG_REST", 1))
        yield


LIMIT = st.sampled_from([40, 90, 1_000])  # bytes
LINK_OF_ANY = st.tuples(st.sampled_from(POLICIES), LIMIT)
LINK = st.sampled_from(POLICIES).flatmap(lambda full: st.lists(st.tuples(st.just(full), LIMIT), min_size=3, max_size=4))


class Model:
    """One link with a list of its own, in which each message counts for itself."""

    def __init__(self, full: str, limit: int) -> None:
        self.full, self.limit = full, limit
        self.filters: set[str] = set()
        self.waiting: list[tuple[str, bytes]] = []  # the topic, or "" for what is no message
        self.held = self.lost = self.missed = 0
        self.blocked = self.paused = self.conflated = self.cut = False
        self.out = b""

    @property
    def count(self) -> int:
        return sum(topic != "" for topic, _ in self.waiting)

    def fits(self, frame: bytes) -> bool:
        size = self.held + sum(len(one) for _, one in self.waiting)
        return not self.count or (size + len(frame) <= self.limit and self.count < MOST)

    def put(self, topic: str, frame: bytes) -> None:
        if self.full == "latest" and not self.conflated and not self.fits(frame):
            self.conflated = True
            newest = {one: at for at, (one, _) in enumerate(self.waiting)}
            kept = [one for at, one in enumerate(self.waiting) if not one[0] or newest[one[0]] == at]
            self.lost += len(self.waiting) - len(kept)
            self.waiting = kept
        if self.conflated and topic in [one for one, _ in self.waiting]:
            self.waiting = [one for one in self.waiting if one[0] != topic]
            self.lost += 1
        while not self.fits(frame):
            if self.full == "disconnect":
                self.cut = True
                return
            if self.full == "drop-newest":
                self.missed += 1
                return
            del self.waiting[next(at for at, (one, _) in enumerate(self.waiting) if one)]
            self.lost += 1
        self.tell_missed()
        self.waiting.append((topic, frame))

    def tell_missed(self) -> None:
        if self.missed:
            self.waiting.append(("", b"gap %d\n" % self.missed))
            self.missed = 0

    def answer(self, frame: bytes) -> None:
        self.tell_missed()
        self.waiting.append(("", frame))

    def search(self) -> None:
        size = self.held + sum(len(one) for _, one in self.waiting)
        if SEARCH in self.waiting or size > self.limit // 2 or self.count > MOST // 2:
            self.waiting.append(SEARCH)

    def turn(self) -> None:
        if self.paused or not (self.waiting or self.lost or self.missed):
            return
        data, searches = b"", 0
        while self.waiting:
            topic, frame = self.waiting[0]
            searches += (topic, frame) == SEARCH
            if searches > 1 and self.blocked:
                break  # a flush ends one search, and the transport takes no second write
            if topic and self.lost:
                data += b"gap %d\n" % self.lost
                self.lost = 0
            data += frame
            del self.waiting[0]
        if not self.waiting:
            if self.lost + self.missed:
                data += b"gap %d\n" % (self.lost + self.missed)
            self.lost, self.missed, self.conflated = 0, 0, False
        self.out += data
        if self.blocked:
            self.paused, self.held = True, len(data)

    def room(self) -> None:
        self.blocked = self.paused = False
        self.held = 0


class Backlogs(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(small())
        self.world = World()
        self.numbers = 0
        self.pairs: list[tuple[Any, Model]] = []

    @initialize(
        links=LINK | st.lists(LINK_OF_ANY, min_size=2, max_size=5),
        rest=st.integers(1, 2),
    )
    def begin(self, links: list[tuple[str, int]], rest: int) -> None:
        for full, limit in links:
            self.pairs.append((self.world.link(Tiny, full=full, queue=limit), Model(full, limit)))
            self.subscribe(len(self.pairs) - 1, "a/+")
        for at in range(len(self.pairs)):
            self.stall(at)
        for _ in range(rest):
            self.publish(["a/1"], 3)
            self.end_turn()

    @rule(topics=st.lists(st.sampled_from(["a/1", "a/2", "b"]), min_size=1, max_size=6), size=st.integers(1, 30))
    def publish(self, topics: list[str], size: int) -> None:
        for topic in topics:
            self.numbers += 1
            payload = b"%d" % self.numbers + b"x" * size
            self.world.publish(topic, payload)
            for link, model in self.pairs:
                matches = "#" in model.filters or ("a/+" in model.filters and topic != "b")
                if matches and not model.cut and link.open:
                    model.put(topic, b"%b=%b\n" % (topic.encode(), payload))

    @rule(at=st.integers(0, 4))
    def ping(self, at: int) -> None:
        self.say(at, b"ping\n", b"pong %d\n")

    @rule(at=st.integers(0, 4), filter=st.sampled_from(["a/+", "#"]))
    def subscribe(self, at: int, filter: str) -> None:
        link, model = self.pairs[at % len(self.pairs)]
        self.say(at, b"sub %b\n" % filter.encode(), b"ok %b\n" % filter.encode())
        model.filters.add(filter)
        if link.open and not model.cut:
            model.search()

    @rule(at=st.integers(0, 4))
    def unsubscribe(self, at: int) -> None:
        self.say(at, b"unsub a/+\n", b"ok a/+\n")
        self.pairs[at % len(self.pairs)][1].filters.discard("a/+")

    def say(self, at: int, data: bytes, answer: bytes) -> None:
        link, model = self.pairs[at % len(self.pairs)]
        if link.open and not model.cut:
            link.receive(data)
            model.answer(answer % len(model.filters) if b"%" in answer else answer)

    @rule(at=st.integers(0, 4))
    def stall(self, at: int) -> None:
        link, model = self.pairs[at % len(self.pairs)]
        link.wire.full = model.blocked = True

    @rule()
    def stall_all(self) -> None:
        for at in range(len(self.pairs)):
            self.stall(at)

    @rule(at=st.integers(0, 4))
    def resume(self, at: int) -> None:
        link, model = self.pairs[at % len(self.pairs)]
        self.world.hub.router.commit()  # what was published before finds it paused
        if link.outbox.paused and link.open:
            link.wire.room()
            model.room()
        else:
            link.wire.full = model.blocked = False

    @rule()
    def end_turn(self) -> None:
        self.world.turn()
        for _, model in self.pairs:
            if not model.cut:
                model.turn()

    @rule(at=st.integers(0, 4))
    @precondition(lambda self: self.pairs)
    def depth(self, at: int) -> None:
        box = self.pairs[at % len(self.pairs)][0].outbox
        assert box.depth()[0] <= MOST
        assert box.dropped >= 0

    def teardown(self) -> None:
        try:
            self.end_turn()
            for at in range(len(self.pairs)):
                self.resume(at)
            self.end_turn()
            for link, model in self.pairs:
                assert b"".join(link.wire.writes) == model.out
                assert link.open != model.cut
                assert link.outbox.empty or model.cut
                assert link.outbox.places is None
            assert not self.world.hub.slow_consumers._waiting
        finally:
            self.stack.close()


Backlogs.TestCase.settings = settings(max_examples=examples(300), stateful_step_count=40, deadline=None)
TestBacklogs = Backlogs.TestCase
