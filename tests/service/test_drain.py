"""The end of all links of a daemon: who is told, what is waited for, and for how long."""

from __future__ import annotations

from hubbub import limits
from hubbub.dialects.lines import Lines
from hubbub.service.drain import Drain
from hubbub.testing import World


def drained(world: World, *doors, seconds: float = 30.0) -> list[float]:
    """Start to drain; the list has the seconds that it took, once it is over."""
    began, took = world.clock.seconds(), []
    drain = Drain(world.clock, [door.context for door in doors], seconds)
    drain.gone.addCallback(lambda _: took.append(world.clock.seconds() - began))
    drain.start()
    world.turn()
    return took


def test_nobody_is_waited_for_where_nobody_is(world):
    assert drained(world, world.listen("tcp", Lines)) == [0.0]


def test_one_that_has_not_taken_everything_has_its_time(world):
    door = world.listen("tcp", Lines)
    device = door.connect()
    device.say(b"SUB a\n")
    device.taking = False
    device.say(b"PUB a " + b"x" * 100_000 + b"\n")
    took = drained(world, door)
    world.advance(20.0)
    assert not took
    device.taking = True
    world.advance(limits.DRAIN_CLOSE_SECONDS * 2)
    assert len(took) == 1
    assert device.received().endswith(b"BYE\n")


def test_who_comes_meanwhile_is_told_too(world):
    door = world.listen("tcp", Lines)
    door.context.coming = 1
    took = drained(world, door)
    world.advance(1.0)
    late = door.connect()
    door.context.coming = 0
    world.advance(0.1)
    assert late.received() == b"BYE\n"
    world.advance(0.1)
    assert len(took) == 1


def test_who_never_comes_is_not_waited_for_long(world):
    door = world.listen("tcp", Lines)
    door.context.coming = 1
    took = drained(world, door)
    world.advance(limits.CLOSE_SECONDS + 0.1)
    assert len(took) == 1


def test_in_a_hurry_everybody_is_cut(world):
    door = world.listen("tcp", Lines)
    devices = [door.connect() for _ in range(limits.DRAIN_LINKS_AT_ONCE * 3)]
    gone: list[None] = []
    drain = Drain(world.clock, [door.context], 30.0)
    drain.gone.addCallback(gone.append)
    drain.start()
    drain.cut()
    world.advance(0.2)
    assert gone == [None]
    assert all(device.closed for device in devices)
