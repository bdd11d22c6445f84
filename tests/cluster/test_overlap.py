"""Filters that overlap much: NATS would bring each message for each of them."""

from __future__ import annotations

from itertools import combinations

from cluster.nodes import passed, settled
from cluster.test_live import fence
from hubbub import limits

LEVELS = 8
TOPIC = "/".join("a" * LEVELS)
FILTERS = [
    "/".join("+" if at in where else "a" for at in range(LEVELS)) for where in combinations(range(LEVELS), LEVELS // 2)
]
"""70 of them, none of which is part of another."""
MESSAGES = 300


async def test_filters_that_overlap_bring_each_message_once(nats_port, nodes, monkeypatch):
    """And all of them, of nodes and of NATS applications, in their order, also while that changes."""
    monkeypatch.setattr(limits, "CLUSTER_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(limits, "CLUSTER_COPIES", 1_000)
    a, b = await nodes.cluster(nats_port, "a", "b")
    app = await nodes.joined(f"nats://127.0.0.1:{nats_port}:name=app")
    for filter in (*FILTERS, "exact", "$own/+"):
        b.client.subscribe(filter)
    await settled(a, b)
    live, number = b.cluster.live, 0

    async def publish(count):
        nonlocal number
        for _ in range(count):
            a.client.publish(TOPIC, b"node %d" % number)
            app.publish(TOPIC.replace("/", "."), b"app %d" % number)
            number += 1
        await fence(app)
        await settled(a, b)

    while not b.cluster.interest.folded:
        await publish(10)
    await passed(lambda: len(b.cluster.interest) == 2)  # all, and the exact one
    await settled(b)
    before = live.plain.copies
    await publish(MESSAGES)
    assert live.plain.copies == before
    for client in (a.client, app):
        client.publish("exact", b"e")
    a.client.publish("$own/x", b"o")
    app.publish("$own.x", b"o")
    a.client.publish("nobody/here", b"")
    await fence(app)
    await settled(a, b)
    for filter in FILTERS[1:]:
        b.client.unsubscribe(filter)
    await passed(lambda: not b.cluster.interest.folded and len(b.cluster.interest) == 3)
    await publish(10)
    texts = b.client.texts
    assert sorted(one for one in texts if TOPIC not in one) == ["$own/x o"] * 2 + ["exact e"] * 2
    for kind in ("node", "app"):
        assert [one for one in texts if f" {kind} " in one] == [f"{TOPIC} {kind} {at}" for at in range(number)]
