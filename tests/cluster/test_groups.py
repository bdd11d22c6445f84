"""Shared subscriptions over nodes: one member of the whole group gets a message, one here first unless it is slow."""

from __future__ import annotations

from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from cluster.nodes import examples_of, passed, settled
from hubbub.kernel.routing.subscription import LATER, NOW
from hubbub.nats_protocol.subjects import subject_of
from hubbub.topics import matches, unshared


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


GROUPS = [f"$share/{group}/{filter}" for group in "gh" for filter in ("x/y", "x/#", "+/y", "#")]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("member"), st.integers(0, 5), st.sampled_from(GROUPS)),
        st.tuples(st.just("plain"), st.integers(0, 5), st.sampled_from(["x/y", "x/+", "#"])),
        st.tuples(st.just("publish"), st.integers(0, 3), st.sampled_from(["x/y", "x", "z/y"])),
    ),
    min_size=5,
    max_size=25,
)


async def test_each_message_goes_to_one_member_of_each_group_and_to_each_plain_subscriber(nats_port, nodes):
    """Whatever node the members are at, and whoever publishes: one of three nodes or a NATS application."""
    those = await nodes.cluster(nats_port, "a", "b", "c")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    for steps in examples_of(STEPS):
        await check(those, app, nodes, steps)


async def check(those, app, nodes, steps):
    clients = [nodes.client(those[at % 3]) for at in range(6)]
    filters = [set() for _ in clients]
    for number, (what, who, name) in enumerate(steps):
        if what == "publish":
            await settled(*those, *those)
            if who < 3:
                those[who].client.publish(name, b"%d" % number)
            else:
                app.publish(subject_of(name), b"%d" % number)
                app._turn.flush()
                await fence(app)
            await settled(*those, *those)
            assert_delivered(clients, filters, name, number, steps)
        elif name in filters[who]:
            clients[who].unsubscribe(name)
            filters[who].discard(name)
        else:
            clients[who].subscribe(name)
            filters[who].add(name)
    for client in clients:
        client.hub.subscriptions.leave(client.session)
    await settled(*those)


def assert_delivered(clients, filters, topic, number, steps):
    groups = {name for those in filters for name in those if name in GROUPS and matches(unshared(name), topic)}
    plain = [at for at, those in enumerate(filters) if any(matches(one, topic) for one in those - set(GROUPS))]
    got = [at for at, client in enumerate(clients) for message in client.got if message.payload == b"%d" % number]
    for at in plain:
        got.remove(at)
    assert len(got) == len(groups), (steps, number, got, groups)
    for client in clients:
        client.got.clear()


async def fence(connection):
    done = Deferred()
    connection.fence(lambda: done.callback(None))
    await done


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
