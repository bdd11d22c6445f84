"""Filters that overlap much: without one queue name NATS would bring each message for each of them."""

from __future__ import annotations

from itertools import combinations

from cluster.nodes import settled
from cluster.test_live import fence

LEVELS = 8
TOPIC = "/".join("a" * LEVELS)
FILTERS = [
    "/".join("+" if at in where else "a" for at in range(LEVELS)) for where in combinations(range(LEVELS), LEVELS // 2)
]
"""70 of them, none of which is part of another."""
MESSAGES = 700


async def test_filters_that_overlap_bring_each_message_once(nats_port, nodes):
    """And all of them, of nodes and of NATS applications, in their order, also while filters end."""
    a, b = await nodes.cluster(nats_port, "a", "b")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    for filter in (*FILTERS, "exact", "$own/+"):
        b.client.subscribe(filter)
    await settled(a, b)
    for number in range(MESSAGES):
        a.client.publish(TOPIC, b"node %d" % number)
        app.publish(TOPIC.replace("/", "."), b"app %d" % number)
        if number % 10 == 9 and number // 10 < len(FILTERS) - 1:
            app._turn.flush()
            b.client.unsubscribe(FILTERS[number // 10])
            b.hub.turn.flush()
    for client in (a.client, app):
        client.publish("exact", b"e")
    a.client.publish("$own/x", b"o")
    app.publish("$own.x", b"o")
    a.client.publish("nobody/here", b"")
    await fence(app)
    await settled(a, b)
    texts = b.client.texts
    assert sorted(one for one in texts if TOPIC not in one) == ["$own/x o"] * 2 + ["exact e"] * 2
    for kind in ("node", "app"):
        assert [one for one in texts if f" {kind} " in one] == [f"{TOPIC} {kind} {at}" for at in range(MESSAGES)]
    assert b.cluster.live.plain.count == len(texts)
    assert len(b.cluster.interest) == 3
