"""A client that comes back to a session with many subscriptions: its link gets them in steps."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from hubbub import limits
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import Connack, Pingreq, Pingresp, Publish
from mqtt_client import PUBACK, PUBREC, V5, Client, MqttHub, kept, subscription

COUNT = 1_000
FILTERS = [*(f"a/{number}" for number in range(COUNT)), "a/#", "a/+", "$share/g/b"]


@pytest.fixture
def hub(monkeypatch):
    """One whose time passes while it is looked at, so that a turn has an end."""
    seconds = Clock.seconds

    def ticking(clock):
        clock.rightNow += limits.TURN_SECONDS / 2
        return seconds(clock)

    monkeypatch.setattr(Clock, "seconds", ticking)
    return MqttHub()


@pytest.fixture
def away(hub):
    """A client that has gone, with all these subscriptions."""
    client = hub.client("c", **kept(V5))
    for at in range(0, len(FILTERS), 100):
        client.subscribe(*[subscription(filter, 2) for filter in FILTERS[at : at + 100]])
    client.end.vanish()
    hub.world.turn()
    return hub


def link_of(hub, name):
    return next(link for link in hub.listener.context.links if link.session.client == name)


def begin(hub):
    """The client is back; its first turn isn't over."""
    client = Client(hub.listener, V5)
    (link,) = (one for one in hub.listener.context.links if not one.session.client)
    link.receive(packets.Connect(client="c", **kept(V5)).encode(V5) + Pingreq().encode(V5))
    return client, link


def say(hub, number):
    """Publish one message that matches three of the filters, and let one turn pass."""
    one = Publish(topic=f"a/{number % COUNT}", payload=b"%d" % number, qos=1 + number % 2, id=number + 1)
    link_of(hub, "w").receive(one.encode(V5))
    hub.world.hub.turn.flush()


def test_what_is_published_meanwhile_comes_once_and_in_order(away):
    hub = away
    writer = hub.client("w", properties={"receive_maximum": 65_535})
    client, link = begin(hub)
    assert link.inbound.blocked
    count = 0
    while link.inbound.blocked:
        say(hub, count)
        writer.output()
        writer.end.send(packets.Ack(kind=6, id=count + 1).encode(V5) if count % 2 else b"")
        count += 1
    assert count > 5  # turns
    hub.world.turn()
    output = []
    while found := client.output():
        output += [one for one in found if not isinstance(one, packets.Ack)]
        for one in found:
            if isinstance(one, Publish):
                client.end.send(packets.Ack(kind=PUBACK if one.qos == 1 else PUBREC, id=one.id).encode(V5))
        hub.world.turn()
    assert isinstance(output[0], Connack)
    assert Pingresp() in output  # what it has sent meanwhile has waited
    assert [int(one.payload) for one in output if isinstance(one, Publish)] == list(range(count))
    assert len(link.session.subscriptions) == len(FILTERS)


@pytest.mark.parametrize("turns", [0, 1, 3])
@pytest.mark.parametrize("taken", [False, True])
def test_a_link_that_goes_meanwhile_leaves_all_subscriptions(away, turns, taken):
    """Or that another link of the client takes over from."""
    hub = away
    hub.client("w")
    first, link = begin(hub)
    for number in range(turns):
        say(hub, number)
    assert link.inbound.blocked
    if not taken:
        first.end.vanish()
    again = hub.client("c", **kept(V5))
    assert again.connack.present
    assert len(link_of(hub, "c").session.subscriptions) == len(FILTERS)
    assert [int(one.payload) for one in again.first if isinstance(one, Publish)] == list(range(turns))


def test_few_come_at_once(hub):
    client = hub.client("c", **kept(V5))
    client.subscribe(*[subscription(f"a/{number}", 1) for number in range(limits.TAKEOVER_AT_ONCE)])
    client.end.vanish()
    hub.world.turn()
    _, link = begin(hub)
    assert not link.inbound.blocked
    assert len(link.session.subscriptions) == limits.TAKEOVER_AT_ONCE


def offline(hub, session):
    """How many of the subscriptions of a client that is away are detached from its link."""
    stand_in = session.successor
    assert len(stand_in.subscriptions) == len(FILTERS)
    return sum(one.session is stand_in for one in stand_in.subscriptions.values())


def test_the_end_of_the_old_link_detaches_few_in_each_turn(hub):
    hub.client("w")
    client = hub.client("c", **kept(V5))
    for at in range(0, len(FILTERS), 100):
        client.subscribe(*[subscription(filter, 2) for filter in FILTERS[at : at + 100]])
    link = link_of(hub, "c")
    link.abort()
    detached = [offline(hub, link.session)]
    while detached[-1] < len(FILTERS):
        say(hub, len(detached) - 1)
        detached.append(offline(hub, link.session))
    assert detached[0] <= limits.TAKEOVER_AT_ONCE
    assert len(detached) > 5
    again = hub.client("c", **kept(V5))
    assert [int(one.payload) for one in again.first if isinstance(one, Publish)] == list(range(len(detached) - 1))
