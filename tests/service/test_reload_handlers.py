"""Reload of handlers, in memory: who takes whose place and when, and what is lost (nothing)."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from hubbub import Handler, limits, on
from hubbub.service.plugins.handler_runner import HandlerRunner
from hubbub.testing import World
from matrix.speakers import seat

# One handler in another's place


class Log(Handler):
    """Write down what comes, in a list that all instances share."""

    def __init__(self, name: str, seen: list) -> None:
        self.mark = name
        self.seen = seen

    def start(self):
        self.seen.append(f"{self.mark} starts")

    def stop(self):
        self.seen.append(f"{self.mark} stops")

    @on("a/#")
    def receive(self, message):
        self.seen.append(f"{self.mark} {message.payload.decode()}{'!' if message.retained else ''}")


def run(world: World, handler: Handler) -> HandlerRunner:
    runner = HandlerRunner(world.hub, handler, "log", world.clock)
    runner.start()
    return runner


def replace(world: World, old: HandlerRunner, handler: Handler) -> HandlerRunner:
    runner = HandlerRunner(world.hub, handler, "log", world.clock)
    runner.replace(old)
    return runner


def test_what_waits_comes_to_the_new_one(world):
    """Published in the turn of the change, before it and after it: each once, in order."""
    seen = []
    old = run(world, Log("old", seen))
    speaker = seat(world, "tcp-lines")
    world.turn()
    speaker.publish("a", b"1")
    speaker.publish("a", b"2")
    speaker.client.move()
    replace(world, old, Log("new", seen))
    speaker.publish("a", b"3")
    speaker.client.move()
    world.turn()
    assert seen == ["old starts", "old stops", "new starts", "new 1", "new 2", "new 3"]
    assert old.dropped == 0


def test_a_full_inbox_goes_over_too(world):
    seen = []
    old = run(world, Log("old", seen))
    speaker = seat(world, "tcp-lines")
    for number in range(limits.INBOX_TURN * 3):
        speaker.publish("a", b"%d" % number)
    speaker.client.move()
    world.hub.turn.flush()
    new = replace(world, old, Log("new", seen))
    world.turn()
    output = [line.split()[1] for line in seen if not line.endswith(("starts", "stops"))]
    assert output == [str(number) for number in range(limits.INBOX_TURN * 3)]
    assert old.dropped == new.dropped == 0


def test_retained_messages_come_to_the_new_one(world):
    seen = []
    seat(world, "tcp-lines").publish("a", b"kept", retain=True)
    world.turn()
    old = run(world, Log("old", seen))
    world.turn()
    replace(world, old, Log("new", seen))
    world.turn()
    assert seen == ["old starts", "old kept!", "old stops", "new starts", "new kept!"]


def test_while_the_old_one_stops_messages_wait(world):
    """A stop that takes its time may hold what the new one needs."""
    seen, stopped = [], Deferred()

    class Slow(Log):
        def stop(self):
            super().stop()
            return stopped

    old = run(world, Slow("old", seen))
    speaker = seat(world, "tcp-lines")
    new = replace(world, old, Log("new", seen))
    newer = replace(world, new, Log("newer", seen))
    speaker.publish("a", b"1")
    world.turn()
    assert seen == ["old starts", "old stops", "newer starts", "newer 1"]  # `new` had never begun
    again = replace(world, newer, Slow("last", seen))
    assert seen[4:] == ["newer stops", "last starts"]
    later = replace(world, again, Log("later", seen))
    speaker.publish("a", b"2")
    world.turn()
    assert seen[6:] == ["last stops"]
    stopped.callback(None)
    world.turn()
    assert seen[7:] == ["later starts", "later 2"]
    assert later.failed == 0


def test_a_stop_that_never_ends_is_waited_for_a_while(world):
    seen = []

    class Stuck(Log):
        def stop(self):
            return Deferred()

    replace(world, run(world, Stuck("old", seen)), Log("new", seen))
    with capturedLogs():
        world.advance(limits.HANDLER_STOP_SECONDS - 1)
        assert seen == ["old starts"]
        world.advance(1)
    assert seen == ["old starts", "new starts"]


def test_the_old_one_s_time_is_over(world):
    """Its timers and coroutines end, and it can't begin others."""
    seen = []

    class Busy(Log):
        def start(self):
            self.every(1, lambda: seen.append("every"))
            self.later(1, lambda: seen.append("later"))

        @on("wait")
        async def wait(self, message):
            try:
                await Deferred()
            finally:
                seen.append("cancelled")
                self.every(1, lambda: seen.append("again"))
                self.later(1, lambda: seen.append("again"))()

    old = run(world, Busy("old", seen))
    seat(world, "tcp-lines").publish("wait", b"")
    world.turn()
    replace(world, old, Log("new", seen))
    world.advance(5)
    assert seen == ["old stops", "cancelled", "new starts"]
    assert old.failed == 0


def test_the_new_one_learns_which_clients_are_here(world):
    here = []

    class Door(Handler):
        def peer_joined(self, peer):
            here.append(peer.port)

        def peer_left(self, peer):
            here.remove(peer.port)

    clients = [seat(world, "tcp-lines").client for _ in range(3)]
    old = run(world, Door())
    world.turn()
    ports = sorted(here)
    assert ports == sorted(client.port for client in clients)
    clients[0].vanish()  # which the old one hasn't been told when it goes
    here.clear()
    replace(world, old, Door())
    world.turn()
    assert sorted(here) == sorted(client.port for client in clients[1:])
