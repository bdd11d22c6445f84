"""kernel/steps.py: what is too long for one turn."""

from __future__ import annotations

from hubbub import limits
from hubbub.kernel.steps import spread


def test_short_work_is_done_at_once(world):
    done = []
    spread(world.hub.turn, "work", iter(lambda: done.append(1) or len(done), 3))
    assert len(done) == 3
    assert not world.hub.turn.scheduler.waiting


def test_long_work_lets_others_have_their_turn(world):
    done = []
    for name in "ab":
        spread(world.hub.turn, "work", map(done.append, name * 200))
    assert len(done) == 2 * limits.PIECES_AT_ONCE
    world.turn()
    assert len(done) == 400
    assert done[:: limits.PIECES_AT_ONCE][:6] == ["a", "b", "a", "b", "a", "b"]


def test_work_that_takes_long_has_its_share_of_the_time_alone(world):
    done = []

    def work():
        for _ in range(3):
            world.clock += limits.JOB_SECONDS
            done.append(world.clock)
            yield

    spread(world.hub.turn, "work", work())
    assert len(done) == 1
    world.turn()
    assert len(done) == 3
