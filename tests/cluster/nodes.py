"""Nodes of a cluster in this process: hubs on its reactor."""

from __future__ import annotations

import secrets
import time

from hypothesis import given, settings
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from hubbub.events import Subscribe
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.subscription import NOW, as_is
from hubbub.kernel.sessions.session import Session
from hubbub.publish import Publish
from hubbub.service.cluster.cluster import Cluster
from hubbub.service.cluster.connection import NatsConnection
from hubbub.service.config.cluster import parse_cluster
from hubbub.service.process.turns import Turns

SECONDS = 20


def examples_of(strategy):
    """Return the examples of hypothesis, for a test that waits: `given` takes none."""
    examples = []

    @settings(database=None)
    @given(strategy)
    def collect(example):
        examples.append(example)

    collect()
    return examples


async def passed(condition, seconds=SECONDS):
    """Let the reactor turn until `condition` holds."""
    from twisted.internet import reactor

    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        await deferLater(reactor, 0.002)


async def settled(*nodes):
    """Have NATS act on all that these hubs have to say, and these on all that it said."""
    for _ in range(2):
        for one in nodes:
            one.hub.turn.flush()
            done = Deferred()
            one.cluster.connection.fence(lambda done=done: done.callback(None))
            await done
            one.hub.turn.flush()


def make_hub(**more):
    """A hub on the reactor, as the daemon's; `more` goes to it."""
    from twisted.internet import reactor

    turns = Turns(reactor)

    def arm(when):
        reactor.callLater(max(0.0, when - time.monotonic()), lambda: hub.turn.alarms.ring(time.monotonic()))

    hub = Hub(turns.wake, time.time, time.monotonic, arm, **more)
    turns.serve(hub)
    return hub


class Client:
    """A client of a hub: a session with the messages that came (routing.subscription.GroupMember)."""

    def __init__(self, hub, name="client"):
        self.got = []
        self.hub = hub
        self.room_left = NOW
        self.session = Session("127.0.0.1", 1, "tcp", name)
        hub.subscriptions.join(self.session)

    def subscribe(self, filter, **wish):
        encoding = self.hub.subscriptions.encoding(as_is, None, stream=False)
        self.hub.subscriptions.subscribe(self.session, Subscribe(filter, **wish), encoding, self)

    def unsubscribe(self, filter):
        self.hub.subscriptions.unsubscribe(self.session, filter)

    def publish(self, topic, payload=b"", kind=Publish, **more):
        message = kind(topic, payload, **more)
        message.sender = self.session
        return self.hub.router.publish(message)

    def put(self, batch):
        self.got += batch.messages

    def miss(self, count):
        pass

    def room(self, message):
        return self.room_left

    @property
    def texts(self):
        return [f"{message.topic} {message.payload.decode()}" for message in self.got]


class Node:
    """One hub of a cluster."""

    def __init__(self, spec):
        from twisted.internet import reactor

        self.hub = make_hub()
        self.cluster = Cluster(reactor, self.hub, parse_cluster(spec, "--cluster"), secrets.token_hex(8))
        self.cluster.start()
        self.client = Client(self.hub)

    def stop(self):
        self.cluster.stop()


class Nodes:
    def __init__(self):
        self._made = []

    def node(self, spec):
        made = Node(spec)
        self._made.append(made)
        return made

    async def cluster(self, port, *names):
        """Nodes that know each other."""
        cluster = secrets.token_hex(4)
        made = [self.node(f"nats://127.0.0.1:{port}:name={name}:cluster={cluster}") for name in names]
        return await self.together(made)

    async def together(self, made):
        await passed(lambda: all(node.cluster.member for node in made))
        return made

    def client(self, node):
        """One more client of a node."""
        return Client(node.hub)

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
