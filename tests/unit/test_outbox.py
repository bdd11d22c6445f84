"""Whatever happens, an outbox keeps its order, its books and its bound."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub import limits
from hubbub.kernel.connection import outbox, overflow
from hubbub.kernel.connection.overflow import POLICIES
from hubbub.kernel.connection.slow_consumers import weigh
from hubbub.kernel.routing.batch import Batch
from scale import examples
from unit.outbox_help import LONGEST, Pipe, filled, flushing, frame

KEEPERS = [policy for policy in POLICIES if policy != "disconnect"]
UNITS = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 80) | st.integers(0, LONGEST - 20))
OPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(UNITS, min_size=1, max_size=6)),
        st.tuples(st.just("answer"), st.integers(0, 30)),
        st.tuples(st.just("miss"), st.integers(1, 3)),
        st.tuples(st.just("retained"), st.integers(0, 8)),
        st.tuples(st.just("give_way"), st.integers(0, 500)),
        st.tuples(st.just("block"), st.none()),
        st.tuples(st.just("resume"), st.none()),
        st.tuples(st.just("turn"), st.none()),
    ),
    max_size=40,
)


def play(pipe, ops):
    for op, value in ops:
        if op == "put":
            pipe.put(*value)
        elif op in ("answer", "miss", "retained"):
            getattr(pipe, op)(value)
        elif op == "give_way":
            pipe.give_way(value)
        elif op == "block":
            pipe.blocked = True
        elif op == "resume":
            pipe.resume()
        else:
            pipe.world.turn(1)
        pipe.check_bound()


EMPTIED = [  # all that a flush finds is what was superseded
    *[("put", [("a", 0)]), *[("answer", 0)] * 5, ("answer", 28), ("retained", 4), ("answer", 19), ("retained", 2)],
    *[("put", [("a", 0)] * 4), ("put", [("a", 0)] * 5), ("give_way", 0)],
]
BETWEEN_HALVES = [("put", [("a", 0)]), ("put", [("a", 52)]), ("block", None), ("turn", None), ("answer", 3)]


@settings(max_examples=examples(400))
@example("latest", EMPTIED, 60, 5)
@example("latest", BETWEEN_HALVES, 60, 5)
@given(st.sampled_from(KEEPERS), OPS, st.sampled_from([60, 200, 10_000]), st.sampled_from([2, 5, 1_000]))
def test_whatever_happens_the_books_are_right(full, ops, at_once, retained_at_once):
    pipe = Pipe(full)
    with flushing(at_once), patch.multiple(limits, RETAINED_AT_ONCE=retained_at_once):
        play(pipe, ops)
        pipe.drain()
    receiver = pipe.receiver
    reported, _ = pipe.check_order()
    pipe.check_gaps()
    sent = sum(kind == "msg" for kind, _ in pipe.out())
    assert sent + receiver.dropped == len(pipe.topics)
    assert receiver.sent == sent
    assert pipe.world.hub.turn.counters.dropped == receiver.dropped
    assert reported == receiver.dropped + pipe.missed
    assert (
        receiver.size,
        receiver.count,
        receiver.answers,
        receiver.lost,
        receiver.missed,
    ) == (0, 0, 0, 0, 0)
    assert receiver.empty
    before = len(pipe.writes)
    pipe.put(("a", 1))
    pipe.world.turn()
    assert len(pipe.writes) == before + 1


@settings(max_examples=examples(200))
@given(OPS)
def test_latest_keeps_the_newest_of_each_topic(ops):
    pipe = Pipe("latest", limit=100_000)
    pipe.blocked = True
    with patch.object(overflow, "QUEUE_MESSAGES", 6), patch.object(outbox, "QUEUE_MESSAGES", 6), flushing(1):
        play(pipe, [op for op in ops if op[0] in ("put", "answer", "turn")])
        pipe.drain()
    _, newest = pipe.check_order()
    assert newest == {topic: number for number, topic in sorted(pipe.topics.items())}


@given(st.sampled_from(POLICIES), UNITS)
def test_an_empty_outbox_takes_one_message_of_any_size(full, unit):
    pipe = Pipe(full, limit=1)
    pipe.put(unit)
    pipe.drain()
    assert pipe.out() == [("msg", 1)]
    assert (pipe.receiver.dropped, pipe.bursts) == (0, 0)


def test_drop_oldest():
    pipe = filled("drop-oldest")
    pipe.put(("d", 10))
    pipe.drain()
    assert pipe.out() == [("gap", 1), ("msg", 2), ("msg", 3), ("msg", 4)]


def test_drop_newest():
    pipe = filled("drop-newest")
    pipe.put(("d", 10))
    pipe.put(("e", 10))
    pipe.drain()
    assert pipe.out() == [("msg", 1), ("msg", 2), ("msg", 3), ("gap", 2)]
    pipe.put(("f", 10))
    pipe.drain()
    assert pipe.out()[-1] == ("msg", 6)


def test_latest():
    pipe = filled("latest")
    pipe.put(("b", 10))
    pipe.drain()
    assert pipe.out() == [("gap", 1), ("msg", 1), ("msg", 3), ("msg", 4)]


def test_disconnect():
    pipe = filled("disconnect")
    pipe.put(("d", 10), ("e", 10))
    assert pipe.bursts == 1
    pipe.world.turn()
    assert pipe.writes == []


@pytest.mark.parametrize(("full", "out"), [
    ("drop-oldest", [("gap", 2), ("msg", 3), ("ans", 4)]),
    ("latest", [("gap", 2), ("msg", 3), ("ans", 4)]),
    ("drop-newest", [("msg", 1), ("gap", 2), ("ans", 4)]),
])  # fmt: skip
def test_it_gives_way_by_its_policy(full, out):
    pipe = filled(full)
    pipe.answer()
    pipe.give_way(weigh(len(frame(b"msg", 1, "a", 10)), units=2, messages=2))  # the answer is a unit too
    pipe.drain()
    assert pipe.out() == out


def test_what_would_be_a_hole_is_a_cut():
    pipe = filled("disconnect")
    assert not pipe.receiver.give_way(10)
    assert pipe.bursts == 1
    pipe = filled("drop-oldest")
    pipe.answer(50)
    assert not pipe.receiver.give_way(10)
    assert pipe.bursts == 1


def test_answers_stay_where_they_are():
    pipe = filled("drop-oldest")
    pipe.answer()
    pipe.put(("d", 10))
    pipe.answer()
    pipe.drain()
    assert pipe.out() == [("gap", 2), ("msg", 3), ("ans", 4), ("msg", 5), ("ans", 6)]


def test_one_subscription_with_latest_leaves_the_messages_of_another_alone():
    pipe = Pipe("drop-oldest", limit=6 * len(frame(b"msg", 1, "a", 10)))
    pipe.put(("a", 10), ("a", 10), ("a", 10))
    for _ in range(20):
        pipe.put(("b", 10), full="latest")
    pipe.drain()
    sent = [pipe.topics[number] for kind, number in pipe.out() if kind == "msg"]
    assert sent == ["a", "a", "a", "b"]


def test_what_it_cannot_say_it_does_not_write():
    pipe = filled("drop-newest", can_say_gap=False)
    pipe.put(("d", 10))
    pipe.drain()
    pipe.miss(1)
    pipe.drain()
    assert pipe.out() == [("msg", 1), ("msg", 2), ("msg", 3)]


def test_what_the_transport_holds_counts():
    pipe = Pipe("drop-newest", limit=100)
    pipe.blocked = True
    pipe.put(("a", 70))
    pipe.world.turn()
    assert pipe.receiver.size == len(frame(b"msg", 1, "a", 70))
    pipe.put(("b", 10))  # an empty outbox takes one
    pipe.put(("c", 10))
    assert pipe.receiver.dropped == 1
    pipe.drain()
    assert pipe.out() == [("msg", 1), ("msg", 2), ("gap", 1)]
    assert pipe.receiver.size == 0


def test_nothing_leaves_while_paused_and_a_flush_hands_over_so_much():
    pipe = Pipe("drop-oldest", limit=100_000_000)
    pipe.put(*[("a", 1_000)] * 2_000)
    pipe.receiver.pause(0)
    pipe.world.turn()
    assert pipe.writes == []
    pipe.drain()
    assert len(pipe.out()) == 2_000
    assert max(map(len, pipe.writes)) <= limits.FLUSH_BYTES + 1_020


def test_drained_is_called_when_the_answers_are_handed_over():
    pipe = Pipe("drop-oldest")
    calls = []
    pipe.receiver.drained = lambda: calls.append(len(pipe.writes))
    pipe.answer()
    assert calls == []
    pipe.world.turn()
    assert calls == [1]
    pipe.blocked = True
    pipe.answer()
    pipe.world.turn()
    assert calls == [1, 2]
    pipe.answer()
    pipe.world.turn()
    assert calls == [1, 2]
    pipe.drain()
    assert calls == [1, 2, 3]


def test_a_client_that_has_gone_gets_nothing():
    pipe = Pipe("drop-oldest")
    pipe.receiver.drained = lambda: pytest.fail("called after the end")
    pipe.put(("a", 1))
    pipe.miss(1)
    pipe.receiver.clear()
    pipe.put(("a", 1))
    pipe.world.turn()
    assert pipe.writes == []


def test_retained_messages_come_as_room_appears():
    pipe = Pipe("drop-oldest", limit=100_000)
    with patch.multiple(limits, RETAINED_AT_ONCE=10), flushing(300):
        pipe.answer()
        pipe.retained(100)
        assert pipe.receiver.count == 10
        pipe.put(("live", 1))
        pipe.blocked = True
        pipe.world.turn()
        assert len(pipe.out()) < 20
        pipe.drain()
    assert pipe.out() == [("ans", 1)] + [("msg", number) for number in range(2, 103)]
    assert pipe.receiver.sent == 101


def test_a_retained_message_that_cannot_be_carried_is_reported():
    pipe = Pipe("drop-oldest")
    batches = [pipe.batch([("r", 1)]), Batch((), ()), pipe.batch([("r", 1)]), Batch((), ()), pipe.batch([("r", 1)])]
    with patch.object(limits, "RETAINED_AT_ONCE", 3):
        pipe.receiver.retained(iter(batches))
        pipe.drain()
    assert [kind for kind, _ in pipe.out()] == ["msg", "gap", "msg", "gap", "msg"]
    assert pipe.receiver.sent == 3
    assert pipe.world.hub.turn.counters.uncarried == 2
