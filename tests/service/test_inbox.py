"""service/plugins/handler_runner.py: what waits for a handler is bounded, whatever a message is made of."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from hubbub import Handler, Publish, Refusal, limits, on
from hubbub.limits import MiB
from hubbub.testing import World


class Ear(Handler):
    """Hears everything."""

    def __init__(self):
        self.output = 0

    @on("#")
    def receive(self, message):
        self.output += 1


def test_properties_count_too():
    world = World()
    ear = world.run(Ear)
    for _ in range(40):
        world.hub.router.publish(Publish("a", b"", properties={"k": "v" * MiB}))
    world.turn()
    assert ear.output == limits.INBOX_BYTES // MiB - 1
    assert world.hub.turn.counters.dropped == 40 - ear.output
    world.hub.router.publish(Publish("a", b""))
    world.turn()
    assert ear.output == limits.INBOX_BYTES // MiB


class Waits(Handler):
    """Works on each message, by two methods, until the test says so."""

    def __init__(self):
        self.first, self.second = [], []

    @on("#")
    async def receive(self, message):
        self.first.append(Deferred())
        await self.first[-1]

    @on("a")
    def receive_too(self, message):
        self.second.append(Deferred())
        return self.second[-1]


def test_what_a_handler_works_on_counts_until_all_its_methods_have_ended(monkeypatch):
    monkeypatch.setattr(limits, "INBOX_MESSAGES", 3)
    world = World()
    waits = world.run(Waits)

    def publish(count):
        for _ in range(count):
            world.hub.router.publish(Publish("a", b""))
        world.turn()

    publish(2)
    publish(2)
    assert (len(waits.first), waits.runner.dropped) == (3, 1)
    waits.first[0].callback(None)
    waits.second[1].callback(None)
    publish(1)
    assert (len(waits.first), waits.runner.dropped) == (3, 2)
    waits.second[0].callback(None)
    waits.first[1].errback(Refusal("timeout", "no reply came in time"))
    publish(3)
    assert (len(waits.first), waits.runner.dropped) == (5, 3)


def test_the_bytes_that_a_handler_works_on_count():
    world = World()
    waits = world.run(Waits)
    for _ in range(40):
        world.hub.router.publish(Publish("b", b"x" * MiB))
        world.turn()
    assert len(waits.first) == limits.INBOX_BYTES // MiB - 1
    for one in waits.first:
        one.callback(None)
    world.hub.router.publish(Publish("b", b"x" * MiB))
    world.turn()
    assert len(waits.first) == limits.INBOX_BYTES // MiB
