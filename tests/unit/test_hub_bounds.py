"""The hub's tables are bounded, and what has gone is forgotten."""

from __future__ import annotations

import gc
import weakref
from time import process_time
from unittest.mock import patch

import pytest

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.errors import Refusal
from hubbub.kernel.ingress.rate_limiter import Rate
from hubbub.kernel.routing.subscription import NOW
from unit.kernel_help import Receiver, World


class Member(Receiver):
    """Has room for all."""

    def room(self, message):
        return NOW


@pytest.mark.parametrize("filter", ["a/+", "a/b"])
def test_subscriptions_are_bounded(filter):
    world, receiver = World(bounds=Bounds(subscriptions=2, all_subscriptions=3)), Receiver()
    session = world.session()
    world.subscribe(session, "1", receiver)
    world.subscribe(session, "2", receiver)
    world.subscribe(session, "2", receiver)
    with pytest.raises(Refusal) as found:
        world.subscribe(session, filter, receiver)
    assert found.value.code == "quota"
    other = world.session()
    world.subscribe(other, "1", receiver)
    with pytest.raises(Refusal):
        world.subscribe(other, filter, receiver)
    world.hub.subscriptions.leave(session)
    world.subscribe(other, filter, receiver)
    assert world.hub.subscriptions.count == 2


def test_deep_wildcards_are_bounded():
    """Each level of a filter with wildcards costs 250 bytes and a visit."""
    world, receiver = World(), Receiver()
    session, other = world.session(), world.session()
    with patch.multiple(limits, SUBSCRIPTION_LEVELS=300, SUBSCRIPTION_LEVELS_ALL=400):
        world.subscribe(session, "1" + "/+" * 127, receiver)
        world.subscribe(session, "2" + "/+" * 127, receiver)
        world.subscribe(session, "2" + "/+" * 127, receiver)
        with pytest.raises(Refusal) as found:
            world.subscribe(session, "3" + "/+" * 127, receiver)
        assert found.value.code == "quota"
        world.subscribe(session, "3" + "/x" * 127, receiver)
        world.subscribe(other, "4" + "/+" * 127, receiver)
        with pytest.raises(Refusal):
            world.subscribe(other, "5" + "/+" * 127, receiver)
        world.hub.subscriptions.unsubscribe(session, "1" + "/+" * 127)
        world.subscribe(other, "5" + "/+" * 127, receiver)
        world.hub.subscriptions.leave(session)
        world.hub.subscriptions.leave(other)
    assert (world.hub.router.trie.levels, session.levels, other.levels) == (0, 0, 0)


@pytest.mark.parametrize("filter", ["x", "#"])
def test_the_groups_of_one_client_are_bounded(filter):
    """A message may be for each of them, and each takes its time, however few clients there are."""
    world, receiver = World(), Member()
    session, other = world.session(), world.session()
    most = limits.SUBSCRIPTION_LEVELS // limits.SHARED_LEVELS
    for number in range(most - 10):
        world.subscribe(session, f"$share/{number}/{filter}", receiver)
    with pytest.raises(Refusal) as found:  # noqa: PT012
        for number in range(most, most + 11):
            world.subscribe(session, f"$share/{number}/{filter}", receiver)
    assert found.value.code == "quota"
    world.subscribe(session, f"$share/0/{filter}", receiver)
    world.subscribe(other, f"$share/more/{filter}", receiver)
    world.hub.subscriptions.unsubscribe(session, f"$share/0/{filter}")
    world.subscribe(session, f"$share/more/{filter}", receiver)
    for each in (session, other):
        world.hub.subscriptions.leave(each)
        for _ in range(10):
            world.turn()
    assert (session.levels, other.levels) == (0, 0)


# Caches


def test_a_client_that_has_gone_is_forgotten():
    """No cache keeps the box of a session that has left, once others publish on."""
    world = World()
    stays, receiver = world.session(), Receiver()
    world.subscribe(stays, "a/#", receiver)
    receivers = []
    for number in range(50):
        session, gone = world.session(), Receiver()
        receivers.append(weakref.ref(gone))
        for filter in (f"a/{number}", "a/#", f"a/{number}/+", "#"):
            world.subscribe(session, filter, gone)
        for topic in (f"a/{number}", f"a/{number}/x", "a/b"):
            world.publish(topic)
        world.turn()
        world.hub.subscriptions.leave(session)
        del session, gone
    world.publish("a/b")
    world.turn()
    gc.collect()
    assert sum(ref() is not None for ref in receivers) <= 1
    assert len(world.hub.router._routes) < 20


def test_the_routes_hold_a_bounded_number_of_receivers_and_entries():
    world, receiver = World(), Receiver()
    for _ in range(50):
        world.subscribe(world.session(), "#", receiver)
    one = world.session()
    with patch.object(limits, "MATCH_CACHE_PLACES", 500):
        for number in range(100):
            world.subscribe(one, f"t/{number}", receiver)
        for number in range(100):
            assert world.publish(f"t/{number}") == 51
            assert sum(route.cost for route in world.hub.router._routes.values()) <= 500 + route_cost()
    world.turn()


def route_cost():
    """What a route of 2 entries and 51 sessions takes."""
    return limits.ROUTE_COST + 2 + 51


def test_a_flood_of_topics_fills_no_memory():
    world, receiver = World(), Receiver()
    world.subscribe(world.session(), "#", receiver)
    with patch.object(limits, "MATCH_CACHE", 10):
        for number in range(100):
            world.publish(f"t/{number}")
            assert len(world.hub.router._topics) <= 10
    world.publish("x" * 300)
    assert "x" * 300 not in world.hub.router._topics
    world.turn()
    assert len(receiver.payloads) == 101


def test_what_is_held_back_costs_a_message_nothing():
    """`rate=...:over=pause` with many held events: each message costs the same, however many are behind it."""
    used = []
    for count in (1_000, 8_000):
        world = World()
        link = world.link(rate=Rate(1_000, 1, "pause"))
        link.receive(b"pub a x\n" * count)
        began = process_time()
        for _ in range(900):
            world.sleep(0.001)
        used.append(process_time() - began)
        assert world.hub.turn.counters.published > 500
        assert len(link.inbound) == count - world.hub.turn.counters.published
    assert used[1] < 3 * used[0] + 0.05
