"""The rate of one client: a stream is read later, datagrams beyond it are dropped."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.dialect import DialectContext
from hubbub.events import SubscriptionBatch, Unsubscribe
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.connection.paced_link import PacedLink
from hubbub.kernel.ingress.client_rate import SourceRates
from unit.kernel_help import FakeWire, Receiver, Tiny, World

NONE = {"message_rate": 0.0, "byte_rate": 0.0}


def paced(world):
    wire = FakeWire()
    link = wire.link = PacedLink(world.hub, ListenerContext("here", DialectContext("tcp")), wire, Tiny, "192.0.2.7", 1)
    link.start()
    return link


@pytest.mark.parametrize("bounds", [{"message_rate": 10.0}, {"byte_rate": 80.0}])
def test_a_stream_that_is_ahead_is_read_later_and_loses_nothing(bounds):
    world, receiver = World(bounds=Bounds(**NONE | bounds)), Receiver()
    world.subscribe(world.session(), "a", receiver)
    link = paced(world)
    for _ in range(4):
        world.say(link, b"pub a x\n" * 10)  # a second's worth may be saved up
        if link.holding:
            break
    assert link.holding
    assert not link.wire.is_reading
    assert link.context.held_back == 1
    came = len(receiver.payloads)
    world.say(link, b"pub a y\n" * 5)  # what was read already waits
    world.sleep(0.5)
    assert len(receiver.payloads) == came
    world.sleep(1.0)
    world.sleep(1.0)
    assert len(receiver.payloads) == came + 5
    world.sleep(2.0)
    assert link.wire.is_reading
    assert not link.holding


@pytest.mark.parametrize("bounds", [{"message_rate": 10.0}, {"byte_rate": 80.0}])
def test_pings_and_pongs_of_the_transport_count_too(bounds):
    world = World(bounds=Bounds(**NONE | bounds))
    link = paced(world)
    for _ in range(40):
        link.sign_of_life(8)
    assert link.holding
    assert not link.wire.is_reading
    world.sleep(3.0)
    world.sleep(3.0)
    assert link.wire.is_reading


def test_within_the_rate_nothing_is_held():
    world = World(bounds=Bounds(message_rate=10.0))
    link = paced(world)
    for _ in range(100):
        world.say(link, b"pub a x\n")
        world.sleep(0.1)
        assert not link.holding


def test_a_client_that_is_ahead_may_go():
    world = World(bounds=Bounds(message_rate=1.0))
    link = paced(world)
    world.say(link, b"pub a x\n" * 100)
    assert link.holding
    link.ended()
    world.turn()
    world.sleep(200)
    assert link.wire.closed


def test_datagrams_that_are_ahead_are_dropped():
    world = World(bounds=Bounds(message_rate=4.0, byte_rate=0.0))
    paces = SourceRates(world.hub.turn)
    assert len(paces.admit([b"x"] * 20, "192.0.2.7")) == 5  # a second's worth, and one
    assert paces.admit([b"x"], "::ffff:192.0.2.7") == []
    assert len(paces.admit([b"x"] * 3, "192.0.2.8")) == 3
    assert paces.dropped == 16
    world.clock += 1
    assert len(paces.admit([b"x"] * 20, "192.0.2.7")) == 4


def test_local_datagrams_are_let_in():
    world = World(bounds=Bounds(message_rate=1.0))
    assert len(SourceRates(world.hub.turn).admit([b"x"] * 20, "127.0.0.1")) == 20
    world.hub.bound(Bounds(message_rate=1.0, local=True))
    assert len(SourceRates(world.hub.turn).admit([b"x"] * 20, "127.0.0.1")) == 2


def test_a_flood_of_addresses_does_not_grow_the_table():
    world = World()
    paces = SourceRates(world.hub.turn)
    for number in range(3 * limits.SOURCE_TABLE):
        paces.admit([b"x"], f"2001:db8:{number:x}::1")
    assert len(paces._rows) == limits.SOURCE_TABLE


def test_many_commands_in_one_count_each():
    world = World(bounds=Bounds(**NONE | {"message_rate": 10.0}))
    link = paced(world)
    link.dialect.outcome = lambda event, result: b""
    link.act([SubscriptionBatch([Unsubscribe("a")] * 40)])
    assert link.holding
    assert not link.wire.is_reading
    world.sleep(3.0)
    world.sleep(3.0)
    assert link.wire.is_reading
