"""Shared subscriptions over nodes: one member of the whole group gets a message, one here first unless it is slow."""

from __future__ import annotations

from cluster.nodes import passed, settled
from hubbub.kernel.routing.subscription import LATER, NOW


async def test_a_message_goes_to_one_member_of_all_nodes(nats_port, nodes):
    a, b, c = await nodes.cluster(nats_port, "a", "b", "c")
    members = [b.client, nodes.client(b), c.client]
    for one in members:
        one.subscribe("$share/g/x/#")
    await settled(a, b, c)
    for number in range(100):
        a.client.publish("x/y", b"%d" % number)
    await settled(a, b, c)
    got = [int(message.payload) for one in members for message in one.got]
    assert sorted(got) == list(range(100))
    assert all(one.got for one in members)


async def test_members_here_come_first_unless_they_are_slow(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    for one in (a.client, b.client):
        one.subscribe("$share/g/x")
    other = nodes.client(b)
    other.subscribe("x")
    await passed(lambda: a.cluster.groups.has_members("$share/g/x"))
    await settled(a, b)
    a.client.publish("x", b"1")
    await settled(a, b)
    a.client.room_left = LATER
    a.client.publish("x", b"2")
    await settled(a, b)
    a.client.room_left = NOW
    a.client.publish("x", b"3")
    await settled(a, b)
    assert a.client.texts == ["x 1", "x 3"]
    assert b.client.texts == ["x 2"]
    assert other.texts == ["x 1", "x 2", "x 3"]


async def test_a_slow_member_without_others_gets_it(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    a.client.subscribe("$share/g/x")
    b.client.subscribe("$share/h/x")
    a.client.room_left = LATER
    await settled(a, b)
    a.client.publish("x", b"1")
    await settled(a, b)
    assert a.client.texts == b.client.texts == ["x 1"]


async def test_what_a_nats_application_publishes_goes_to_one_member(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    for one in (a.client, b.client):
        one.subscribe("$share/g/x/+")
        one.subscribe("$share/h/x/#")
    await settled(a, b)
    for number in range(50):
        app.publish("x.y", b"%d" % number)
    await passed(lambda: len(a.client.got) + len(b.client.got) >= 100)
    await settled(a, b)
    got = sorted(int(message.payload) for one in (a.client, b.client) for message in one.got)
    assert got == sorted([*range(50), *range(50)])


async def test_a_group_that_has_ended_gets_nothing(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    b.client.subscribe("$share/g/x")
    await passed(lambda: a.cluster.groups.has_members("$share/g/x"))
    b.client.unsubscribe("$share/g/x")
    a.client.subscribe("$share/g/x")
    await passed(lambda: not a.cluster.groups.has_members("$share/g/x"))
    await settled(a, b)
    a.client.publish("x", b"1")
    await settled(a, b)
    assert (a.client.texts, b.client.texts) == (["x 1"], [])
