"""All outboxes of clients that don't read are bounded together: the largest are trimmed, and readers lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.bounds import Bounds
from hubbub.kernel.connection.slow_consumers import level
from unit.kernel_help import World

SIZE = 100


def stalled(world, count, **more):
    links = [world.link(**more) for _ in range(count)]
    for link in links:
        world.say(link, b"sub a\n")
        link.transport_paused(0)
    return links


def publish(world, count, topic="a"):
    for _ in range(count):
        world.publish(topic, b"x" * (SIZE - 3))
        world.turn()


def test_the_largest_gives_way_and_the_others_keep_theirs():
    world = World(bounds=Bounds(outbox_bytes=50 * SIZE))
    large = stalled(world, 1)[0]
    publish(world, 30)
    small = stalled(world, 1)[0]
    reading = world.link()
    world.say(reading, b"sub a\n")
    publish(world, 15)
    assert world.hub.slow_consumers.size <= 50 * SIZE
    assert small.outbox.count == 15
    assert small.outbox.dropped == reading.outbox.dropped == 0
    assert (
        large.outbox.dropped
        == 45 - large.outbox.count
        == world.hub.slow_consumers.dropped
        == world.hub.turn.counters.dropped
    )
    assert large.outbox.count + small.outbox.count >= 40, "no more than was needed"
    large.transport_resumed()
    world.turn()
    assert large.wire.heard().startswith(b"gap %d\n" % large.outbox.dropped)


def test_who_may_not_have_a_hole_is_cut():
    world = World(bounds=Bounds(outbox_bytes=10 * SIZE))
    link = stalled(world, 1, full="disconnect")[0]
    publish(world, 11)
    assert not link.open
    assert (world.hub.slow_consumers.cut, world.hub.slow_consumers.size) == (1, 0)


def test_what_has_gone_or_is_read_counts_no_longer():
    world = World()
    gone, reads = stalled(world, 2)
    publish(world, 3)
    assert world.hub.slow_consumers.size == 6 * SIZE
    reads.transport_resumed()
    assert world.hub.slow_consumers.size == 3 * SIZE
    gone.lost()
    assert world.hub.slow_consumers.size == 0
    world.publish("a")
    world.turn()
    assert not world.hub.slow_consumers._waiting


def test_who_goes_amid_a_turn_leaves_nothing():
    world = World()
    link = stalled(world, 1)[0]
    world.publish("a", b"x")
    world.hub.router.commit()
    link.lost()
    world.turn()
    assert not world.hub.slow_consumers._waiting


def test_what_the_transport_holds_counts():
    world = World()
    link = world.link()
    link.transport_paused(1_000)
    assert world.hub.slow_consumers.size == 1_000
    link.transport_resumed()
    assert world.hub.slow_consumers.size == 0


def test_who_takes_everything_costs_nothing():
    world = World(bounds=Bounds(outbox_bytes=1))
    link = world.link()
    world.say(link, b"sub a\n")
    publish(world, 100)
    assert link.outbox.dropped == 0
    assert not world.hub.slow_consumers._waiting


@given(st.lists(st.integers(0, 1_000), max_size=20), st.integers(0, 5_000))
def test_the_level_is_the_highest_that_fits(sizes, room):
    most = level(sorted(sizes), room)
    assert sum(min(size, most) for size in sizes) <= room
    if sum(sizes) > room:
        assert sum(min(size, most + 1) for size in sizes) > room


@pytest.mark.parametrize("count", [1, 50])
def test_it_is_not_searched_for_each_message(count, monkeypatch):
    world = World(bounds=Bounds(outbox_bytes=100 * SIZE))
    stalled(world, count)
    searches = []
    flush = world.hub.slow_consumers.flush
    monkeypatch.setattr(world.hub.slow_consumers, "flush", lambda: (searches.append(1), flush())[1])
    publish(world, 1_000 // count)
    assert world.hub.slow_consumers.size <= 100 * SIZE
    assert 0 < len(searches) <= 1_000 // 5, "each makes room for a tenth of it"
