"""A client whose login ends while messages are on their way to it: in its outbox, and for many subscriptions."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.errors import Refusal
from hubbub_plugins.mqtt.packets import Disconnect, Publish
from mqtt_client import V5, MqttHub, kept, subscription
from storage.journal import Disk, run


def link_of(context, name):
    return next(link for link in context.listener.context.links if link.session.client == name)


def revoke(context, name):
    link_of(context, name).revoke("the login has ended", Refusal("not-authorized", "the login has ended"))


def published(found):
    return [one.payload for one in found if isinstance(one, Publish)]


def test_a_message_that_waits_for_a_slow_commit():
    context = run(Disk())
    ear, writer = context.client("ear", **kept(V5)), context.client("writer")
    ear.subscribe(subscription("a", 1))
    context.store.slow = True
    writer.publish("a", b"secret", qos=1, id=1)
    assert ear.output() == []
    revoke(context, "ear")
    context.world.turn()
    context.store.finish()
    context.world.turn()
    found = ear.output()
    assert published(found) == []
    assert isinstance(found[-1], Disconnect)


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("aliases", [0, 10])
def test_more_subscriptions_than_end_in_one_turn(qos, aliases):
    context = MqttHub()
    ear, writer = context.client("ear", properties={"topic_alias_maximum": aliases}), context.client("writer")
    count = limits.SUBSCRIPTIONS_AT_ONCE + 100
    for at in range(0, count, 50):
        ear.subscribe(*[subscription(f"a/{number}", qos) for number in range(at, at + 50)])
    link = link_of(context, "ear")
    revoke(context, "ear")
    for number in range(0, count, 10):
        link_of(context, "writer").receive(Publish(topic=f"a/{number}", payload=b"secret").encode(V5))
    assert link.session.subscriptions
    context.world.turn()
    found = ear.output()
    assert published(found) == []
    assert isinstance(found[-1], Disconnect)
    assert not link.session.subscriptions
    assert writer.output() == []
