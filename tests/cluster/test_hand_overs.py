"""Messages of QoS 2 for groups: each comes to one member, whatever happens to its node while it gets the message."""

from __future__ import annotations

import msgspec
import pytest
from twisted.internet.defer import fail

from cluster.gate import Gate
from cluster.group_members import GROUP, Member, got_by, payloads, publish
from cluster.mqtt_nodes import answered, output, subscribe, together
from cluster.nodes import passed, settled
from hubbub import limits
from hubbub.kernel.history.rule import HistoryRule
from hubbub.service.cluster.jetstream import JetStream
from hubbub.service.cluster.pull_consumer import consumer_of, silence_seconds
from hubbub.service.cluster.requests import NoAnswer
from hubbub_plugins.mqtt.codes import PACKET_IDENTIFIER_NOT_FOUND
from mqtt_client import PUBREC, PUBREL, V5, Client, kept, subscription

WRITES = b"$KV."  # in what a node says when it writes a session
ACKNOWLEDGES = b"+ACK"


class Consumer(msgspec.Struct):
    num_ack_pending: int
    num_pending: int


@pytest.fixture
def gate(server):
    made = Gate(server.port)
    yield made
    made.close()


@pytest.fixture
def gated(make, gate, monkeypatch):
    """Nodes that soon take a silent one for gone; the first one is behind a gate."""
    monkeypatch.setattr(limits, "CLUSTER_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(limits, "CLUSTER_LEASE_SECONDS", 0.5)
    return [make("a", gate.url), make("b"), make("c")]


def handed(node):
    return node.cluster.groups._loans[GROUP].handed.pending


async def until_others_have_it(node):
    """Wait until JetStream has given to others what nobody has worked on."""
    clock = node.world.clock
    until = clock.seconds() + 1.5 * silence_seconds()
    await passed(lambda: clock.seconds() > until)


async def cut_off(nodes, gate, member, **when):
    """Cut the first node off while it hands messages over to this member. Returns who publishes."""
    writer = await nodes[2].client("writer")
    gate.shut(**when)
    await publish(writer, range(10), qos=2)
    await passed(lambda: gate.is_shut)
    assert handed(nodes[0])
    assert member.look() == []
    return writer


@pytest.mark.parametrize(
    ("more", "when"),
    [
        (kept(V5), {"after": WRITES}),
        (kept(V5), {"before": ACKNOWLEDGES}),
        (kept(V5), {"after": ACKNOWLEDGES}),
        ({}, {"before": ACKNOWLEDGES}),
        ({}, {"after": ACKNOWLEDGES}),
    ],
)
async def test_a_node_that_is_cut_off_amid_a_hand_over_doubles_nothing(gated, gate, more, when):
    a, b, _ = await together(gated)
    cut = await Member.of(a, "cut", 2, **more)
    writer = await cut_off(gated, gate, cut, **when)
    other = await Member.of(b, "other", 2)
    await until_others_have_it(b)
    gate.open()
    await passed(lambda: not handed(a))
    await got_by([cut, other], payloads(0, 10))
    assert bool(cut.got) == (when == {"after": ACKNOWLEDGES})  # JetStream knew that it was done with
    await settled(a)
    await publish(writer, range(10, 20), qos=2)
    await got_by([cut, other], payloads(0, 20))


@pytest.mark.parametrize("others_first", [True, False])
async def test_a_node_that_dies_amid_a_hand_over_doubles_nothing(gated, gate, others_first):
    """The bucket has the session with the messages, and JetStream gives them to another node."""
    a, b, c = await together(gated)
    dies = await Member.of(a, "dies", 2, **kept(V5))
    await cut_off(gated, gate, dies, after=WRITES)
    a.die()
    if others_first:
        other = await Member.of(b, "other", 2)
        await passed(lambda: len(other.look()) == 10)
        back = Member(await c.client("dies", **kept(V5)))
        back.take(back.client.first)
    else:
        back = Member(await c.client("dies", **kept(V5)))
        back.take(back.client.first)
        await passed(back.look)
        other = await Member.of(b, "other", 2)
    await until_others_have_it(b)
    await passed(lambda: not handed(b))
    await got_by([back, other], payloads(0, 10))
    assert bool(back.got) != others_first


async def test_a_session_that_ends_amid_a_hand_over_loses_nothing(gated, gate):
    a, b, _ = await together(gated)
    ends = await Member.of(a, "ends", 2)
    await cut_off(gated, gate, ends, before=ACKNOWLEDGES)
    ends.client.goodbye()
    await passed(lambda: GROUP not in a.cluster.groups._loans)
    other = await Member.of(b, "other", 2)
    await got_by([other], payloads(0, 10))
    gate.open()


async def test_a_client_that_comes_back_amid_a_hand_over_gets_each_message_once(gated, gate):
    a, _, _ = await together(gated)
    member = await Member.of(a, "c", 2, **kept(V5))
    await cut_off(gated, gate, member, after=ACKNOWLEDGES)
    member.client.end.vanish()
    back = Client(a.listener)
    found = back.connect("c", **kept(V5))
    gate.open()
    _, *got = await answered(back, found)
    back = Member(back)
    back.take(got)
    await passed(lambda: not handed(a))
    await got_by([back], payloads(0, 10))
    assert not any(one.dup for one in got)


async def test_a_client_acknowledges_nothing_that_it_wasnt_sent(gated, gate):
    a, _, _ = await together(gated)
    member = await Member.of(a, "c", 2, **kept(V5))
    await cut_off(gated, gate, member, after=ACKNOWLEDGES)
    found = member.client.ack(PUBREC, 1)
    gate.open()
    refused, *got = await answered(member.client, found)  # which may be held until the bucket has the session
    assert (refused.kind, refused.code) == (PUBREL, PACKET_IDENTIFIER_NOT_FOUND)
    member.take(got)  # it answers no PUBREL that refuses its PUBREC: PUBCOMP would be for the message to come
    await got_by([member], payloads(0, 10))


async def test_a_message_of_qos_2_goes_with_the_session_of_its_member(three):
    """MQTT-4.8.2-5: when its node dies, to no other member."""
    a, b, c = await together(three)
    lazy = await Member.of(a, "lazy", 2, lazy=True, **kept(V5))
    writer = await c.client("writer")
    await publish(writer, range(3), qos=2)
    await passed(lambda: len(lazy.look()) == 3)
    other = await Member.of(b, "other", 2)
    a.die()
    back = Member(await c.client("lazy", **kept(V5)))
    back.take(back.client.first)
    await got_by([back], payloads(0, 3))
    await publish(writer, range(3, 9), qos=2)
    await got_by([back, other], sorted([*payloads(0, 3), *payloads(3, 9)]))


@pytest.mark.parametrize("more", [kept(V5), {}])
async def test_jetstream_has_the_acknowledgement_before_a_member_has_the_message(two, more):
    a, b = await together(two)
    member, writer = await Member.of(a, "member", 2, lazy=True, **more), await b.client("writer")
    await publish(writer, range(20), qos=2)
    await passed(member.look)
    verb = f"CONSUMER.INFO.{b.stream.names.messages}.{consumer_of(GROUP)}"
    found = await JetStream(b.cluster.connection).call(verb, None, Consumer)
    assert 20 - found.num_ack_pending - found.num_pending >= len(member.got)


async def test_what_a_server_that_died_was_told_is_said_again(three, monkeypatch):
    a, _, c = await together(three)
    member, writer = await Member.of(a, "member", 2, **kept(V5)), await c.client("writer")
    request, lost = a.cluster.connection.request, []

    def lose_first(subject, payload, *more):
        if payload == ACKNOWLEDGES and subject not in lost:
            lost.append(subject)
            return fail(NoAnswer("its server has died"))
        return request(subject, payload, *more)

    monkeypatch.setattr(a.cluster.connection, "request", lose_first)
    await publish(writer, range(5), qos=2)
    await passed(lambda: len(member.look()) == 5)
    assert len(lost) == 5
    await until_others_have_it(a)
    await publish(writer, range(5, 8), qos=2)
    await got_by([member], payloads(0, 8))


async def test_a_message_has_one_owner(two):
    a, b = await together(two)
    owners, others = a.stream.owners, b.stream.owners
    assert await owners.claim("g", 1, "s1", "first")
    assert await owners.claim("g", 1, "s1", "first")
    assert not await others.claim("g", 1, "s1", "second")
    assert not await others.claim("g", 1, "s2", "first")
    assert await others.claim("g", 1, "s1")
    assert not await others.claim("g", 1, "s")
    assert await others.claim("g", 2, "s2")
    assert await others.claim("h", 1, "s2")


async def test_owners_are_no_messages_for_clients(make, server):
    a, b = await together([make(name, server.url, HistoryRule("#")) for name in "ab"])
    writer, client = await a.client("writer"), await a.client("c", **kept(V5))
    await subscribe(client, subscription("x/+", 1))
    client.end.vanish()
    await publish(writer, range(2))
    assert await a.stream.owners.claim("g", 1, "s")
    client = await b.client("c", **kept(V5))
    assert [one.payload for one in await output(client, 2, client.first)] == [b"0", b"1"]
    reader = (await make("late", server.url, HistoryRule("#")).joined()).lines()
    reader.send("SUB # AFTER 0")
    assert [line for line in await reader.until("LIVE ") if line.startswith("MSG ")] == ["MSG x/0 0", "MSG x/1 1"]
