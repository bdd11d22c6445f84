"""service/plugins/handler_runner.py: what waits for a handler is bounded, whatever a message is made of."""

from __future__ import annotations

from hubbub import Handler, Publish, limits, on
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
