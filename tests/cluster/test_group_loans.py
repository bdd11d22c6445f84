"""Acknowledged messages for groups with members at several nodes: one member gets each, until one acknowledges it."""

from __future__ import annotations

import msgspec
import pytest
from twisted.internet.task import deferLater

from cluster.group_members import GROUP, Member, got_by, one_at_a_time, payloads, publish
from cluster.mqtt_nodes import output, subscribe, together
from cluster.nodes import passed, settled
from hubbub import limits
from hubbub.service.cluster.jetstream import JetStream
from hubbub.service.cluster.pull_consumer import silence_seconds
from mqtt_client import PUBACK, PUBREC, V5, kept, messages, subscription


class Names(msgspec.Struct):
    consumers: list[str] | None = None


async def consumers(node):
    """How many durable consumers the stream has."""
    found = await JetStream(node.cluster.connection).call(f"CONSUMER.NAMES.{node.stream.names.messages}", {}, Names)
    return sum(name.startswith("hubbub-group") for name in found.consumers or ())


async def publish_without_links(three):
    """Publish ten messages while the session of the only member has no link; return a node without that session."""
    a, b, c = await together(three)
    away = await Member.of(a, "away", **kept(V5))
    writer = await c.client("writer")
    away.client.end.vanish()
    a.world.turn()
    await publish(writer, range(10))
    return b


@pytest.mark.parametrize("qos", [1, 2])
async def test_each_message_reaches_one_member(three, qos):
    a, b, c = await together(three)
    members = [await Member.of(node, f"m{place}", qos) for place, node in enumerate((a, b, b, c))]
    writer = await a.client("writer")
    await publish(writer, range(90), qos)
    await got_by(members, payloads(0, 90))
    for one in members:
        one.client.goodbye()


async def test_a_group_is_as_quick_as_its_members(two):
    """A fetch has ended once all has come that it asked for: waiting for its end would take seconds for each 200."""
    a, b = await together(two)
    member, writer = await Member.of(a, "member"), await b.client("writer")
    for first in range(0, 3 * limits.WORK_QUEUE_TURN, 100):
        await publish(writer, range(first, first + 100))
    await passed(lambda: len(member.look()) == 3 * limits.WORK_QUEUE_TURN, limits.CLUSTER_LEASE_SECONDS)


@pytest.mark.parametrize("qos", [1, 2])
async def test_a_node_that_was_paused_lends_nothing_that_others_have_by_now(three, qos):
    """What JetStream has sent it meanwhile is in its socket."""
    a, b, c = await together(three)
    paused = await Member.of(a, "paused", qos, **kept(V5))
    other, writer = await Member.of(b, "other", qos), await c.client("writer")
    await publish(writer, range(20), qos)
    await passed(lambda: len(paused.look()) + len(other.look()) == 20)
    wire = a.cluster.connection._link._wire
    wire.reading(False)
    await publish(writer, range(20, 60), qos)
    before = len(paused.got)
    await passed(lambda: before + len(other.look()) == 60)
    wire.reading(True)
    await settled(a)
    await publish(writer, range(60, 80), qos)
    await got_by([paused, other], payloads(0, 80))


async def test_a_node_lends_no_more_what_waited_while_it_was_paused(three, monkeypatch):
    a, _, c = await together(three)
    await Member.of(a, "slow", 2, lazy=True, **one_at_a_time())
    writer = await c.client("writer")
    await publish(writer, range(10), qos=2)
    loans = a.cluster.groups._loans[GROUP]
    await passed(lambda: len(loans._waiting) == 9 and not loans.handed.pending)
    said = []
    monkeypatch.setattr(loans._consumer, "_say_now", lambda by, what: said.append(what))
    now = a.hub.turn.now
    monkeypatch.setattr(a.hub.turn, "now", lambda: now() + silence_seconds())
    loans.flush()
    assert not loans._waiting
    assert b"-NAK" not in said  # or JetStream would give others again what they have


async def test_what_a_slow_member_has_to_wait_for_comes_at_last(three):
    """Its node gives it back and fetches it again, as nobody else is there."""
    a, _, c = await together(three)
    slow = await Member.of(a, "slow", 2, lazy=True, **one_at_a_time())
    writer = await c.client("writer")
    await publish(writer, range(10), qos=2)
    await passed(lambda: len(slow.look()) == 1)
    clock = a.world.clock
    until = clock.seconds() + 2.5 * silence_seconds()
    await passed(lambda: clock.seconds() > until)
    assert len(slow.look()) == 1
    slow.lazy = False
    slow.take(slow.client.ack(PUBREC, slow.ids[slow.got[0]]))
    await got_by([slow], payloads(0, 10))


async def test_what_a_node_that_dies_had_comes_to_members_elsewhere(three):
    """All that its members haven't acknowledged, and nothing else."""
    a, b, c = await together(three)
    dying, lazy = await Member.of(a, "dying"), await Member.of(a, "lazy", lazy=True)
    writer = await c.client("writer")
    await publish(writer, range(40))
    await passed(lambda: len(dying.look()) + len(lazy.look()) == 40)
    assert dying.got
    assert lazy.got
    await passed(lambda: len(a.cluster.groups._loans[GROUP].lent) == len(lazy.got))
    other = await Member.of(b, "other")
    a.die()
    await got_by([other], sorted(lazy.got))


async def test_messages_wait_while_the_node_of_all_members_is_dead(three):
    a, b, c = await together(three)
    await Member.of(a, "member")
    writer = await c.client("writer")
    a.die()
    await passed(lambda: not c.cluster.groups.has_members(GROUP))
    await publish(writer, range(20))
    await got_by([await Member.of(b, "other")], payloads(0, 20))


async def test_a_member_without_a_link_leaves_messages_to_others(three):
    b = await publish_without_links(three)
    await got_by([await Member.of(b, "other")], payloads(0, 10))


async def test_a_member_that_comes_back_gets_what_no_other_has_taken(three):
    b = await publish_without_links(three)
    back = Member(await b.client("away", **kept(V5)))
    back.take(back.client.first)
    await got_by([back], payloads(0, 10))


async def test_what_a_member_that_leaves_had_comes_to_another_node(three):
    a, b, c = await together(three)
    lazy = await Member.of(a, "lazy", lazy=True)
    writer = await c.client("writer")
    await publish(writer, range(10))
    await passed(lambda: len(lazy.look()) == 10)
    other = await Member.of(b, "other")
    lazy.client.goodbye()
    await got_by([other], payloads(0, 10))


async def test_what_waits_for_a_slow_member_comes_to_another_node(three):
    a, b, c = await together(three)
    slow = await Member.of(a, "slow", lazy=True, properties={"receive_maximum": 1})
    writer = await c.client("writer")
    await publish(writer, range(30))
    await passed(lambda: len(a.cluster.groups._loans[GROUP]._waiting) == 29)
    other = await Member.of(b, "other")
    await passed(lambda: len(other.look()) == 29)
    slow.client.goodbye()
    await got_by([other], payloads(0, 30))


async def test_what_takes_long_stays_with_its_member(three):
    """The node says that it works on it."""
    a, b, c = await together(three)
    lazy = await Member.of(a, "lazy", lazy=True)
    writer = await c.client("writer")
    await publish(writer, range(5))
    await passed(lambda: len(lazy.look()) == 5)
    other = await Member.of(b, "other")
    reader, now = a.world.clock, a.world.clock.seconds()
    await passed(lambda: reader.seconds() > now + 2.5 * silence_seconds())
    assert other.look() == []
    for payload in lazy.got:
        lazy.client.ack(PUBACK, lazy.ids[payload])
    lazy.client.goodbye()
    await publish(writer, range(5, 8))
    await got_by([other], payloads(5, 8))


async def test_a_group_without_members_ends(three):
    """What is published then isn't for a later group of that name."""
    a, b, c = await together(three)
    member = await Member.of(a, "member")
    writer = await c.client("writer")
    await publish(writer, range(3))
    await got_by([member], payloads(0, 3))
    member.client.goodbye()
    while await consumers(a):
        await deferLater(a.world.clock, 0.05)
    await publish(writer, range(3, 6))
    later = await Member.of(b, "later")
    await publish(writer, range(6, 9))
    await got_by([later], payloads(6, 9))


async def test_a_group_waits_a_lease_for_a_member(two):
    """A session may be on its way to another node."""
    a, b = await together(two)
    member = await Member.of(a, "member")
    writer = await b.client("writer")
    await publish(writer, range(3))
    await got_by([member], payloads(0, 3))
    member.client.goodbye()
    await passed(lambda: a.cluster.groups._left)
    await publish(writer, range(3, 6))
    a.cluster.groups.sweep()
    later = await Member.of(b, "later")
    await passed(lambda: a.cluster.groups.has_members(GROUP))
    a.cluster.groups.sweep()
    await got_by([later], payloads(3, 6))


async def test_a_group_of_all_topics_gets_those_that_begin_with_a_dollar_sign_no_more_than_a_client_does(three):
    a, _, c = await together(three)
    client, writer = await a.client("member"), await c.client("writer")
    await subscribe(client, subscription("$share/g/#", 1))
    writer.publish("$x/y", b"1", qos=1, id=1)
    writer.publish("x/y", b"2", qos=1, id=2)
    await got_by([Member(client)], [b"2"])


async def test_groups_of_a_node_are_bounded(three, monkeypatch):
    monkeypatch.setattr(limits, "WORK_QUEUES", 2)
    a, _, _ = await together(three)
    wishes = [subscription(f"$share/{name}/x", 1) for name in ("g", "h", "g", "i")]
    answer = await subscribe(await a.client("member"), *wishes)
    assert answer.codes == [1, 1, 1, 0x97]


@pytest.mark.parametrize("there", [True, False])
async def test_a_session_gets_what_a_group_brings_before_its_node_has_read_it(two, there):
    """How far the session is in the stream, its own subscriptions say alone."""
    a, b = await together(two)
    client, writer = await a.client("c", **kept(V5)), await b.client("writer")
    await subscribe(client, subscription("x/+", 2), subscription(GROUP, 2))
    a.stream.consumer.stop()
    await publish(writer, range(1), qos=2)
    [one] = await output(client, 1)
    if not there:
        client.end.vanish()
        await settled(a)
        await passed(lambda: not a.cluster.sessions.store._running)
    a.die()
    client = await b.client("c", **kept(V5))
    found = await output(client, 2, client.first)
    assert messages(found) == 2 * [("x/0", b"0", 2)]
    assert found[0].id == one.id
