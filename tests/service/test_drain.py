"""The end of all links of a daemon: who is told, what is waited for, and for how long."""

from __future__ import annotations

from collections import Counter

from hubbub import limits
from hubbub.dialects.lines import Lines
from hubbub.service.drain import Drain
from hubbub.testing import World


def drained(world: World, *listeners, seconds: float = 30.0) -> list[float]:
    """Start to drain; the list has the seconds that it took, once it is over."""
    began, took = world.clock.seconds(), []
    drain = Drain(world.clock, [listener.context for listener in listeners], seconds)
    drain.gone.addCallback(lambda _: took.append(world.clock.seconds() - began))
    drain.start()
    world.turn()
    return took


def test_an_empty_daemon_stops_at_once(world):
    assert drained(world, world.listen("tcp", Lines)) == [0.0]


def test_one_that_has_not_taken_everything_has_its_time(world):
    listener = world.listen("tcp", Lines)
    device = listener.connect()
    device.say(b"SUB a\n")
    device.taking = False
    device.say(b"PUB a " + b"x" * 100_000 + b"\n")
    took = drained(world, listener)
    world.advance(20.0)
    assert not took
    device.taking = True
    world.advance(limits.DRAIN_CLOSE_SECONDS * 2)
    assert len(took) == 1
    assert device.received().endswith(b"BYE\n")


def test_a_client_that_comes_meanwhile_gets_a_goodbye_too(world):
    listener = world.listen("tcp", Lines)
    listener.context.coming = 1
    took = drained(world, listener)
    world.advance(1.0)
    late = listener.connect()
    listener.context.coming = 0
    world.advance(0.1)
    assert late.received() == b"BYE\n"
    world.advance(0.1)
    assert len(took) == 1


def test_a_client_that_never_comes_is_not_waited_for_long(world):
    listener = world.listen("tcp", Lines)
    listener.context.coming = 1
    took = drained(world, listener)
    world.advance(limits.CLOSE_SECONDS + 0.1)
    assert len(took) == 1


def test_clients_that_go_meanwhile_are_not_waited_for(world):
    listener = world.listen("tcp", Lines)
    devices = [listener.connect() for _ in range(limits.DRAIN_LINKS_AT_ONCE * 20)]
    took = drained(world, listener)
    for device in devices:
        device.vanish()
    world.advance(0.2)
    assert len(took) == 1


def test_in_a_hurry_all_clients_are_cut(world):
    listener = world.listen("tcp", Lines)
    devices = [listener.connect() for _ in range(limits.DRAIN_LINKS_AT_ONCE * 3)]
    gone: list[None] = []
    drain = Drain(world.clock, [listener.context], 30.0)
    drain.gone.addCallback(gone.append)
    drain.start()
    drain.cut()
    world.advance(0.2)
    assert gone == [None]
    assert all(device.closed for device in devices)


def test_a_step_looks_at_a_bounded_number_of_links_and_cuts_few(world, monkeypatch):
    monkeypatch.setattr(limits, "DRAIN_LOOKED_AT", 3)
    monkeypatch.setattr(limits, "DRAIN_LINKS_AT_ONCE", 5)
    listener = world.listen("tcp", Lines)
    for device in [listener.connect() for _ in range(12)]:
        device.say(b"SUB a\n")
        device.taking = False
        device.say(b"PUB a " + b"x" * 100_000 + b"\n")
    looked: list[float] = []
    monkeypatch.setattr(Drain, "_look_at", lambda drain, link, now: looked.append(now))
    left: list[int] = []
    real = Drain._cut_off
    monkeypatch.setattr(Drain, "_cut_off", lambda drain: left.append(len(listener.context.links)) or real(drain))
    drain = Drain(world.clock, [listener.context], 30.0)
    drain.start()
    world.advance(5.0)
    assert max(Counter(looked).values()) == 3
    drain.cut()
    world.advance(0.2)
    assert left == [12, 7, 2]
    assert not listener.context.links
