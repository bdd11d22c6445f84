"""route: only changed values, the newest value at its time, and the bounds of what waits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hubbub_plugins.route as module
from hubbub import Handler, on
from hubbub.testing import World
from hubbub_plugins.route import Route
from matrix.speakers import seat
from plugins.test_route import Track

# changed


def test_only_what_differs_is_published_for_each_target():
    track = Track(from_="a/+", to="dash/{1}", changed="yes")
    assert [len(track.put("a/1", value)) for value in (1, 1, 2, 2, 1)] == [1, 0, 1, 0, 1]
    assert track.put("a/2", 1) == [("dash/2", b"1")]
    assert track.put("a/1", 1) == []
    assert track.put("a/1", b"") == [("dash/1", b"")]
    assert track.put("a/1", b"") == []


def test_it_is_the_picked_value_that_differs():
    track = Track(from_="a", to="dash/a", changed="yes", pick="/v")
    assert track.put("a", {"v": 1, "time": 1}) == [("dash/a", b"1")]
    assert track.put("a", {"v": 1, "time": 2}) == []


# at-most


def test_the_newest_value_is_kept_for_its_time():
    track = Track(from_="a", to="dash/a", at_most="1/s")
    assert track.put("a", 1) == [("dash/a", b"1")]
    for value in (2, 3, 4):
        assert track.put("a", value) == []
    track.world.advance(0.9)
    assert track.out() == []
    track.world.advance(0.1)
    assert track.out() == [("dash/a", b"4")]
    track.world.advance(60)
    assert track.out() == []
    assert track.put("a", 5) == [("dash/a", b"5")]
    assert track.put("a", 6) == []


def test_each_target_has_its_own_time():
    track = Track(from_="a/+", to="dash/{1}", at_most="6/min")
    assert track.put("a/1", 1) + track.put("a/2", 1) == [("dash/1", b"1"), ("dash/2", b"1")]
    track.put("a/1", 2)
    track.world.advance(5)
    track.put("a/2", 2)
    assert track.out() == []
    track.world.advance(5)
    assert sorted(track.out()) == [("dash/1", b"2"), ("dash/2", b"2")]


@given(st.lists(st.floats(0, 2), max_size=20))
def test_never_more_often_and_the_last_always_arrives(pauses):
    track = Track(from_="a", to="dash/a", at_most="2/s")
    output = []

    class Ear(Handler):
        @on("dash/a")
        def receive(self, message):
            output.append((self.now(), int(message.payload)))

    track.world.run(Ear)
    for number, pause in enumerate(pauses):
        track.put("a", number)
        track.world.advance(pause)
    track.world.advance(0.5)
    values = [value for _, value in output]
    assert values == sorted(set(values))
    assert values[-1:] == list(range(len(pauses)))[-1:]
    assert all(later - sooner >= 0.4999 for (sooner, _), (later, _) in pairwise(output))


def test_with_changed_a_value_that_has_come_back_is_not_published():
    track = Track(from_="a", to="dash/a", at_most="1/s", changed="yes")
    track.put("a", 1)
    track.put("a", 2)
    track.put("a", 1)
    track.world.advance(5)
    assert track.out() == []
    assert track.put("a", 2) == [("dash/a", b"2")]


def test_what_waits_goes_out_at_the_end():
    track = Track(from_="a/+", to="dash/{1}", at_most="1/min", retain="yes")
    for name in ("1", "2"):
        track.put(f"a/{name}", 1)
        track.put(f"a/{name}", 2)
    track.world.hub.retained.max_bytes = 0  # what the hub refuses keeps no other from its turn
    track.route.runner.stop()
    assert track.out() == []
    assert all(target.waiting is None for target in track.route._targets.values())


def test_what_waits_is_not_lost_at_the_end():
    track = Track(from_="a", to="dash/a", at_most="1/min")
    track.put("a", 1)
    track.put("a", 2)
    track.route.runner.stop()
    assert track.out() == [("dash/a", b"2")]


# Bounds, and what the hub refuses


def test_targets_are_bounded_and_what_waits_for_the_forgotten_is_published(monkeypatch):
    monkeypatch.setattr(module, "TARGETS", 2)
    track = Track(from_="a/+", to="dash/{1}", at_most="1/min", changed="yes")
    track.put("a/1", 1)
    track.put("a/1", 2)
    track.put("a/2", 1)
    track.put("a/1", 3)  # so that 2 is the longest silent
    assert track.put("a/3", 1) == [("dash/3", b"1")]
    assert list(track.route._targets) == ["dash/1", "dash/3"]
    assert track.put("a/2", 1) == [("dash/2", b"1"), ("dash/1", b"3")]
    track.world.advance(120)
    assert track.out() == []


def test_bytes_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "TARGET_BYTES", 2_000)
    track = Track(from_="a/+", to="dash/{1}", at_most="1/min")
    for name in "1234":
        track.put(f"a/{name}", b"first")
    assert [track.put(f"a/{name}", b"x" * 900) for name in "12"] == [[], []]
    assert track.put("a/3", b"x" * 900) == [("dash/1", b"x" * 900)]
    assert track.put("a/3", b"x" * 5_000) == [("dash/2", b"x" * 900), ("dash/3", b"x" * 5_000)]
    assert track.route._size == sum(target.size for target in track.route._targets.values()) <= 2_000
    track.world.advance(60)
    assert track.out() == []


@given(st.lists(st.tuples(st.sampled_from("123456"), st.integers(0, 500), st.floats(0, 20)), max_size=40))
def test_the_size_is_what_is_held(steps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TARGETS", 4)
        patch.setattr(module, "TARGET_BYTES", 1_000)
        track = Track(from_="a/+", to="dash/{1}", at_most="6/min", changed="yes")
        for name, size, pause in steps:
            track.put(f"a/{name}", b"x" * size)
            track.world.advance(pause)
            targets = track.route._targets
            assert len(targets) <= 4
            assert track.route._size == sum(target.size for target in targets.values()) <= 1_000


def test_a_target_that_the_hub_refuses_is_counted_and_harms_no_other():
    track = Track(subscribes="#", from_="a/+/#", to="{1}/{rest}", changed="yes")
    track.put("a/$SYS/x", 1)
    track.put("a", 1)
    assert track.put("a/dash/x", 1)[-1] == ("dash/x", b"1")
    assert track.route.runner.failed == 1


def test_neither_refused_targets_nor_forgotten_ones_pile_up(monkeypatch):
    monkeypatch.setattr(module, "TARGETS", 5)
    track = Track(from_="a/#", to="{rest}", at_most="1/min")
    for number in range(50):
        for topic in ("a/$SYS/%d", "a/dash/%d"):
            track.put(topic % number, 1)
            track.put(topic % number, 2)
        assert len(track.route._targets) <= 5
    assert track.route.runner.failed >= 50
    waiting = [call for call in track.world.clock.getDelayedCalls() if call.getTime() > track.world.clock.seconds()]
    assert len(waiting) < 10


def test_routes_that_feed_each_other_are_stopped():
    world = World()
    one = Track(world, from_="a", to="b", at_most="10/s").route
    ear = seat(world, "tcp-lines", subscribes="a")
    other = world.run(Route, **{"from": "b", "to": "a"})
    seat(world, "tcp-lines").publish("a", b"1")
    world.advance(60)
    assert 1 < len(ear.output()) < 10
    assert one.runner.failed + other.runner.failed == 1
