"""kernel/history and connection/replay.py: what is kept comes again, then what is new, as if it had been one stream."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubbub import limits
from hubbub.events import Subscribe, SubscriptionBatch
from hubbub.history_request import HistoryRequest
from hubbub.kernel.history.position import first_number, new_epoch, read_number
from hubbub.topics import matches
from scale import examples
from unit.history_help import HistoryRule, Lines, hub_with, lines

ALL = HistoryRule("#")


def test_after_a_position():
    world, _ = hub_with(ALL)
    ear = world.link(Lines)
    lines(world, "PUB a/0 zero")
    (answer,) = lines(world, "POSITION", link=ear)
    word, position = answer.split()
    assert word == "POSITION"
    lines(world, "PUB a/1 one", "PUB b no", "PUB a/2 two")
    output = lines(world, f"SUB a/+ AFTER {position}", link=ear)
    assert output[:3] == ["OK SUB a/+", "MSG a/1 one", "MSG a/2 two"]
    assert output[3].startswith("LIVE ")
    lines(world, "PUB a/3 three")
    assert ear.wire.output() == b"MSG a/3 three\n"
    assert lines(world, f"SUB a/+ {output[3].replace('LIVE', 'after')}") == [
        "OK SUB a/+",
        "MSG a/3 three",
        world_end(world),
    ]


def world_end(world):
    return f"LIVE {world.hub.history.end}"


def test_since_a_while_ago():
    world, _ = hub_with(ALL)
    lines(world, "PUB a old")
    world.sleep(100)
    lines(world, "PUB a new")
    assert lines(world, "SUB a SINCE 1min") == ["OK SUB a", "MSG a new", world_end(world)]
    answer, lost, *rest = lines(world, "SUB a SINCE 1h")
    assert (answer, lost.split()[0], rest) == ("OK SUB a", "LOST", ["MSG a old", "MSG a new", world_end(world)])


def test_the_last_of_each_topic():
    world, _ = hub_with(ALL)
    for n in range(5):
        lines(world, f"PUB a {n}", f"PUB b {n}")
    lines(world, "PUB c once")
    assert lines(world, "SUB # LAST 2") == [
        "OK SUB #", "MSG a 3", "MSG b 3", "MSG a 4", "MSG b 4", "MSG c once", world_end(world),
    ]  # fmt: skip
    assert lines(world, "SUB # LAST 0") == ["OK SUB #", world_end(world)]


@pytest.mark.parametrize("position", ["nonsense", f"{'a' * 16}-1", "{epoch}-9223372036854775807", "{epoch}--1"])
def test_an_unknown_position_is_never_up_to_date(position):
    world, store = hub_with(ALL)
    lines(world, "PUB a 1")
    answer, lost, *rest = lines(world, f"SUB # AFTER {position.format(epoch=store.epoch)}")
    assert (answer, lost.split()[0], rest) == ("OK SUB #", "LOST", ["MSG a 1", world_end(world)])


def test_what_was_trimmed_is_reported():
    world, _store = hub_with(HistoryRule("#", messages=3))
    (position,) = lines(world, "POSITION")
    lines(world, *[f"PUB a {n}" for n in range(5)])
    _answer, lost, *rest = lines(world, f"SUB a AFTER {position.split()[1]}")
    assert rest == ["MSG a 2", "MSG a 3", "MSG a 4", world_end(world)]
    assert lines(world, f"SUB a AFTER {lost.split()[1]}") == ["OK SUB a", *rest]


def test_age_and_bytes_bound_a_rule():
    world, _ = hub_with(HistoryRule("#", age=10.0))
    lines(world, "PUB a 1")
    world.sleep(11)
    lines(world, "PUB a 2")
    assert "MSG a 1" not in lines(world, "SUB a LAST 5")
    world, _store = hub_with(HistoryRule("#", bytes=1_000))
    lines(world, *[f"PUB a {n:0300}" for n in range(5)])
    assert [line for line in lines(world, "SUB a LAST 5") if line.startswith("MSG")] == [f"MSG a {4:0300}"]


def test_of_several_rules_the_first_keeps_a_message():
    world, _store = hub_with(HistoryRule("a/#", messages=1), ALL)
    lines(world, "PUB a/x 1", "PUB b 1", "PUB a/x 2", "PUB b 2")
    assert [state.count for state in world.hub.history.states] == [1, 2]
    assert [line for line in lines(world, "SUB # LAST 9") if line.startswith("MSG")] == [
        "MSG b 1",
        "MSG a/x 2",
        "MSG b 2",
    ]


def test_a_filter_that_no_rule_covers_is_never_complete():
    world, _store = hub_with(HistoryRule("a/#"))
    lines(world, "PUB a/x 1", "PUB b 1")
    _answer, lost, *rest = lines(world, f"SUB # AFTER {world.hub.history.end}")
    assert (lost, rest) == (f"LOST {world.hub.history.end}", [world_end(world)])
    assert lines(world, "SUB b LAST 3") == ["OK SUB b", f"LOST {world.hub.history.end}", world_end(world)]
    ear = world.link(Lines)
    lines(world, "SUB b SINCE 1h", link=ear)
    lines(world, "PUB b 2")
    assert ear.wire.output() == b"MSG b 2\n"


def test_no_retained_message_comes_before_a_history():
    world, _ = hub_with(ALL)
    lines(world, "PUB! a 1", "PUB a 2")
    assert lines(world, "SUB a LAST 9") == ["OK SUB a", "MSG a 1", "MSG a 2", world_end(world)]


def test_without_a_history():
    world, _ = hub_with()
    assert lines(world, "POSITION") == ["ERR bad-command this hub keeps no history; --history FILTER does"]
    assert lines(world, "SUB a LAST 1")[0].startswith("ERR bad-command")


@pytest.mark.parametrize(
    "words", ["AFTER", "SINCE x", "LAST -1", "LAST 1 2", "UNTIL 3", "last 10000000000", "AFTER  x"]
)
def test_what_is_no_request(words):
    world, _ = hub_with(ALL)
    (answer,) = lines(world, f"SUB a {words}")
    assert answer.startswith("ERR bad-")


def test_a_group_has_no_history():
    world, _ = hub_with(ALL)
    assert lines(world, "SUB $share/g/a LAST 1")[0].startswith("ERR bad-filter")


class Rights:
    def __init__(self):
        self.denied = set()

    def publish(self, topic): ...
    def subscribe(self, filter): ...
    def receives(self, topic):
        return topic not in self.denied


def test_rights_hold_for_each_message():
    world, _ = hub_with(ALL)
    lines(world, "PUB a 1", "PUB b 1")
    rights = Rights()
    rights.denied = {"b"}
    ear = world.link(Lines, rights=lambda session: rights)
    assert lines(world, "SUB # LAST 9", link=ear) == ["OK SUB #", "MSG a 1", world_end(world)]


def test_rights_that_end_end_a_replay():
    world, store = hub_with(ALL, slow=True)
    lines(world, *[f"PUB a {n}" for n in range(limits.HISTORY_TAIL_MESSAGES + 5)])
    store.commit(10**9)
    lines(world, *[f"PUB a {n}" for n in range(limits.HISTORY_TAIL_MESSAGES + 5)])
    rights = Rights()
    ear = world.link(Lines, rights=lambda session: rights)
    assert lines(world, "SUB a SINCE 1s", link=ear)[0] == "OK SUB a"
    assert store.reads
    ear.context.rights = lambda session: later
    later = Rights()
    later.denied = {"a"}
    ear.reconsider()
    while store.answer():
        pass
    world.turn()
    output = ear.wire.output()
    assert b"MSG" not in output
    assert b"ERR not-authorized" in output
    assert ear.egress.replays == deque()


def test_a_client_that_unsubscribes_or_leaves_ends_its_replay():
    world, store = hub_with(ALL, slow=True)
    for _ in range(2):
        lines(world, *[f"PUB a {n}" for n in range(limits.HISTORY_TAIL_MESSAGES + 5)])
        store.commit(10**9)
    ear, gone = world.link(Lines), world.link(Lines)
    lines(world, "SUB a SINCE 1s", link=ear)
    lines(world, "SUB a SINCE 1s", link=gone)
    assert lines(world, "UNSUB a", link=ear) == ["OK UNSUB a"]
    gone.abort()
    while store.reads:
        store.answer()
        world.turn()
    assert (ear.wire.output(), gone.wire.output()) == (b"", b"")


def test_a_slow_client_holds_one_page():
    world, _store = hub_with(ALL)
    payload = "x" * 1_000
    lines(world, *[f"PUB a {payload}{n}" for n in range(5_000)])
    ear = world.link(Lines)
    ear.wire.full = True
    lines(world, "SUB a LAST 5000", link=ear)
    assert ear.outbox.size <= 2 * limits.FLUSH_BYTES
    (replay,) = ear.egress.replays
    assert len(replay._messages) <= limits.HISTORY_PAGE_MESSAGES
    output = b""
    while ear.egress.replays:
        ear.wire.room()
        ear.wire.full = True
        world.turn()
        output += ear.wire.output()
    ear.wire.room()
    world.turn()
    output = (output + ear.wire.output()).decode().splitlines()
    assert [line.removeprefix(f"MSG a {payload}") for line in output[:-1]] == [str(n) for n in range(5_000)][
        -len(output) + 1 :
    ]
    assert ear.outbox.dropped == 0


def test_a_long_replay_yields_to_other_clients():
    world, _store = hub_with(ALL)
    lines(world, *[f"PUB a {n}" for n in range(20_000)])
    ear, other = world.link(Lines), world.link(Lines)
    real, steps = world.hub.turn.now, []
    world.hub.turn.now = lambda: steps.append(1) or real() + len(steps) * 0.0002
    world.hub.turn.scheduler._now = world.hub.turn.now
    ear.receive(b"SUB a LAST 20000\n")
    world.turn(6)
    assert ear.egress.replays
    assert lines(world, "PING", link=other)[0] == "PONG"


@pytest.mark.parametrize("filters", [("a/#", "b/#"), ("a/#", "#")])
def test_subscriptions_of_one_request_come_in_one_order(filters):
    world, _store = hub_with(ALL)
    lines(world, "PUB a/1 1", "PUB b/1 2", "PUB a/1 3", "PUB b/1 4")
    ear = world.link(Lines)
    request = HistoryRequest(last=9)
    ear.act([SubscriptionBatch([Subscribe(one, history=request) for one in filters])])
    world.turn()
    output = ear.wire.output().decode().splitlines()
    assert output == ["MSG a/1 1", "MSG b/1 2", "MSG a/1 3", "MSG b/1 4", world_end(world), world_end(world)]
    lines(world, "PUB a/1 5")
    assert ear.wire.output() == b"MSG a/1 5\n"


def test_one_request_has_a_bounded_number_of_filters():
    """Each message is compared with all of them."""
    world, _store = hub_with(ALL)
    lines(world, "PUB a 1")
    ear, request = world.link(Lines), HistoryRequest(last=9)
    ear.act([SubscriptionBatch([Subscribe(f"a/{n}", history=request) for n in range(limits.HISTORY_FILTERS)])])
    world.turn()
    assert b"ERR" not in ear.wire.output()
    ear.act([Subscribe("a", history=request)])
    world.turn()
    assert ear.wire.output() == b"ERR quota one request for the history may have 64 filters\n"
    assert not ear.egress.replays


def test_positions():
    epoch = new_epoch()
    assert read_number(f"{epoch}-17", epoch) == 17
    assert read_number(f"{new_epoch()}-17", epoch) is None
    assert first_number(0, 1.7e9) == int(1.7e9 + 1) << 30
    assert first_number(first_number(0, 1.7e9) + 5, 1.7e9) == int(1.7e9 + 2) << 30
    assert first_number(first_number(0, 1.7e9) + 5, 1.6e9) == int(1.7e9 + 2) << 30


EVERYTHING = 10**9  # messages
TOPICS = st.sampled_from(["a/1", "a/2", "b"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), TOPICS, st.integers(1, 40)),
        st.tuples(st.just("commit"), st.integers(0, 60)),
        st.tuples(st.just("answer"), st.integers(1, 3)),
        st.tuples(st.just("turn"), st.integers(1, 4)),
        st.tuples(st.just("subscribe"), st.sampled_from(["#", "a/+", "b"]), st.integers(0, 200)),
        st.tuples(st.just("full"), st.booleans()),
        st.tuples(st.just("change"), st.sampled_from([("#",), ("a/+", "b"), ("b", "#"), ("#", "a/1")])),
    ),
    max_size=60,
)


@settings(max_examples=examples(200), deadline=None)
@given(STEPS, st.sampled_from([7, 60, EVERYTHING]), st.sampled_from([5, 1_000]))
@example([("change", ("b", "#")), ("publish", "b", 1), ("change", ("#",)), ("subscribe", "#", 0)], 7, 5)
def test_a_replay_runs_into_live_as_one_stream(steps, messages, page):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("HISTORY_TAIL_MESSAGES", 10), ("HISTORY_PAGE_MESSAGES", page), ("REPLAY_AT_ONCE", 7)):
            patch.setattr(limits, name, value)
        play(steps, messages)


def play(steps, messages):
    """Each client gets all behind its position in order, none twice; what is missing was trimmed, and it is told so."""
    stream = Stream(messages)
    for kind, *rest in steps:
        getattr(stream, kind)(*rest)
    stream.settle()
    stream.publish("a/1", 1)
    stream.publish("b", 1)
    stream.world.turn()
    for one in stream.clients:
        stream.check(*one)


class Stream:
    def __init__(self, messages):
        self.messages = messages
        self.changed = False
        self.world, self.store = hub_with(HistoryRule("#", messages=messages), slow=True)
        self.published: list[str] = []
        self.clients = []
        self.writer = self.world.link(Lines)
        self.base = self.store.newest + 1

    def publish(self, topic, count):
        for _ in range(count):
            self.writer.receive(f"PUB {topic} {len(self.published)}\n".encode())
            self.published.append(topic)

    def change(self, filters):
        self.world.hub.change_history([HistoryRule(filter, messages=self.messages) for filter in filters])
        self.changed = True

    def commit(self, count):
        self.store.commit(count)

    def answer(self, count):
        for _ in range(count):
            self.store.answer()

    def turn(self, count):
        self.world.turn(count)

    def full(self, full):
        for link, *_ in self.clients:
            link.wire.full = full
            if not full and link.outbox.paused:
                link.wire.room()

    def subscribe(self, filter, at):
        self.world.turn()
        at = min(at, len(self.published))
        link = self.world.link(Lines)
        link.receive(f"SUB {filter} AFTER {self.store.epoch}-{self.base + at - 1}\n".encode())
        self.clients.append((link, filter, at))

    def settle(self):
        while any(link.outbox.paused for link, *_ in self.clients) or self.world.wakes or self.store.reads:
            self.full(False)
            self.commit(10**9)
            self.store.answer()
            self.world.turn()

    def check(self, link, filter, at):
        output = link.wire.output().decode().splitlines()
        got = [int(line.split()[2]) for line in output if line.startswith("MSG")]
        lost = [int(line.split("-")[1]) - self.base for line in output if line.startswith("LOST")]
        expected = [n for n, topic in enumerate(self.published) if n >= at and matches(filter, topic)]
        assert got == sorted(set(got) & set(expected))
        assert sum(line.startswith("LIVE") for line in output) == 1
        missing = set(expected) - set(got)
        assert all(n <= max(lost, default=-1) for n in missing), (got, expected, output)
        if self.messages == EVERYTHING and not self.changed:
            assert (got, lost) == (expected, [])
