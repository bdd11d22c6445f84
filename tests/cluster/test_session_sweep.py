"""What becomes of sessions whose node has gone: their wills, and their ends."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from cluster.mqtt_nodes import output, subscribe, together
from cluster.nodes import passed, settled
from hubbub.service.cluster.jetstream import JetStream
from hubbub.service.cluster.key_value import KeyValue
from hubbub.service.cluster.session_codec import decode, name_of
from hubbub_plugins.mqtt.packets import Will
from mqtt_client import PUBREC, V5, kept, messages, subscription


def will(topic, qos=1, **properties):
    return Will(topic=topic, payload=b"gone", qos=qos, properties=properties)


async def count(node):
    """Return how many sessions the bucket has."""
    bucket = node.cluster.sessions.bucket
    return (await JetStream(node.cluster.connection).stream_info(bucket.stream)).state.messages


async def test_wills_of_a_dead_node_are_published_once(three):
    a, b, c = await together(three)
    ears = [await node.client(f"ear {node.name}") for node in (b, c)]
    for ear in ears:
        await subscribe(ear, subscription("will/#", 1))
    await a.client("kept", will=will("will/kept"), **kept(V5))
    await a.client("clean", will=will("will/clean"))
    await a.client("qos0", will=will("will/qos0", 0))
    await a.client("later", will=will("will/later", will_delay_interval=100), **kept(V5))
    a.die()
    for ear in ears:
        found = messages(await output(ear, 3))
        assert sorted(found) == [("will/clean", b"gone", 1), ("will/kept", b"gone", 1), ("will/qos0", b"gone", 0)]
    await passed(lambda: sorted([node.cluster.sessions.sweep.wills for node in (b, c)]) == [0, 3])
    again = await c.client("kept", **kept(V5))
    assert again.connack.present
    again.end.vanish()
    assert (await b.client("later", **kept(V5))).connack.present
    await settled(b, c)
    assert [ear.output() for ear in ears] == [[], []]


async def test_a_delayed_will_and_an_end_come_after_their_time(three, monkeypatch):
    a, b, c = await together(three)
    ear = await c.client("ear")
    await subscribe(ear, subscription("will", 1))
    more = {"clean": False, "properties": {"session_expiry_interval": 2}}
    await a.client("c", will=will("will", will_delay_interval=1), **more)
    await passed(lambda: a.cluster.sessions.store.written)
    before = await count(c)
    a.die()
    assert messages(await output(ear, 1)) == [("will", b"gone", 1)]
    await passed(lambda: b.cluster.sessions.sweep.ended + c.cluster.sessions.sweep.ended == 1)
    assert not (await b.client("c", **more)).connack.present
    assert before == await count(c)


class Stuck(KeyValue):
    """A bucket where nothing answers an update of one key."""

    def __init__(self, bucket, key):
        vars(self).update(vars(bucket))
        self.stuck = key

    async def update(self, key, value, revision):
        return await (Deferred() if key == self.stuck else super().update(key, value, revision))


async def test_a_session_that_has_to_wait_holds_up_no_other(three):
    a, b, c = await together(three)
    ear = await c.client("ear")
    await subscribe(ear, subscription("will/#", 1))
    for name in ("first", "second", "third"):
        await a.client(name, will=will(f"will/{name}"))
    first = next(key for key in a.cluster.sessions.store.owned if key[2] == "first")
    for node in (b, c):
        node.cluster.sessions.sweep._bucket = Stuck(node.cluster.sessions.bucket, name_of(first))
    a.die()
    assert sorted(messages(await output(ear, 2))) == [("will/second", b"gone", 1), ("will/third", b"gone", 1)]


async def test_sessions_of_nodes_that_live_are_left_alone(three):
    a, b, _ = await together(three)
    await a.client("c", will=will("will"), **kept(V5))
    looked = []
    for node in three:
        node.cluster.nodes.sweepers.append(lambda node=node: looked.append(node))
    await passed(lambda: set(looked) == set(three))
    await passed(lambda: not any(node.cluster.sessions.sweep._running for node in three))
    assert [node.cluster.sessions.sweep.wills for node in three] == [0, 0, 0]
    assert len(a.cluster.sessions.store.owned) == 1
    assert not b.cluster.sessions.store.owned


async def test_a_node_that_comes_back_goes_on_with_its_sessions(three):
    """The others have seen to them meanwhile; what their clients have sent is published once."""
    a, _, c = await together(three)
    ear, client = await c.client("ear"), await a.client("c", **kept(V5))
    await subscribe(ear, subscription("x", 2))
    bucket, name = c.cluster.sessions.bucket, name_of(next(iter(a.cluster.sessions.store.owned)))
    await a.cluster.connection.stop()
    assert client.publish("x", b"once", qos=2, id=7) == []
    while decode((await bucket.get(name)).value).session.left is None:
        await settled(c)
    a.cluster.connection.start()
    assert [one.kind for one in await output(client, 1)] == [PUBREC]
    assert not client.closed
    await settled(a, c)
    assert decode((await bucket.get(name)).value).session.left is None
    assert messages(await output(ear, 1)) == [("x", b"once", 2)]
