"""The end of a turn has a time of its own: what doesn't fit is flushed in the next turns, behind what is new."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.kernel.turn import Turn

SOME = limits.FLUSHES_AT_ONCE


class Slow:
    """Takes so much of a clock whenever it is flushed, and notes that."""

    def __init__(self, world: World, name: int) -> None:
        self.world = world
        self.name = name

    def flush(self) -> None:
        self.world.now += limits.TURN_SECONDS / SOME
        self.world.flushed.append(self.name)


class World:
    """A turn with a clock that only work moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.flushed: list[int] = []
        self.woken = 0
        self.turn = Turn(self._wake, lambda: 0.0, lambda: self.now, lambda when: None)

    def _wake(self) -> None:
        self.woken += 1

    def flush(self, *names: int) -> list[int]:
        """Flush these, and return what was flushed."""
        for name in names:
            self.turn.flush_later(Slow(self, name))
        self.flushed = []
        self.turn.flush()
        return self.flushed


@pytest.fixture
def world() -> World:
    return World()


def test_what_has_no_time_is_flushed_later_behind_what_is_new(world: World) -> None:
    many = list(range(4 * SOME))
    assert world.flush(*many) == many[: 2 * SOME]  # half as new ones, half as late ones
    assert world.turn.scheduled
    assert world.flush(-1) == [-1, *many[2 * SOME : 3 * SOME]]
    assert world.flush() == many[3 * SOME :]
    assert not world.turn.late
    assert not world.turn.scheduled


def test_answers_come_before_the_messages_of_a_crowd(world: World) -> None:
    many = list(range(4 * SOME))
    for name in many:
        world.turn.flush_later(Slow(world, name))
    world.turn.flush_first(Slow(world, -1))
    assert world.flush() == [-1, *many[: 2 * SOME]]
    world.turn.flush_first(Slow(world, -2))  # behind those that are late
    assert world.flush() == [-2, *many[2 * SOME : 3 * SOME]]


def test_several_answers_of_one_client_are_flushed_once(world: World) -> None:
    for name in range(SOME + 1):
        world.turn.flush_later(Slow(world, name))
    for one in (1, 2):
        answered = Slow(world, -one)
        for _ in range(3):
            world.turn.flush_first(answered)
    assert world.flush()[:3] == [-1, -2, 0]


def test_so_many_answers_that_they_are_late_too(world: World) -> None:
    for name in range(2 * SOME):
        world.turn.flush_later(Slow(world, name))
    for name in range(2 * SOME):
        world.turn.flush_first(Slow(world, -1 - name))
    assert world.flush()[:SOME] == [-1 - name for name in range(SOME)]
    assert world.flush()[:SOME] == [-1 - name for name in range(SOME, 2 * SOME)]
    assert not world.turn.first


def test_answers_that_are_late_come_before_those_that_others_let_in(world: World) -> None:
    """A client whose flush lets its next command in can't keep others waiting."""

    class Asking(Slow):
        def flush(self) -> None:
            super().flush()
            world.turn.flush_later(Asking(world, self.name))
            world.turn.first.append(Asking(world, self.name))

    for name in range(2 * SOME):
        world.turn.flush_later(Slow(world, 1_000))
        world.turn.first.append(Asking(world, name))
    assert world.flush()[:SOME] == list(range(SOME))
    assert world.flush()[:SOME] == list(range(SOME, 2 * SOME))


def test_paced_jobs_wait_for_that(world: World) -> None:
    """Publishers are among them: their messages would wait in the same outboxes."""
    done: list[str] = []
    world.turn.scheduler.add("work", lambda: done.append("job"))
    world.flush(*range(4 * SOME))
    assert not done
    while world.turn.late:
        world.flush()
    assert done == ["job"]


def test_one_that_raises_loses_its_turn_alone(world: World) -> None:
    def fail() -> None:
        raise ValueError("on purpose")

    bad = Slow(world, 0)
    bad.flush = fail  # type: ignore[method-assign]
    world.turn.flush_later(bad)
    with pytest.raises(ValueError, match="on purpose"):
        world.flush(*range(3))
    assert world.turn.scheduled
    assert world.flush() == [0, 1, 2]
