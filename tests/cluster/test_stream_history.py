"""The history of a cluster: one order and one position at all nodes (service/cluster/stream_history.py)."""

from __future__ import annotations

import pytest

from cluster.nodes import passed, settled
from hubbub import limits
from hubbub.kernel.history.rule import HistoryRule
from hubbub.service.cluster import stream_history
from hubbub.service.cluster.stream_pages import read_page


@pytest.fixture
def make(make, server):
    """Make nodes of one cluster, which keep the history of `h/#`."""
    return lambda name, *rules: make(name, server.url, *(rules or [HistoryRule("h/#")]))


async def publish(node, *payloads, topic="h/x"):
    """Publish, and wait until the node has read it back."""
    client, before = node.lines(), node.stream.consumer.position
    client.send(*[f"PUB {topic} {payload}" for payload in payloads])
    await passed(lambda: node.stream.consumer.position >= before + len(payloads))


def messages(lines):
    return [line.removeprefix("MSG ") for line in lines if line.startswith("MSG ")]


async def replayed(node, *words, filter="h/#"):
    """What a client gets that asks for the history: messages, the end, and what is lost."""
    client = node.lines()
    client.send(f"SUB {filter} {' '.join(words)}")
    found = await client.until("LIVE ")
    lost = [line for line in found if line.startswith("LOST ")]
    return messages(found), found[-1].removeprefix("LIVE "), lost


async def test_all_nodes_replay_the_same_from_any_position(make, monkeypatch):
    monkeypatch.setattr(limits, "HISTORY_PAGE_MESSAGES", 7)
    monkeypatch.setattr(limits, "HISTORY_TAIL_MESSAGES", 5)
    a, b = [await make(name).joined() for name in "ab"]
    for round in range(3):
        for node in (a, b):
            await publish(node, *[f"{node.name} {round}.{number}" for number in range(10)])
    await passed(lambda: a.stream.consumer.position == b.stream.consumer.position == 60)
    late = await make("late").joined()
    found = [await replayed(node, "AFTER 0") for node in (a, b, late)]
    assert found[0] == found[1] == found[2]
    everything, end, _ = found[0]
    assert len(everything) == 60
    for at in (1, 30, 59, 60):
        position = f"{end.rpartition('-')[0]}-{at}"
        for node in (a, b, late):
            assert await replayed(node, f"AFTER {position}") == (everything[at:], end, [])


async def test_a_position_is_the_same_at_each_node_and_live_messages_follow(make):
    a, b = [await make(name).joined() for name in "ab"]
    await publish(a, "1")
    client = a.lines()
    client.send("SUB h/# LAST 1")
    assert messages(await client.until("LIVE ")) == ["h/x 1"]
    await publish(b, "2", "3")
    await client.until("MSG h/x 3")
    client.send("POSITION")
    [_, position] = (await client.until("POSITION "))[-1].split()
    other = b.lines()
    other.send(f"SUB h/# AFTER {position}")
    assert messages(await other.until("LIVE ")) == []
    await publish(a, "4")
    assert await other.until("MSG") == ["MSG h/x 4"]


async def test_a_client_that_comes_from_a_node_that_is_ahead_gets_nothing_twice(make):
    a, b = [await make(name).joined() for name in "ab"]
    await publish(a, "1")
    await passed(lambda: b.stream.consumer.position == 1)
    epoch = b.hub.history.store.epoch
    client = b.lines()
    client.send(f"SUB h/# AFTER {epoch}-3")  # b hasn't read these yet
    assert (await client.until("OK"))[-1] == "OK SUB h/#"
    await publish(a, "2", "3", "4")
    found = await client.until("MSG h/x 4")
    assert messages(found) == ["h/x 4"]
    assert not [line for line in found if line.startswith("LOST")]


async def test_a_client_that_waits_for_what_never_comes_and_goes_leaves_nothing(make):
    """Nor does a position that is far ahead cost those who publish anything."""
    a = await make("a").joined()
    await publish(a, "1")
    history = a.hub.history.store
    for _ in range(20):
        client = a.lines()
        client.send(f"SUB h/# AFTER {history.epoch}-{limits.CLUSTER_AHEAD}")
        await client.until("OK")
        assert len(history._waiting) <= 2
        client.vanish()
    other = a.lines()
    other.send(f"SUB h/# AFTER {history.epoch}-2")
    await other.until("OK")
    await publish(a, "2")
    assert (await other.until("LIVE"))[-1] == f"LIVE {history.epoch}-2"
    assert history._waiting == []


async def test_few_pages_are_read_at_once(make, monkeypatch):
    monkeypatch.setattr(limits, "HISTORY_PAGE_MESSAGES", 1)
    monkeypatch.setattr(limits, "HISTORY_TAIL_MESSAGES", 1)
    monkeypatch.setattr(limits, "CLUSTER_PAGES", 2)
    a = await make("a").joined()
    await publish(a, *map(str, range(5)))
    at_once, most = 0, 0

    async def counted(*args):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await read_page(*args)
        finally:
            at_once -= 1

    monkeypatch.setattr(stream_history, "read_page", counted)
    late = await make("late").joined()
    clients = [late.lines() for _ in range(6)]
    for client in clients:
        client.send("SUB h/# AFTER 0")
    for client in clients:
        assert messages(await client.until("LIVE")) == [f"h/x {number}" for number in range(5)]
    assert most == 2


async def test_what_no_rule_covers_is_in_the_stream_and_not_in_the_history(make):
    a = await make("a").joined()
    writer = await a.client("writer")
    writer.publish("other", b"1", qos=1, id=1)
    writer.publish("h/x", b"2", qos=1, id=2)
    writer.publish("h", b"3", retain=True)
    await passed(lambda: a.stream.consumer.position == 3)
    late = await make("late").joined()
    for node in (a, late):
        found, _, _ = await replayed(node, "AFTER 0", filter="#")
        assert found == ["h/x 2", "h 3"]


async def test_the_newest_of_each_topic(make):
    a = await make("a").joined()
    for number in range(5):
        await publish(a, str(number), topic="h/x")
        await publish(a, str(number), topic="h/y")
    late = await make("late").joined()
    for node in (a, late):
        assert (await replayed(node, "LAST 2"))[0] == ["h/x 3", "h/y 3", "h/x 4", "h/y 4"]


async def test_what_is_too_old_for_a_rule_is_not_replayed(make):
    a = await make("a", HistoryRule("h/#", age=3600.0)).joined()
    await publish(a, "1")
    assert (await replayed(a, "AFTER 0"))[0] == ["h/x 1"]
    wall = a.hub.turn.wall
    late = make("late", HistoryRule("h/#", age=3600.0))
    late.hub.turn.wall = lambda: wall() + 4000
    await late.joined()
    assert (await replayed(late, "AFTER 0"))[0] == []


async def test_a_wiped_stream_is_reported_as_incomplete(make, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_HEARTBEAT_SECONDS", 0.3)
    a = await make("a").joined()
    await publish(a, "1", "2")
    _, end, _ = await replayed(a, "AFTER 0")
    names = a.stream.names
    await a.stream._jetstream.call(f"STREAM.DELETE.{names.retained}", None, object)
    await a.stream._jetstream.call(f"STREAM.DELETE.{names.messages}", None, object)
    b = await make("b").joined()
    await passed(lambda: a.hub.history.store.epoch == b.hub.history.store.epoch)
    await publish(b, "3")
    await passed(lambda: a.stream.consumer.position == 1)
    for node in (a, b):
        found, new_end, lost = await replayed(node, f"AFTER {end}")
        assert (found, new_end.split("-")[0] != end.split("-")[0], len(lost)) == (["h/x 3"], True, 1)


async def test_what_the_stream_has_dropped_is_reported(make):
    a = await make("a").joined()
    await publish(a, "1", "2", "3")
    _, end, _ = await replayed(a, "AFTER 0")
    epoch = end.split("-")[0]
    await a.stream._jetstream.call(f"STREAM.PURGE.{a.stream.names.messages}", {"keep": 1}, dict)
    late = await make("late").joined()
    found, _, lost = await replayed(late, f"AFTER {epoch}-1")
    assert (found, lost) == (["h/x 3"], [f"LOST {epoch}-2"])


async def test_what_a_nats_application_publishes_comes_once_and_is_not_in_the_history(make, connection):
    a, b = [await make(name).joined() for name in "ab"]
    ears = [a.lines(), b.lines()]
    for ear in ears:
        ear.send("SUB h/#")
    await passed(lambda: all(len(node.cluster.interest) == 1 for node in (a, b)))
    await settled(a, b)
    connection.publish("h.x", b"1")
    for ear in ears:
        assert messages(await ear.until("MSG h/x ")) == ["h/x 1"]
    await publish(a, "2")
    for ear in ears:
        assert messages(await ear.until("MSG h/x 2")) == ["h/x 2"]
    await settled(a, b)
    assert (await replayed(b, "AFTER 0"))[0] == ["h/x 2"]
