"""Live messages between nodes: each goes over NATS once, to the nodes whose clients are subscribed, unchanged."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from cluster.nodes import examples_of, passed, settled
from hubbub import limits
from hubbub.loop_prevention import PATH, path_of, with_hop
from hubbub.nats_protocol.subjects import subject_of
from hubbub.publish import QosPublish, Request
from hubbub.topics import matches
from hubbub.user_properties import UserProperties


async def test_a_message_reaches_the_clients_of_another_node(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    for one in (a, b):
        one.client.subscribe("x/+")
    await settled(a, b)
    a.client.publish("x/1", b"from a")
    b.client.publish("x/2", b"from b")
    await settled(a, b)
    assert sorted(a.client.texts) == sorted(b.client.texts) == ["x/1 from a", "x/2 from b"]
    assert (a.cluster.live.sent, a.cluster.live.plain.count) == (1, 1)


async def test_a_filter_is_one_subscription_however_many_clients_have_it(nats_port, nodes):
    (a,) = await nodes.cluster(nats_port, "a")
    clients = [a.client, *(nodes.client(a) for _ in range(10))]
    before = len(a.cluster.connection._subscriptions)
    for client in clients:
        client.subscribe("x/+")
        client.subscribe("y")
    await settled(a)
    assert len(a.cluster.interest) == 2
    assert len(a.cluster.connection._subscriptions) == before + 2
    for client in clients:
        client.unsubscribe("y")
    await settled(a)
    assert len(a.cluster.interest) == 1
    assert len(a.cluster.connection._subscriptions) == before + 1


@pytest.mark.parametrize(
    "topic",
    [
        "a",
        "a/b",
        "/",
        "//",
        "a//b",
        "/a",
        "a/",
        "a b/c",
        "1.5/x",
        "a*b",
        "a>b",
        "100%",
        "%25",
        "é/日本/😀",
        "$x/y",
        "\t",
        "a\x01b",
    ],
)
async def test_every_topic_crosses(nats_port, nodes, topic):
    a, b = await nodes.cluster(nats_port, "a", "b")
    b.client.subscribe(topic)
    await settled(a, b)
    a.client.publish(topic, b"1")
    await settled(a, b)
    assert b.client.texts == [f"{topic} 1"]


async def test_what_a_hub_says_of_itself_stays_there(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    for filter in ("#", "$SYS/#", "+/x"):
        b.client.subscribe(filter)
    await settled(a, b)
    a.hub.router.publish_own(QosPublish("$SYS/x", b""))
    a.cluster.connection.publish("$SYS.x", b"")
    a.cluster.connection.publish("$hubbub.x", b"")
    a.cluster.connection.publish("$JS.x", b"")
    await settled(a, b)
    assert b.client.texts == []


async def test_a_message_crosses_unchanged(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    b.client.subscribe("x")
    await settled(a, b)
    sent = [
        QosPublish("x", bytes(range(256)), qos=1, content_type="text/plain", reply_to="re/ply", correlation=b"\0\xff"),
        QosPublish("x", b"\r\nPUB x 1\r\n", message_expiry=60.0),
        QosPublish("x", b"", properties=UserProperties([("a", "1"), ("a", "2"), ("b", "")])),
        QosPublish("x", b"", properties=UserProperties([("ü", "1"), ("a b:", " x\r\n"), ("content-type", "y")])),
        QosPublish("x", b"", properties=UserProperties([], 1), content_type="ü\r\n"),
        QosPublish("x", b"", properties=UserProperties([("a", "b")], 0)),
    ]
    for message in sent:
        message.sender = a.client.session
        a.hub.router.publish(message)
    await settled(a, b)
    for before, after in zip(sent, b.client.got, strict=True):
        assert after.payload == before.payload
        assert (after.content_type, after.reply_to) == (before.content_type, before.reply_to)
        assert (getattr(after, "qos", 0), getattr(after, "correlation", None)) == (before.qos, before.correlation)
        left = getattr(after, "message_expiry", None)
        assert left == before.message_expiry or before.message_expiry - 5 < left <= before.message_expiry
        assert getattr(after.properties, "format", None) == getattr(before.properties, "format", None)
        pairs = after.properties and after.properties.pairs
        assert (pairs or ()) == (before.properties.pairs if before.properties else ())


async def test_a_message_has_the_hubs_that_it_has_passed(nats_port, nodes):
    """A bridge brings some; what has passed the cluster isn't sent there again."""
    a, b, c = await nodes.cluster(nats_port, "a", "b", "c")
    await passed(lambda: len(a.cluster.nodes.all) == 2)
    b.client.subscribe("x")
    await settled(a, b, c)
    ids = [one.cluster.live.node for one in (a, b, c)]
    for path in ("far", "far near", f"far {ids[2]}", f"{ids[0]} far", " ".join(["x"] * limits.HOPS)):
        properties = UserProperties([("k", "v"), (PATH, path)])
        a.client.publish("x", path.encode(), properties=properties)
    await settled(a, b, c)
    assert b.client.texts == ["x far", "x far near"]
    assert [path_of(message) for message in b.client.got] == [["far", ids[0]], ["far", "near", ids[0]]]
    assert [message.properties.pairs for message in b.client.got] == [(("k", "v"),)] * 2
    copies = [with_hop(message, "here")[PATH] for message in b.client.got]
    assert copies == [f"far {ids[0]} here", f"far near {ids[0]} here"]


LEVELS = st.sampled_from(["a", "b", ""])
TOPICS = st.lists(LEVELS, min_size=1, max_size=3).map("/".join).filter(bool)
FILTERS = st.one_of(
    TOPICS,
    st.lists(st.sampled_from(["a", "b", "", "+"]), min_size=1, max_size=3).map("/".join).filter(bool),
    st.lists(st.sampled_from(["a", "b", "+"]), max_size=2).map(lambda levels: "/".join([*levels, "#"])),
)
STEPS = st.lists(st.one_of(st.tuples(st.just("publish"), TOPICS), st.tuples(st.just("toggle"), FILTERS)), max_size=30)


def batches_of(steps):
    """What is done between two fences: subscriptions first, as a message isn't for those that come at once with it."""
    found = [[]]
    for step in steps:
        if step[0] == "toggle" and any(one[0] == "publish" for one in found[-1]):
            found.append([])
        found[-1].append(step)
    return found


async def test_overlapping_filters_bring_one_copy(nats_port, nodes):
    """Of nodes and of NATS applications, while subscriptions come and go."""
    a, b = await nodes.cluster(nats_port, "a", "b")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    for steps in examples_of(STEPS):
        await check(a, b, app, steps)


async def check(a, b, app, steps):
    there, number = set(), 0
    b.client.got.clear()
    for batch in batches_of(steps):
        expected = []
        for what, name in batch:
            if what == "toggle":
                (b.client.unsubscribe if name in there else b.client.subscribe)(name)
                there ^= {name}
        await settled(b)
        for what, name in batch:
            if what == "publish":
                number += 1
                a.client.publish(name, b"node %d" % number)
                app.publish(subject_of(name), b"app %d" % number)
                if any(matches(filter, name) for filter in there):
                    expected += [f"{name} node {number}", f"{name} app {number}"]
        await settled(a)
        await fence(app)
        await settled(b)
        assert sorted(b.client.texts) == sorted(expected), (steps, there)
        b.client.got.clear()
    for name in there:
        b.client.unsubscribe(name)
    await settled(b)
    assert len(b.cluster.interest) == 0


async def fence(connection):
    done = Deferred()
    connection.fence(lambda: done.callback(None))
    await done


async def test_messages_that_come_while_filters_change_come_once(nats_port, nodes):
    """No fence stands between: `#` is there all the time, and others come and go around it."""
    a, b = await nodes.cluster(nats_port, "a", "b")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    b.client.subscribe("x/#")
    await settled(b)
    for number in range(300):
        a.client.publish("x/y", b"node %d" % number)
        app.publish("x.y", b"app %d" % number)
        if number % 3 == 0:
            other = ("x/y", "+/y", "x/+", "#", "+/#")[number // 3 % 5]
            b.client.subscribe(other)
        if number % 3 == 2:
            b.client.unsubscribe(other)
        if number % 10 == 0:
            await settled(b)
    await fence(app)
    await settled(a, b)
    for kind in ("node", "app"):
        assert [one for one in b.client.texts if kind in one] == [f"x/y {kind} {number}" for number in range(300)]


async def test_the_oldest_filter_goes_while_messages_come(nats_port, nodes):
    """There is always one: the next oldest brings the messages from where it has gone."""
    (b,) = await nodes.cluster(nats_port, "b")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    filters = ("x/#", "x/y", "+/y", "x/+", "#", "+/#")
    b.client.subscribe(filters[0])
    number = 0
    for at in range(60):
        b.client.subscribe(filters[(at + 1) % len(filters)])
        await settled(b)
        for part in range(20):
            app.publish("x.y", b"%d" % number)
            number += 1
            if part == 10:
                app._turn.flush()
                b.client.unsubscribe(filters[at % len(filters)])
                b.hub.turn.flush()
        await fence(app)
        await settled(b)
    assert b.client.texts == [f"x/y {one}" for one in range(number)]


async def test_a_request_is_answered_from_another_node(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    b.client.subscribe("double")
    await settled(a, b)
    results = []
    a.hub.requests.request(Request("double", b"21"), results.append)
    await passed(lambda: b.client.got)
    b.client.publish(b.client.got[0].reply_to, b"42")
    await passed(lambda: results)
    assert results[0].payload == b"42"
    assert not a.hub.requests.pending


async def test_a_request_without_an_answerer_is_refused_at_once(nats_port, nodes):
    a, _ = await nodes.cluster(nats_port, "a", "b")
    results = []
    a.hub.requests.request(Request("nobody/there", b"", timeout=60), results.append)
    await passed(lambda: results)
    assert results[0].code == "no-responders"


async def test_an_answerer_here_is_enough(nats_port, nodes):
    """NATS says that no other node has a subscriber, and the client here still answers."""
    a, _ = await nodes.cluster(nats_port, "a", "b")
    a.client.subscribe("double")
    results = []
    a.hub.requests.request(Request("double", b"21", timeout=60), results.append)
    await settled(a)
    assert not results
    a.client.publish(a.client.got[0].reply_to, b"42")
    await passed(lambda: results)
    assert results[0].payload == b"42"


async def test_what_comes_from_another_node_is_not_encoded_for_nats_again(nats_port, nodes):
    a, b = await nodes.cluster(nats_port, "a", "b")
    b.client.subscribe("x")
    await settled(a, b)
    for number in range(3):
        a.client.publish("x", b"%d" % number)
    await settled(a, b)
    assert b.client.texts == ["x 0", "x 1", "x 2"]
    assert [one.cluster.live._writer.number for one in (a, b)] == [3, 0]
