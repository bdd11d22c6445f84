"""What a handler may rely on when it or a client ends."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from hubbub import Handler, limits, on
from hubbub.kernel.hub import Hub
from hubbub.option import configure
from hubbub.service.plugins.handler_runner import HandlerRunner
from matrix.speakers import seat
from service.test_handlers_api import Watch, failures, publish

# Who comes and goes, and the end


class Doors(Handler):
    """Count who is here."""

    def __init__(self):
        self.here = set()
        self.output = 0
        self.stopped = False

    def stop(self):
        self.stopped = True

    def peer_joined(self, peer):
        self.here.add(peer)

    def peer_left(self, peer):
        self.here.remove(peer)

    @on("#")
    def receive(self, message):
        assert not self.stopped
        self.output += 1


def test_a_handler_learns_that_a_client_leaves_even_when_its_inbox_is_full(world, monkeypatch):
    monkeypatch.setattr(limits, "INBOX_MESSAGES", 3)
    doors = world.run(Doors)
    one, two = seat(world, "tcp-lines"), seat(world, "tcp-lines")
    assert len(doors.here) == 2
    for _ in range(10):
        one.publish("a", b"1")
    one.client.move()
    two.client.vanish()
    world.turn()
    assert (doors.output, doors.runner.dropped) == (3, 7)
    assert len(doors.here) == 1


def test_after_stop_nothing_comes(world, monkeypatch):
    monkeypatch.setattr(limits, "INBOX_TURN", 2)
    doors = world.run(Doors)
    one = seat(world, "tcp-lines")
    for _ in range(5):
        one.publish("a", b"1")
    one.client.move()
    doors.runner.stop()
    assert (doors.output, doors.stopped) == (2, True)
    one.publish("a", b"1")
    seat(world, "tcp-lines")
    world.turn()
    assert (doors.output, len(doors.here), doors.runner.failed) == (2, 1, 0)


def test_what_is_cancelled_at_stop_is_no_failure(world):
    class Waits(Handler):
        cleaned = False

        @on("a")
        async def wait(self, message):
            try:
                await Deferred()
            finally:
                self.cleaned = True

    with capturedLogs() as logs:
        waits = world.run(Waits)
        publish(world, "a")
        waits.runner.stop()
    assert (waits.cleaned, waits.runner.failed, failures(logs)) == (True, 0, [])


def test_a_runner_needs_a_hub_and_a_clock_only():
    clock, wakes = Clock(), []
    hub = Hub(lambda: wakes.append(1), clock.seconds, clock.seconds, lambda when: None)
    watch = configure(Watch, {"topic": "a"})()
    runner = HandlerRunner(hub, watch, "watch", clock)
    runner.start()
    clock.advance(5)
    assert watch.now() == 5
