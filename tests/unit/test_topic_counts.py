"""Topics are counted while a client looks at them, within bounds, and forgotten afterwards."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.service.control.topic_counts import TopicCounts
from unit.kernel_help import World


@pytest.fixture
def world() -> World:
    return World()


def test_only_while_a_client_looks(world):
    counts = TopicCounts(world.hub)
    world.publish("a/b", b"1")
    assert world.hub.router.watch is None
    root = counts.look()
    for topic in ("a/b", "a/b", "a/c", "b"):
        world.publish(topic, b"2")
    world.turn()
    assert root.children["a"].messages == 3
    assert counts.topics == ["a/b", "a/c", "b"]
    world.sleep(limits.COUNTED_SECONDS - 1)
    counts.look()
    world.sleep(limits.COUNTED_SECONDS - 1)
    assert counts.topics
    world.sleep(2)
    assert world.hub.router.watch is None
    assert counts.topics == []
    assert counts.look().children == {}


def test_it_begins_with_the_retained_messages_a_few_at_a_time(world):
    for n in range(3 * limits.RETAINED_AT_ONCE):
        world.publish(f"kept/{n}", b"v", retain=True)
    counts = TopicCounts(world.hub)
    counts.look()
    assert len(counts.topics) <= limits.RETAINED_AT_ONCE
    world.publish("kept/100", b"new")
    world.turn()
    assert len(counts.topics) == 3 * limits.RETAINED_AT_ONCE
    kept = counts.at("kept")
    assert kept is not None
    assert kept.messages == 1
    assert (kept.children["100"].payload, kept.children["99"].payload) == (b"new", b"v")


@pytest.mark.parametrize(("bound", "value"), [("COUNTED_LEVELS", 4), ("COUNTED_BYTES", 6)])
def test_bounds(world, monkeypatch, bound, value):
    monkeypatch.setattr(limits, bound, value)
    counts = TopicCounts(world.hub)
    counts.look()
    for topic in ("a/1", "a/2", "a/3", "a/1", "a/3"):
        world.publish(topic, b"x" * 1000)
    world.turn()
    assert counts.topics == ["a/1", "a/2"]
    assert counts.missed == 2
    (level,) = counts.path("a/1")[1:]
    assert (level.messages, level.size, len(level.payload or b"")) == (2, 1000, limits.COUNTED_VALUE_BYTES)


def test_the_topics_of_the_hub_itself_are_not_counted(world):
    counts = TopicCounts(world.hub)
    counts.look()
    world.publish("$reply/x")
    world.publish("$other/x")
    world.turn()
    assert counts.topics == []
    assert counts.missed == 0
