"""All outboxes of clients that don't read are bounded together: the largest are trimmed, and readers lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.connection.slow_consumers import level, weigh
from hubbub.limits import BACKLOG_LINKS
from unit.kernel_help import World

SIZE = 100
WEIGHT = weigh(SIZE, 1, 1)  # of a message that has come in a turn of its own


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
    world = World(bounds=Bounds(outbox_bytes=50 * WEIGHT))
    large = stalled(world, 1)[0]
    publish(world, 30)
    small = stalled(world, 1)[0]
    reading = world.link()
    world.say(reading, b"sub a\n")
    publish(world, 15)
    assert world.hub.slow_consumers.size <= 50 * WEIGHT
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
    assert large.wire.output().startswith(b"gap %d\n" % large.outbox.dropped)


def test_a_client_that_may_not_have_a_gap_is_cut():
    world = World(bounds=Bounds(outbox_bytes=10 * WEIGHT))
    link = stalled(world, 1, full="disconnect")[0]
    publish(world, 11)
    assert not link.open
    assert (world.hub.slow_consumers.cut, world.hub.slow_consumers.size) == (1, 0)


def test_what_has_gone_or_is_read_counts_no_longer():
    world = World()
    gone, reads = stalled(world, 2)
    publish(world, 3)
    assert world.hub.slow_consumers.size == 6 * WEIGHT
    reads.transport_resumed()
    assert world.hub.slow_consumers.size == 3 * WEIGHT
    gone.lost()
    assert world.hub.slow_consumers.size == 0
    world.publish("a")
    world.turn()
    assert not world.hub.slow_consumers._waiting


def test_a_client_that_goes_amid_a_turn_leaves_nothing():
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


def test_a_client_that_takes_everything_costs_nothing():
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
    world = World(bounds=Bounds(outbox_bytes=100 * WEIGHT))
    stalled(world, count)
    searches = []
    flush = world.hub.slow_consumers.flush
    monkeypatch.setattr(world.hub.slow_consumers, "flush", lambda: (searches.append(1), flush())[1])
    publish(world, 1_000 // count)
    assert world.hub.slow_consumers.size <= 100 * WEIGHT
    assert 0 < len(searches) <= 1_000 // 5, "each makes room for a tenth of it"


@pytest.mark.parametrize("full", ["drop-newest", "disconnect", "latest"])
def test_a_message_has_few_of_those_that_are_full_take_their_part(full, monkeypatch):
    """The others take it with the next messages, or in later turns."""
    world = World()
    count = 5 * BACKLOG_LINKS
    links = stalled(world, count, full=full, queue=100 * SIZE)
    publish(world, limits.BACKLOG_REST + 2)
    assert all(link.outbox.places for link in links)
    settled, most = [], 0
    real = Outbox.settle
    monkeypatch.setattr(Outbox, "settle", lambda outbox: settled.append(outbox) or real(outbox))
    for n in range(400):  # in one turn, so that no job runs
        before = len(settled)
        world.publish("a", b"%d" % (n % 3) + b"x" * (SIZE - 4))
        world.hub.router.commit()
        most = max(most, len(settled) - before)
    assert len(settled) >= count
    assert most <= BACKLOG_LINKS
    world.turn()
    for link in links:
        assert link.open == (full != "disconnect")
        if link.open:
            link.transport_resumed()
            world.turn()
            assert link.outbox.dropped == 400 + limits.BACKLOG_REST + 2 - (1 if full == "latest" else 100)


def test_the_backlog_gives_way_step_by_step(monkeypatch):
    world = World()
    links = stalled(world, 5 * BACKLOG_LINKS, full="drop-newest")
    publish(world, limits.BACKLOG_REST + 2)
    (backlog,) = links[0].outbox.places
    for times in range(5):
        assert len(backlog.places) == (5 - times) * BACKLOG_LINKS
        backlog.give_way(SIZE)
    assert backlog.size == 0
    assert {link.outbox.count for link in links} == {limits.BACKLOG_REST + 2}


def test_outboxes_are_trimmed_step_by_step(monkeypatch):
    world = World(bounds=Bounds(outbox_bytes=2_000 * SIZE))
    links = [world.link(full="drop-oldest") for _ in range(200)]
    for at, link in enumerate(links):
        world.say(link, b"sub %d\n" % at)
        link.transport_paused(0)
    for n in range(11):
        for at in range(200):
            world.publish(str(at), b"%d" % (n % 10) + b"x" * (SIZE - 6))
    world.turn()
    assert world.hub.slow_consumers.size <= 2_000 * SIZE
    assert world.hub.turn.scheduler.deferred["slow consumers"] >= 200 // limits.PIECES_AT_ONCE
    assert {link.outbox.dropped > 0 for link in links} == {True}
