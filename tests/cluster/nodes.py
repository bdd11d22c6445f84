"""Nodes of a cluster in this process: hubs on its reactor."""

from __future__ import annotations

import time

from twisted.internet.task import deferLater

from hubbub.kernel.hub import Hub
from hubbub.service.cluster.connection import NatsConnection
from hubbub.service.config.cluster import parse_cluster
from hubbub.service.process.turns import Turns

SECONDS = 20


async def passed(condition, seconds=SECONDS):
    """Let the reactor turn until `condition` holds."""
    from twisted.internet import reactor

    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        await deferLater(reactor, 0.002)


def make_hub():
    """A hub on the reactor, as the daemon's."""
    from twisted.internet import reactor

    turns = Turns(reactor)
    hub = Hub(turns.wake, time.time, time.monotonic, lambda when: None)
    turns.serve(hub)
    return hub


class Nodes:
    def __init__(self):
        self._made = []

    def connection(self, spec):
        """A connection of a hub of its own."""
        from twisted.internet import reactor

        made = NatsConnection(reactor, make_hub().turn, parse_cluster(spec, "--cluster"))
        made.start()
        self._made.append(made)
        return made

    async def joined(self, spec):
        """The same, once it has joined."""
        made = self.connection(spec)
        await passed(lambda: made.joined)
        return made

    def stop(self):
        for one in self._made:
            one.stop()
