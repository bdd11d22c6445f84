"""The last message of each topic: found by filter as by a plain look at all of them, bounded, and forgotten whole."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.routing.retained import Retained
from hubbub.message import Message
from hubbub.publish import Publish
from hubbub.topics import matches
from unit.kernel_help import FILTERS, TOPICS, FakeWire, World


def keep(store, topic, payload, **more):
    store.keep(Message(topic, payload, retain=True, **more))


@given(st.lists(st.tuples(TOPICS, st.sampled_from([b"", b"1", b"22"])), max_size=40), st.lists(FILTERS, min_size=1))
def test_it_finds_like_a_look_at_every_topic(changes, filters):
    store, there = Retained(), {}
    for topic, payload in changes:
        keep(store, topic, payload)
        if payload:
            there[topic] = payload
        else:
            there.pop(topic, None)
        assert store.count == len(there)
    for filter in filters:
        found = [(message.topic, message.payload) for message in store.match(filter) if message]
        assert sorted(found) == sorted((one, there[one]) for one in there if matches(filter, one))
    for topic in there:
        assert store.get(topic).payload == there[topic]
        keep(store, topic, b"")
    assert (store.count, store.size, store._root.children) == (0, 0, {})


@given(st.sets(TOPICS, max_size=20), st.lists(st.tuples(TOPICS, st.sampled_from([b"", b"new"]))), FILTERS)
def test_what_changes_on_the_way_is_seen_or_not_but_never_stale(first, changes, filter):
    store = Retained()
    there = dict.fromkeys(first, b"old")
    for topic in first:
        keep(store, topic, b"old")
    walk, found, changes = store.match(filter), [], list(changes)
    for message in walk:
        if message is None:
            continue
        assert there.get(message.topic) == message.payload
        found.append(message.topic)
        if changes:
            topic, payload = changes.pop()
            keep(store, topic, payload)
            if payload:
                there[topic] = payload
            else:
                there.pop(topic, None)
    assert len(found) == len(set(found))


def test_what_is_kept_says_so_and_has_no_sender():
    store = Retained()
    message = Publish("a", b"1", True, "text/plain", "r", {"k": "v"})
    message.sender, message.time = object(), 5.0
    store.keep(message)
    kept = store.get("a")
    assert kept.retained
    assert kept.sender is None
    assert (kept.time, kept.content_type, kept.reply_to, kept.properties) == (5.0, "text/plain", "r", {"k": "v"})
    assert not message.retained


def test_when_it_is_full_it_keeps_what_it_has():
    store = Retained(max_messages=2)
    keep(store, "a", b"1")
    keep(store, "b", b"1")
    with pytest.raises(Refusal) as found:
        keep(store, "c/d", b"1")
    assert found.value.code == "quota"
    assert store.get("c/d") is None
    assert list(store._root.children) == ["a", "b"]
    keep(store, "a", b"2")
    keep(store, "b", b"")
    keep(store, "c/d", b"1")
    assert (store.count, store.get("a").payload) == (2, b"2")


def test_bytes_are_bounded():
    store = Retained(max_bytes=1_000)
    keep(store, "a", b"x" * 500)
    with pytest.raises(Refusal):
        keep(store, "a", b"x" * 1_001)
    with pytest.raises(Refusal):
        keep(store, "b", b"x" * 600)
    keep(store, "a", b"x" * 100)
    keep(store, "b", b"x" * 600)
    assert store.size <= 1_000


@pytest.mark.parametrize(
    "more",
    [
        {"properties": {"key": "x" * 1_000}},
        {"properties": {"x" * 1_000: "value"}},
        {"content_type": "x" * 1_000},
        {"reply_to": "x" * 1_000},
    ],
)
def test_what_goes_with_a_message_counts_too(more):
    store = Retained(max_bytes=1_000)
    with pytest.raises(Refusal):
        keep(store, "a", b"1", **more)
    keep(store, "a", b"1")
    keep(store, "a", b"")
    assert store.size == 0


def test_deep_topics_are_bounded_by_their_levels():
    """Each level of its own costs some 250 bytes, whatever the payload."""
    store = Retained(max_levels=300)
    keep(store, "/".join(["a"] * 128), b"1")
    keep(store, "/".join(["b"] * 128), b"1")
    with pytest.raises(Refusal):
        keep(store, "/".join(["c"] * 128), b"1")
    assert "c" not in store._root.children
    keep(store, "/".join(["a"] * 127), b"1")  # shares all its levels
    keep(store, "/".join(["b"] * 128), b"")
    keep(store, "/".join(["c"] * 128), b"1")
    for topic in [message.topic for message in store.match("#") if message]:
        keep(store, topic, b"")
    assert (store.count, store.size, store.levels) == (0, 0, 0)


def test_a_long_search_takes_breaths():
    """Somebody who subscribes to what matches nothing must not make everybody wait for it."""
    store = Retained()
    for number in range(1000):
        keep(store, f"{number}/a", b"x")
    steps = list(store.match("+/none"))
    assert not any(steps)
    assert 900 // limits.RETAINED_VISITS <= len(steps) < 1000


def test_searches_that_wait_take_no_memory_each():
    world = World()
    for n in range(3_000):
        world.publish(f"r/{n}", b"x" * 2_000, retain=True)
    world.turn()
    stalled = world.link(wire=FakeWire())
    stalled.wire.full = True
    world.say(stalled, b"sub r/#\n")
    tracemalloc.start()
    try:
        for _ in range(500):
            world.say(stalled, b"sub r/+\n")
        assert tracemalloc.get_traced_memory()[0] < 2_000_000  # a search of its own for each would take 12,000,000
    finally:
        tracemalloc.stop()


def test_a_search_of_a_second_subscription_comes_behind_the_first():
    world = World()
    for n in range(2_500):
        world.publish(f"r/{n}", b"x", retain=True)
    world.turn()
    link = world.link()
    got = world.say(link, b"sub r/#\nsub r/+\nsub +/7\n").split()
    assert len(got) == 6 + 2_500 + 2_500 + 1
    assert got[-1] == b"r/7=x"
    assert link.outbox.searches == 0


def test_searches_that_wait_keep_no_lists_of_their_own():
    store = Retained()
    for n in range(2_000):
        keep(store, f"t/{n}", b"x")
    tracemalloc.start()
    try:
        searches = []
        before = tracemalloc.get_traced_memory()[0]
        for n in range(100):
            search = store.match("t/+")
            assert next(message for message in search if message is not None)
            searches.append(search)
            keep(store, f"t/{n}", b"")  # and another comes
            keep(store, f"t/{n + 2_000}", b"x")
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000  # 100 lists of 2,000 topics are 1.6 MB
    finally:
        tracemalloc.stop()
    found = [[message.topic for message in search if message is not None] for search in searches]
    assert all(len(set(topics)) == len(topics) > 1_800 for topics in found)


def test_a_search_ends_though_topics_come_all_the_while():
    store = Retained()
    keep(store, "t/0", b"x")
    for n, message in enumerate(store.match("t/+"), 1):
        assert message is not None
        keep(store, f"t/{n}", b"x")
    assert n == 1
