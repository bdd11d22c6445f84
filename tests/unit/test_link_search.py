"""A link that ends while a search for retained messages goes on."""

from __future__ import annotations

from hubbub import limits
from unit.kernel_help import World


class SlowWorld(World):
    """Each look at the clock finds that time has gone by."""

    now = 0.0

    @property
    def clock(self) -> float:
        self.now += 0.05
        return self.now

    @clock.setter
    def clock(self, now: float) -> None:
        self.now = now


def test_the_time_that_a_search_takes_is_not_the_clients():
    """A client that asks for much and ends its input gets all, however busy the hub is with others."""
    world = SlowWorld()
    for number in range(5_000):
        world.publish(f"kept/{number}", retain=True)
    world.turn()
    link = world.link()
    began = world.clock
    link.receive(b"sub #\nquit\n")
    while link.wire.closed is None and not link.wire.aborted:
        world.turn(1)
        world.hub.turn.alarms.ring(world.clock)
    assert world.clock - began > 2 * limits.CLOSE_SECONDS
    assert link.wire.output().count(b"kept/") == 5_000
    assert link.wire.closed == ("quit", None)
