"""client/resumption.py: subscriptions that the hub's history covers go on where they were."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.client.core import Core
from hubbub.client.errors import Lost, Refused
from hubbub.client.feed import Feed, Start
from hubbub.dialects.json import Json
from unit.history_help import HistoryRule, hub_with
from unit.test_client_core import answer, feed, read

TOPICS = ("a/1", "a/2", "b/1", "c")
FILTERS = ("a/#", "+/1", "a/1", "c", "#")


def connected(core: Core, position: str = "e-1", **more: object) -> list[dict[str, Any]]:
    """Connect, and answer each subscription. Returns these."""
    sent = read(core.connected())
    for unit in sent:
        answer(core, op="subscribed", id=unit["id"], topic=unit["topic"], position=position, **more)
    return sent


def message(core: Core, topic: str, number: int) -> None:
    answer(core, op="message", topic=topic, data=number, position=f"e-{number}")


def taken(one: Feed) -> list[tuple[int, int]]:
    """The payload of each message that has come, and how many are missing before it."""
    found = []
    while (message := one.take()) is not None:
        found.append((int(message.payload), message.missed))
    return found


def test_a_subscription_goes_on_after_its_last_message() -> None:
    core, mine = Core(None, print), feed("a", "b")
    core.subscribe(mine)
    assert [unit.get("after") for unit in connected(core)] == [None, None]
    message(core, "a", 5)
    core.lost(Lost("gone"))
    assert [(unit["topic"], unit["after"]) for unit in connected(core)] == [("a", "e-5"), ("b", "e-1")]
    message(core, "a", 7)
    answer(core, op="live", topic="a", position="e-8")
    core.lost(Lost("gone"))
    assert [(unit["topic"], unit["after"]) for unit in connected(core)] == [("a", "e-8"), ("b", "e-1")]
    assert taken(mine) == [(5, 0), (7, 0)]


def test_a_filter_that_no_history_covers_begins_anew() -> None:
    core = Core(None, print)
    core.subscribe(feed("a"))
    connected(core, position="")
    core.lost(Lost("gone"))
    assert "after" not in connected(core)[0]


def test_a_retained_message_is_no_position() -> None:
    core, mine = Core(None, print), feed("a")
    core.subscribe(mine)
    connected(core, position="e-9")
    answer(core, op="message", topic="a", data=1, position="e-1", retained=True)
    core.lost(Lost("gone"))
    assert connected(core)[0]["after"] == "e-9"
    assert taken(mine) == [(1, 0)]


def test_what_the_history_has_no_more_is_missed() -> None:
    core, mine = Core(None, print), feed("a")
    core.subscribe(mine)
    connected(core)
    core.lost(Lost("gone"))
    connected(core, complete=False)
    message(core, "a", 5)
    assert taken(mine) == [(5, 1)]
    answer(core, op="lost", topic="a", position="e-8")
    message(core, "a", 9)
    assert taken(mine) == [(9, 1)]


def test_a_replay_that_is_cut_off_moves_no_filter_that_it_has_not_come_to() -> None:
    """The message of x/y came for the first filter; what the second had before is still to come."""
    core, mine = Core(None, print), feed("x/+", "+/y")
    core.subscribe(mine)
    connected(core)
    core.lost(Lost("gone"))
    connected(core)
    message(core, "x/y", 6)
    answer(core, op="live", topic="x/+", position="e-6")
    core.lost(Lost("gone"))
    assert [unit["after"] for unit in connected(core)] == ["e-6", "e-1"]
    message(core, "z/y", 5)
    message(core, "x/y", 6)
    answer(core, op="live", topic="+/y", position="e-6")
    assert taken(mine) == [(6, 0), (5, 0)]


def test_a_hub_that_keeps_no_history_any_more() -> None:
    core, mine = Core(None, print), feed("a")
    core.subscribe(mine)
    connected(core)
    core.lost(Lost("gone"))
    (asked,) = read(core.connected())
    refusal = {"op": "error", "id": asked["id"], "code": "bad-command", "reason": "this hub keeps no history"}
    (again,) = read(core.receive(json.dumps(refusal).encode()))
    assert (again["topic"], "after" in again) == ("a", False)
    answer(core, op="message", topic="a", data=1)
    assert taken(mine) == [(1, 1)]


def test_a_feed_that_begins_in_the_history() -> None:
    """Each filter goes on after its last message, or begins again as long ago as it was wanted."""
    clock = iter((1000, 1002, 1003, 1060)).__next__
    core, mine = Core(None, print), feed("a", "b", start=Start(60, None, clock))
    core.subscribe(mine)
    assert [unit["since"] for unit in connected(core, "e-9")] == [62, 63]
    message(core, "a", 3)
    core.lost(Lost("gone"))
    first, second = connected(core, complete=False)
    assert (first["after"], second["since"]) == ("e-3", 120)
    answer(core, op="live", topic="a", position="e-9")
    answer(core, op="live", topic="b", position="e-9")
    message(core, "b", 10)
    core.lost(Lost("gone"))
    assert [unit["after"] for unit in connected(core)] == ["e-9", "e-10"]
    assert taken(mine) == [(3, 2), (10, 0)]


def test_what_comes_before_it_begins_is_for_another_feed() -> None:
    core, mine = Core(None, print), feed("a", start=Start(None, 2))
    core.subscribe(mine)
    (asked,) = read(core.connected())
    message(core, "a", 7)
    answer(core, op="subscribed", id=asked["id"], topic="a", position="e-7")
    core.lost(Lost("gone"))
    assert connected(core)[0]["last"] == 2
    message(core, "a", 6)
    assert taken(mine) == [(6, 0)]


def test_a_feed_that_wants_a_history_where_there_is_none() -> None:
    core, mine = Core(None, print), feed("a", start=Start(None, 2))
    core.subscribe(mine)
    (asked,) = read(core.connected())
    assert (asked["last"], "since" in asked) == (2, False)
    answer(core, op="error", id=asked["id"], code="bad-command", reason="this hub keeps no history")
    with pytest.raises(Refused, match="no history"):
        mine.take()


def test_a_feed_that_has_begun_stays_where_its_history_goes() -> None:
    core, mine = Core(None, print), feed("a", start=Start(None, 2))
    core.subscribe(mine)
    connected(core)
    answer(core, op="live", topic="a", position="e-9")
    core.lost(Lost("gone"))
    (asked,) = read(core.connected())
    refusal = {"op": "error", "id": asked["id"], "code": "bad-command", "reason": "this hub keeps no history"}
    (again,) = read(core.receive(json.dumps(refusal).encode()))
    assert not {"after", "since", "last"} & set(again)
    answer(core, op="message", topic="a", data=1)
    assert taken(mine) == [(1, 1)]


def test_feeds_with_one_filter_subscribe_once() -> None:
    core, feeds = Core(None, print), [feed("a"), feed("a", "b")]
    for one in feeds:
        core.subscribe(one)
    assert [unit["topic"] for unit in connected(core)] == ["a", "b"]
    assert [one.begun for one in feeds] == [True, True]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(TOPICS), st.integers(1, 5)),
        st.tuples(st.just("lose")),
        st.tuples(st.just("connect"), st.integers(1, 1_500)),
        st.tuples(st.just("turn")),
    ),
    max_size=40,
)


WANTED = st.lists(st.sampled_from(FILTERS), min_size=1, max_size=3, unique=True)


@given(STEPS, WANTED, st.integers(0, 5))
def test_each_message_comes_once_over_all_connections(steps: list[Any], filters: list[str], earlier: int) -> None:
    """With some messages in the history from before, it begins with these."""
    stage = _Stage(filters, earlier)
    for kind, *rest in steps:
        getattr(stage, kind)(*rest)
    stage.check()


class _Stage:
    """A core and a hub in memory; what the hub has said comes when the client reads."""

    def __init__(self, filters: list[str], earlier: int) -> None:
        self.world, _ = hub_with(HistoryRule("#"))
        self.link: Any = None
        self.published: list[str] = []
        self.publish("a/1", earlier)
        self.core = Core(None, print)
        self.feed = feed(*filters, size=10_000, start=Start(None, earlier) if earlier else None)
        self.core.subscribe(self.feed)
        self.connect(10**6)

    def publish(self, topic: str, count: int) -> None:
        for _ in range(count):
            self.world.say(
                self.world.link(Json),
                b'{"op":"publish","topic":"%b","data":%d}\n' % (topic.encode(), len(self.published)),
            )
            self.published.append(topic)

    def connect(self, some: int) -> None:
        """Connect, and lose the connection again where it brings more than some bytes."""
        if self.link is None:
            self.link = self.world.link(Json)
            self.link.receive(b"".join(unit + b"\n" for unit in self.core.connected()))
            self.world.turn()
            if self.read(some):
                self.lose()

    def read(self, some: int = 10**9) -> bool:
        """Read what has come, some bytes at most. Returns whether there was more."""
        came = self.link.wire.output()
        data = came[:some]
        for line in data[: data.rfind(b"\n") + 1].splitlines():
            assert not self.core.receive(line)
        return len(came) > some

    def lose(self) -> None:
        if self.link is not None:
            self.link.lost()
            self.core.lost(Lost("gone"))
            self.link = None

    def turn(self) -> None:
        self.world.turn()
        if self.link is not None:
            self.read()

    def check(self) -> None:
        self.lose()  # what a connection had still to bring is lost with it
        self.connect(10**9)
        self.turn()
        expected = [n for n, topic in enumerate(self.published) if self.feed.matches(topic)]
        assert sorted(taken(self.feed)) == [(n, 0) for n in expected]
