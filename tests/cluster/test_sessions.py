"""Sessions that move between nodes in this process, over a real nats-server."""

from __future__ import annotations

import time

import pytest

from cluster.mqtt_nodes import answered, output, subscribe, together
from cluster.nodes import passed, settled
from hubbub.service.cluster.jetstream_errors import Conflict
from hubbub.service.cluster.key_value import KeyValue
from hubbub_plugins.mqtt.packets import Disconnect, Will
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, Client, kept, messages, subscription

TAKEN_OVER = 0x8E


async def store(writer, *messages, qos=1):
    """Publish, and wait until all is stored."""
    found = []
    for number, (topic, payload) in enumerate(messages, 1):
        found += writer.publish(topic, payload, qos=qos, id=number)
    await output(writer, len(messages), found)
    if qos == 2:
        released = [writer.ack(PUBREL, number) for number in range(1, len(messages) + 1)]
        await output(writer, len(messages), [answer for found in released for answer in found])


async def test_a_client_takes_its_session_to_another_node(two):
    a, b = await together(two)
    writer, at_a = await a.client("writer"), await a.client("c", **kept(V5))
    await subscribe(at_a, subscription("x/#", 1), subscription("y", 2))
    await store(writer, ("x/1", b"1"))
    [first] = await output(at_a, 1)
    at_a.ack(PUBACK, first.id)
    at_b = await b.client("c", **kept(V5))
    assert at_b.connack.present
    assert [type(one) is Disconnect and one.code for one in await output(at_a, 1)] == [TAKEN_OVER]
    assert at_b.first == []
    await store(writer, ("x", b"2"), ("y", b"3"))
    assert messages(await output(at_b, 2)) == [("x", b"2", 1), ("y", b"3", 1)]
    assert (len(a.hub.clients), len(b.hub.clients)) == (1, 1)  # the writer, and the client
    assert (a.cluster.sessions.let_go, b.cluster.sessions.moved) == (1, 1)


@pytest.mark.parametrize("version", [V311, V5])
async def test_what_came_while_it_was_away_comes_once_and_in_order(two, version):
    a, b = await together(two)
    writer, client = await a.client("writer"), await a.client("c", version, **kept(version))
    await subscribe(client, subscription("x/#", 2), subscription("x/+", 1))
    client.end.vanish()
    await store(writer, *[(f"x/{number % 3}", b"%d" % number) for number in range(20)], qos=2)
    await settled(a, b)
    client = await b.client("c", version, **kept(version))
    got = client.first
    await passed(lambda: got.extend(client.output()) or len(got) >= 20)
    assert [one.payload for one in got] == [b"%d" % number for number in range(20)]
    assert all(one.qos == 2 and not one.dup for one in got)
    for one in got:
        [answer] = await output(client, 1, client.ack(PUBREC, one.id))
        assert answer.kind == PUBREL
        client.ack(PUBCOMP, one.id)
    await settled(b)
    client.end.vanish()
    assert (await a.client("c", version, **kept(version))).first == []


async def test_a_node_that_dies_loses_no_session(two):
    a, b = await together(two)
    writer, client = await b.client("writer"), await a.client("c", **kept(V5))
    await subscribe(client, subscription("x", 2), subscription("y", 1))
    await store(writer, ("x", b"1"), ("x", b"2"), ("y", b"3"), ("x", b"4"), qos=2)
    got = await output(client, 4)
    [answer] = await output(client, 1, client.ack(PUBREC, got[1].id))
    assert answer.kind == PUBREL
    a.die()
    await store(writer, ("x", b"5"), qos=2)
    client = await b.client("c", **kept(V5))
    assert client.connack.present
    again = client.first
    await passed(lambda: again.extend(client.output()) or len(again) >= 5)
    assert [(one.id, getattr(one, "payload", None)) for one in again] == [
        (got[0].id, b"1"),
        (got[1].id, None),
        (again[2].id, b"3"),
        (got[3].id, b"4"),
        (again[4].id, b"5"),
    ]
    assert [one.dup for one in (again[0], again[3])] == [True, True]


async def test_received_identifiers_move(two):
    a, b = await together(two)
    ear, client = await b.client("ear"), await a.client("c", **kept(V5))
    await subscribe(ear, subscription("x", 2))
    found = client.publish("x", b"once", qos=2, id=7)
    assert [one.kind for one in await output(client, 1, found)] == [PUBREC]
    assert messages(await output(ear, 1)) == [("x", b"once", 2)]
    a.die()
    client = await b.client("c", **kept(V5))
    found = client.publish("x", b"once", qos=2, id=7, dup=True)
    assert [one.kind for one in await output(client, 1, found)] == [PUBREC]
    assert [one.kind for one in await output(client, 1, client.ack(PUBREL, 7))] == [PUBCOMP]
    await settled(b)
    assert ear.output() == []


async def test_a_message_that_a_dead_node_has_stored_isnt_published_again(two):
    """Its identifier wasn't noted yet, so its client, which got no PUBREC, sends it to another node."""
    a, b = await together(two)
    ear, client = await b.client("ear"), await a.client("c", **kept(V5))
    await subscribe(ear, subscription("x", 2))
    found = client.publish("x", b"noted", qos=2, id=7)
    assert [one.kind for one in await output(client, 1, found)] == [PUBREC]
    assert [one.kind for one in await output(client, 1, client.ack(PUBREL, 7))] == [PUBCOMP]
    a.cluster.sessions.store._write_some = lambda: None
    client.publish("x", b"stored", qos=2, id=7)
    client.publish("y", b"stored", qos=2, id=8)
    assert [one.payload for one in await output(ear, 2)] == [b"noted", b"stored"]
    a.die()
    assert client.output() == []
    client = await b.client("c", **kept(V5))
    for id, topic in ((7, "x"), (8, "y"), (9, "x")):
        found = client.publish(topic, b"stored" if id < 9 else b"new", qos=2, id=id)
        assert [one.kind for one in await output(client, 1, found)] == [PUBREC]
        assert [one.kind for one in await output(client, 1, client.ack(PUBREL, id))] == [PUBCOMP]
    found = client.publish("x", b"next", qos=2, id=7)
    assert [one.kind for one in await output(client, 1, found)] == [PUBREC]
    await settled(b)
    assert [one.payload for one in await output(ear, 2)] == [b"new", b"next"]


async def test_a_clean_start_ends_the_session_elsewhere(two):
    a, b = await together(two)
    client = await a.client("c", will=Will(topic="will", payload=b"w", qos=1), **kept(V5))
    ear = await b.client("ear")
    await subscribe(ear, subscription("will", 1))
    await subscribe(client, subscription("x", 1))
    again = await b.client("c")
    assert not again.connack.present
    assert [type(one) is Disconnect and one.code for one in await output(client, 1)] == [TAKEN_OVER]
    assert messages(await output(ear, 1)) == [("will", b"w", 1)]
    again.goodbye()
    await settled(a, b)
    assert not (await a.client("c", **kept(V5))).connack.present


async def test_a_session_expires_though_its_node_has_gone(two):
    a, b = await together(two)
    client = await a.client("c", clean=False, properties={"session_expiry_interval": 1})
    await subscribe(client, subscription("x", 1))
    await output(client, 0, client.goodbye())
    a.stop()
    await passed(lambda: not b.cluster.nodes.all)
    began = time.monotonic()
    await passed(lambda: time.monotonic() > began + 1)
    assert not (await b.client("c", **kept(V5))).connack.present


async def test_two_nodes_never_have_one_client(two):
    """Both have no session: of each identifier one link is left."""
    a, b = await together(two)
    for _ in range(3):
        first = await a.client("c")
        second = await b.client("c")
        assert [one.code for one in await output(first, 1)] == [TAKEN_OVER]
        first = await a.client("c")
        assert [one.code for one in await output(second, 1)] == [TAKEN_OVER]
    assert b.hub.clients.shared() == []


async def test_clients_that_hop_at_once(two):
    """The same client comes to both nodes in one moment: one of them has it in the end, with all its messages."""
    a, b = await together(two)
    client, writer = await a.client("c", **kept(V5)), await a.client("writer")
    await subscribe(client, subscription("x", 1))
    client.end.vanish()
    await store(writer, ("x", b"1"))
    for _ in range(5):
        those = [Client(node.listener) for node in (a, b)]
        found = [one.connect("c", **kept(V5)) for one in those]
        for one, got in zip(those, found, strict=True):
            await answered(one, got)
        await passed(lambda: len(a.hub.clients) + len(b.hub.clients) == 2)
    last = await a.client("c", **kept(V5))
    assert messages(last.first or await output(last, 1)) == [("x", b"1", 1)]


async def test_a_node_that_has_lost_its_connection_gives_way(two):
    """The old node can't be asked: the other one takes the session, and the old one finds that when it is back."""
    a, b = await together(two)
    old = await a.client("c", **kept(V5))
    await subscribe(old, subscription("x", 1))
    await a.cluster.connection.stop()
    new = await b.client("c", **kept(V5))
    assert new.connack.present
    assert not old.closed
    a.cluster.connection.start()
    assert [type(one) is Disconnect and one.code for one in await output(old, 1)] == [TAKEN_OVER]
    await store(await b.client("writer"), ("x", b"1"))
    assert messages(await output(new, 1)) == [("x", b"1", 1)]


async def test_a_node_that_is_behind_gets_a_session_once_it_has_read_as_far(two):
    """Else what comes there live has come to the client already."""
    a, b = await together(two)
    writer, client = await a.client("writer"), await a.client("c", **kept(V5))
    await subscribe(client, subscription("x", 1))
    b.stream.consumer.stop()
    await store(writer, ("x", b"1"), ("x", b"2"))
    for one in await output(client, 2):
        client.ack(PUBACK, one.id)
    at_b = Client(b.listener)
    found = at_b.connect("c", **kept(V5))
    await passed(lambda: a.cluster.sessions.let_go)
    await store(writer, ("x", b"3"))
    b.stream.consumer.start()
    _, *got = await output(at_b, 2, await answered(at_b, found))
    assert [one.payload for one in got] == [b"3"]
    await store(writer, ("x", b"4"))
    assert [one.payload for one in await output(at_b, 1)] == [b"4"]


async def test_a_session_that_comes_while_a_node_reads_for_those_of_its_earlier_process(two):
    a, b = await together(two)
    writer, client = await a.client("writer"), await a.client("c", **kept(V5))
    await subscribe(client, subscription("x", 1))
    client.end.vanish()
    b.stream.consumer.stop()
    b.stream.reader.catch_up(b.stream.consumer.position + 2, frozenset())
    await store(writer, ("x", b"1"), ("x", b"2"), ("x", b"3"))
    at_b = Client(b.listener)
    found = at_b.connect("c", **kept(V5))
    await passed(lambda: a.cluster.sessions.let_go)
    b.stream.consumer.start()
    _, *got = await output(at_b, 4, await answered(at_b, found))
    assert [one.payload for one in got] == [b"1", b"2", b"3"]


async def test_a_node_that_has_lost_a_session_says_and_writes_nothing_more_of_it(two):
    """Its client has subscribed and acknowledged there meanwhile: the other node doesn't know that."""
    a, b = await together(two)
    old, writer = await a.client("c", **kept(V5)), await b.client("writer")
    await subscribe(old, subscription("x", 2))
    await store(writer, ("x", b"1"), qos=2)
    [first] = await output(old, 1)
    await a.cluster.connection.stop()
    assert old.ack(PUBREC, first.id) == []
    await passed(lambda: a.stream.troubles)
    assert old.subscribe(subscription("y", 1)) == []
    new = await b.client("c", **kept(V5))
    assert messages(new.first or await output(new, 1)) == [("x", b"1", 2)]
    a.cluster.connection.start()
    await passed(lambda: old.closed)
    assert old.output() == []
    await settled(a, b)
    await subscribe(new, subscription("z", 1))
    await store(writer, ("y", b"2"), ("z", b"3"))
    assert messages(await output(new, 1)) == [("z", b"3", 1)]


class Slow(KeyValue):
    """A bucket where earlier writes are still in flight for the first `conflicts` updates."""

    def __init__(self, bucket, conflicts):
        vars(self).update(vars(bucket))
        self.conflicts = conflicts

    async def update(self, key, value, revision):
        self.conflicts -= 1
        if self.conflicts >= 0:
            raise Conflict("another write is in flight", 10164)
        return await super().update(key, value, revision)


async def test_a_change_behind_writes_in_flight_is_written_before_it_is_acknowledged(two):
    a, b = await together(two)
    client = await a.client("c", **kept(V5))
    sessions = a.cluster.sessions.store
    sessions._bucket = Slow(sessions._bucket, 3)
    await subscribe(client, subscription("x", 1))
    a.die()
    client = await b.client("c", **kept(V5))
    await store(await b.client("writer"), ("x", b"1"))
    assert messages(await output(client, 1)) == [("x", b"1", 1)]


async def test_a_client_that_goes_while_sessions_are_claimed_leaves_nothing(make):
    """Without NATS clients were connected whose sessions no node has claimed; then it is there, and one leaves."""
    a = make("a", "nats://127.0.0.1:1")
    clients = [await a.client(name) for name in ("stays", "goes")]
    moves = a.cluster.sessions
    claims = moves._look_again()
    next(claims)
    clients[1].goodbye()
    for _ in claims:
        pass
    assert [key[2] for key in moves.store.owned] == ["stays"]


async def test_without_nats_a_session_waits_and_others_are_served(make, monkeypatch):
    from hubbub import limits

    monkeypatch.setattr(limits, "CLUSTER_PATIENCE_SECONDS", 0.2)
    a = make("a", "nats://127.0.0.1:1")
    client = await a.client("c")
    assert client.subscribe(subscription("x"))[0].codes == [0]
    refused = Client(a.listener)
    [answer] = await answered(refused, refused.connect("c2", **kept(V5)))
    assert answer.code == 0x88
