"""kernel/scheduler.py, and links that yield."""

from __future__ import annotations

from hubbub import limits
from hubbub.kernel.scheduler import Scheduler
from unit.kernel_help import Tiny, World


class Clock:
    """Time passes as work is done."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Work:
    """So many steps, each of which takes so many seconds."""

    def __init__(self, scheduler: Scheduler, clock: Clock, steps: int, seconds: float, done: list[Work]) -> None:
        self.scheduler, self.clock, self.steps, self.seconds, self.done = scheduler, clock, steps, seconds, done

    def step(self) -> None:
        self.clock.now += self.seconds
        self.done.append(self)
        self.steps -= 1
        if self.steps:
            self.scheduler.add("work", self.step)


def test_jobs_take_turns_until_the_time_is_over():
    clock, done = Clock(), []
    scheduler = Scheduler(clock)
    long, short = Work(scheduler, clock, 10, limits.TURN_SECONDS / 4, done), Work(scheduler, clock, 1, 0.0, done)
    for one in (long, short):
        scheduler.add("work", one.step)
    scheduler.run()
    assert done == [long, short, long, long, long]
    assert scheduler.waiting == 1
    assert scheduler.exhausted == {"work": 1}
    scheduler.run()
    scheduler.run()
    assert len(done) == 11
    assert not scheduler.waiting
    assert scheduler.deferred == {"work": 11}


def test_a_job_has_all_the_time_while_no_other_waits():
    clock = Clock()
    scheduler, ends = Scheduler(clock), []
    for _ in range(2):
        scheduler.add("work", lambda: ends.append(scheduler.ends - clock.now))
    scheduler.run()
    assert [round(one, 6) for one in ends] == [limits.JOB_SECONDS, limits.TURN_SECONDS]


class SlowWorld(World):
    """Each look at the clock finds a millisecond gone."""

    def __init__(self) -> None:
        super().__init__()
        now = self.hub.turn.now

        def later() -> float:
            self.clock += 0.001
            return now()

        self.hub.turn.now = self.hub.turn.scheduler._now = later


def test_links_take_turns_and_keep_their_order():
    world = SlowWorld()
    busy, other, listener = (world.link() for _ in range(3))
    listener.receive(b"sub #\n")
    busy.receive(b"".join(b"pub busy %d\n" % n for n in range(1_000)))
    assert busy.holding
    assert not busy.wire.is_reading
    other.receive(b"ping\n")
    busy.receive(b"pub busy last\n")
    world.hub.turn.flush()
    assert other.wire.output() == b"pong 0\n"
    assert busy.holding
    world.turn()
    assert busy.wire.is_reading
    output = listener.wire.output().splitlines()
    assert output == [b"ok #", *(b"busy=%d" % n for n in range(1_000)), b"busy=last"]


def test_a_link_that_ends_while_it_waits():
    world = SlowWorld()
    links = [world.link() for _ in range(2)]
    for link in links:
        link.receive(b"ping\n" * 1_000)
    links[0].lost()
    links[1].ended()
    world.turn()
    assert links[1].wire.output().count(b"pong") == 1_000
    assert links[1].wire.closed is not None
    assert not world.hub.turn.scheduler.waiting


class Preempted(Tiny):
    """Another process has the processor for a while after each read."""

    world: World

    def receive(self, data, now, text=None):
        self.world.clock += 2 * limits.JOB_SECONDS
        return super().receive(data, now, text)


def test_what_the_messages_of_others_cost_is_not_charged_to_a_ping():
    """Its link would wait until the outboxes of a crowd are flushed, and read nothing meanwhile."""
    Preempted.world = world = World()
    crowd = [world.link(Tiny) for _ in range(limits.RECEIVERS_AT_ONCE + 1)]
    for one in crowd:
        one.receive(b"sub a\n")
    link = world.link(Preempted)
    world.turn(1000)
    world.publish("a", b"x")
    world.hub.router.commit()
    link.receive(b"ping\n")
    assert link.wire.is_reading
    assert not link.holding
