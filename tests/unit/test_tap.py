"""The subscription that gets all messages, and what is told of the others: how a hub is one of several."""

from __future__ import annotations

import pytest

from hubbub.events import Subscribe
from hubbub.kernel.routing.subscription import Encoding, Subscription
from hubbub.publish import Publish, SelectivePublish
from unit.kernel_help import Receiver, World, payloads_of


class Tapped(World):
    """A hub with a tap, and one plain subscriber of a/#."""

    def __init__(self):
        super().__init__()
        self.order = []
        self.outside, self.plain = Noting(self.order), Noting(self.order)
        self.far, self.here = self.session(), self.session()
        self.hub.router.tap(
            Subscription(self.far, Subscribe("#", echo=False), Encoding(payloads_of, None), self.outside)
        )
        self.subscribe(self.here, "a/#", self.plain)

    def sent(self, topic, **more):
        """How many sessions a message reaches, and what came outside."""
        self.outside.batches.clear()
        count = self.publish(topic, **more)
        self.turn()
        return count, self.outside.payloads


class Noting(Receiver):
    """Notes the order in which receivers had their batch."""

    def __init__(self, order):
        super().__init__()
        self.order = order

    def put(self, batch):
        super().put(batch)
        self.order.append(self)


@pytest.mark.parametrize(("topic", "count"), [("a/b", 2), ("b", 1), ("$reply/x", 1), ("$x", 1)])
def test_a_tap_gets_what_clients_publish(topic, count):
    assert Tapped().sent(topic) == (count, [b"x"])


def test_a_tap_gets_nothing_of_the_hub_itself():
    world = Tapped()
    world.hub.router.publish_own(Publish("$SYS/x", b"x"))
    world.turn()
    assert world.outside.payloads == []


def test_a_tap_gets_not_what_came_from_there():
    world = Tapped()
    assert world.sent("a/b", sender=world.far) == (1, [])
    assert world.plain.payloads == [b"x"]


def test_a_tap_comes_last():
    world = Tapped()
    world.sent("a/b")
    assert world.order == [world.plain, world.outside]


def test_messages_of_several_senders_are_one_batch():
    """What one session doesn't want of its own costs no other a batch."""
    world = Tapped()
    for sender in (world.session(), world.session(), world.far, world.session()):
        world.publish("a/b", sender=sender)
    world.turn()
    assert [batch.count for batch in world.outside.batches] == [2, 1]
    assert [batch.count for batch in world.plain.batches] == [2, 1, 1]


@pytest.mark.parametrize(("private", "payloads"), [(True, []), (False, [b"x"])])
def test_a_message_for_some_leaves_unless_it_is_private(private, payloads):
    world = Tapped()
    world.hub.router.publish_any(SelectivePublish("a/b", b"x", lambda session: False, private=private))
    world.turn()
    assert (world.outside.payloads, world.plain.payloads) == (payloads, [])


def test_without_a_tap_nothing_leaves():
    world = Tapped()
    world.hub.router.tap(None)
    assert world.sent("a/b") == (1, [])


def test_an_observer_sees_each_subscription():
    world, reported = World(), []

    class Observer:
        def added(self, filter, subscription):
            reported.append(f"+{filter}")

        def removed(self, filter, subscription):
            reported.append(f"-{filter}")

    world.hub.router.observer = Observer()
    one, other = world.session(), world.session()
    for session in (one, other, one):
        world.subscribe(session, "a/+", Receiver())
    world.subscribe(one, "b", Receiver())
    world.hub.subscriptions.unsubscribe(one, "a/+")
    world.hub.subscriptions.leave(other)
    assert reported == ["+a/+", "+a/+", "+b", "-a/+", "-a/+"]
