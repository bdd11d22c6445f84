"""The nodes know each other, no two have one name, and what a lost server costs."""

from __future__ import annotations

import secrets
import time

from cluster.nodes import passed, settled
from hubbub import limits
from interop.nats.server import nats_server
from ports import free_port
from scale import crowd

FILTERS = crowd(100_000)


async def test_nodes_know_each_other(nats_port, nodes, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(limits, "CLUSTER_LEASE_SECONDS", 0.5)
    a, b = await nodes.cluster(nats_port, "a", "b")
    await passed(lambda: a.cluster.status()["nodes"] == b.cluster.status()["nodes"] == ["a", "b"])
    b.stop()
    await passed(lambda: a.cluster.status()["nodes"] == ["a"])


async def test_a_node_that_was_paused_takes_no_other_for_gone(nats_port, nodes, monkeypatch):
    """What the others have said meanwhile waits to be read: it isn't they who were silent."""
    monkeypatch.setattr(limits, "CLUSTER_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(limits, "CLUSTER_LEASE_SECONDS", 0.25)
    a, _ = await nodes.cluster(nats_port, "a", "b")
    there, sweeps = a.cluster.nodes.all, []
    await passed(lambda: there)
    a.cluster.nodes.sweepers.append(lambda: sweeps.append(len(there)))
    await passed(lambda: sweeps)
    time.sleep(2 * limits.CLUSTER_LEASE_SECONDS)  # the whole process
    count = len(sweeps)
    await passed(lambda: len(sweeps) > count)
    assert set(sweeps) == {1}


async def test_a_second_node_of_one_name_is_refused_until_the_first_has_gone(nats_port, nodes, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_LEASE_SECONDS", 0.1)
    spec = f"nats://127.0.0.1:{nats_port}:name=a:cluster={secrets.token_hex(4)}"
    (first,) = await nodes.together([nodes.node(spec)])
    second = nodes.node(spec)
    await passed(lambda: second.cluster.nodes.rival)
    assert (first.cluster.member, second.cluster.member) == (True, False)
    assert second.cluster.status()["state"] == "refused"
    assert second.cluster.degraded == ["another node is called a"]
    second.client.publish("x", b"")
    await settled(second)
    assert second.cluster.live.sent == 0
    first.stop()
    await passed(lambda: second.cluster.member)
    assert second.cluster.degraded == []


async def test_one_of_two_that_begin_at_once_has_the_name(nats_port, nodes):
    spec = f"nats://127.0.0.1:{nats_port}:name=a:cluster={secrets.token_hex(4)}"
    both = [nodes.node(spec), nodes.node(spec)]
    await passed(lambda: any(one.cluster.member for one in both) and any(one.cluster.nodes.rival for one in both))
    assert sorted(one.cluster.member for one in both) == [False, True]


async def test_without_nats_local_work_begins(nodes):
    """And the node joins by itself, with all that its clients are subscribed to."""
    port = free_port()
    a, b = (nodes.node(f"nats://127.0.0.1:{port}:name={name}") for name in "ab")
    for one in (a, b):
        one.client.subscribe("x/#")
    assert a.client.publish("x/1", b"alone") == 1
    a.hub.turn.flush()
    assert a.client.texts == ["x/1 alone"]
    assert a.cluster.status()["state"].startswith("connecting")
    with nats_server(port=port):
        await nodes.together([a, b])
        await settled(a, b)
        a.client.publish("x/2", b"joined")
        await settled(a, b)
        assert b.client.texts == ["x/2 joined"]
        assert a.cluster.status()["state"] == "joined"


async def test_a_lost_server_costs_no_local_message(nodes):
    """And filters that came and went meanwhile are as they are now."""
    port = free_port()
    spec = f"nats://127.0.0.1:{port}:cluster={secrets.token_hex(4)}:name="
    with nats_server(port=port):
        a, b = await nodes.together([nodes.node(spec + "a"), nodes.node(spec + "b")])
        b.client.subscribe("gone")
        b.client.subscribe("stays")
        await settled(a, b)
    b.client.unsubscribe("gone")
    await passed(lambda: not a.cluster.connection.joined and not b.cluster.connection.joined)
    b.client.subscribe("new/+")
    a.client.subscribe("here")
    a.client.publish("here", b"")
    a.hub.turn.flush()
    assert a.client.texts == ["here "]
    assert a.cluster.degraded[0].startswith("NATS: connecting")
    with nats_server(port=port):
        await nodes.together([a, b])
        await settled(a, b)
        for topic in ("gone", "stays", "new/x"):
            a.client.publish(topic, b"1")
        await settled(a, b)
        assert b.client.texts == ["stays 1", "new/x 1"]
        assert a.cluster.degraded == []


async def test_many_filters_join(nats_port, nodes):
    """Some in each turn of the reactor."""
    a, b = await nodes.cluster(nats_port, "a", "b")
    clients = [nodes.client(b) for _ in range(20)]
    for at, client in enumerate(clients):
        for number in range(FILTERS // 20):
            client.subscribe(f"x/{at}/{number}/y")
    await passed(lambda: len(b.cluster.interest) == FILTERS)
    await settled(b)
    for at, client in enumerate(clients):
        a.client.publish(f"x/{at}/{FILTERS // 20 - 1}/y", b"")
        await settled(a, b)
        assert len(client.got) == 1
    for client in clients:
        b.hub.subscriptions.leave(client.session)
    await passed(lambda: len(b.cluster.interest) == 0)
