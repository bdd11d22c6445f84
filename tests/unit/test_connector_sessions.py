"""kernel/sessions/registry.py: the session of a connector, which is there before its links and ends with it."""

from __future__ import annotations

import math

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.events import Connect, Subscribe
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.sessions.paged_queue import PagedQueue
from hubbub.kernel.sessions.records import Progress, SessionRecord, StoredSession
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.sessions.store import MemoryStore
from hubbub.publish import QosPublish
from hubbub.testing import World


def place():
    return ListenerContext("bridge", DialectContext(role="client"))


def stand(world, at, *filters):
    wishes = [Subscribe(one, False, qos=2) for one in filters]
    world.hub.clients.stand(at, Session("", 0, "tcp", at.name), Connect("me"), wishes, "drop-oldest")
    (client,) = [one for one in world.hub.clients._known.values() if one.connector is at]
    return client


def publish(world, topic):
    world.hub.router.publish(QosPublish(topic, b"x", 1))
    world.turn()


def waiting(client):
    return [owed.message.topic for owed in client.state.queue]


def test_what_is_published_waits_for_the_first_link():
    world, at = World(), place()
    client = stand(world, at, "a/#")
    for topic in ("a/1", "b/1"):
        publish(world, topic)
    assert waiting(client) == ["a/1"]
    world.advance(3_600)
    assert waiting(client) == ["a/1"]


def test_a_connector_that_is_changed_has_what_the_one_before_it_kept():
    world, old, new = World(), place(), place()
    first = stand(world, old, "a/#")
    publish(world, "a/1")
    second = stand(world, new, "b/#")
    world.hub.clients.dismiss(old)
    assert first is second
    for topic in ("a/2", "b/2"):
        publish(world, topic)
    assert waiting(second) == ["a/1", "b/2"]


def test_one_of_an_earlier_run_has_few_identifiers_too():
    world, at = World(), place()
    key = ("\0bridge", None, "me")
    earlier = SessionRecord(
        key, "", 0, "tcp", "bridge", frozenset(), None, None, None, math.inf, 1.0, None, 0.0, 100, "latest"
    )
    store = MemoryStore()
    store.load = lambda: [StoredSession(1, earlier, (), (), Progress(1, (), (), (7,)), PagedQueue())]
    world.hub.load(store)
    client = stand(world, at, "a/#")
    assert client.state.received == {7}
    assert client.delivery.max_id == limits.CONNECTOR_IDS
    assert client.state.max_bytes == at.queue
    assert client.delivery.changes.overflown("a/#")  # what was retained between them is sent
    assert world.hub.clients.away == 0  # others can't displace it
    world.hub.clients.dismiss_strays()
    assert len(world.hub.clients) == 1


def test_a_connector_that_has_gone_keeps_nothing():
    world, at = World(), place()
    stand(world, at, "a/#")
    publish(world, "a/1")
    world.hub.clients.dismiss(at)
    assert len(world.hub.clients) == 0
    assert world.hub.subscriptions.count == 0
