"""Three nats-servers: what one node publishes keeps its order when the leader of the stream changes."""

from __future__ import annotations

import pytest
from twisted.internet.task import LoopingCall, deferLater

from cluster.mqtt_nodes import output
from cluster.nodes import passed
from cluster.reading import Returning
from cluster.servers import jetstream
from cluster.streams import block
from hubbub.service.cluster.jetstream import JetStream, StreamConfig
from hubbub.service.cluster.jetstream_errors import JetStreamError
from hubbub.service.cluster.ordered_consumer import OrderedConsumer
from hubbub.service.cluster.publisher import Publisher

CHANGES = 6  # of twelve, two to four cost order without batches


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with jetstream(tmp_path_factory.mktemp("jetstream"), 3) as servers:
        yield servers


async def make_stream(api, name):
    """Servers that have just started have to find each other."""
    from twisted.internet import reactor

    config = StreamConfig(name=name, subjects=(f"{name}.>",), num_replicas=3, allow_batched=True)
    while True:
        try:
            return await api.ensure_stream(config)
        except JetStreamError:
            await deferLater(reactor, 0.1)


async def change_leader(api, name):
    before = (await api.stream_info(name)).cluster.leader
    await api.call(f"STREAM.LEADER.STEPDOWN.{name}", None, object)
    while True:
        try:
            if (await api.stream_info(name)).cluster.leader not in ("", before):
                return
        except JetStreamError:
            pass


def publish_from(publishers, name):
    """Have each of them publish as fast as the stream takes it."""
    for index, one in enumerate(publishers):
        for _ in range(50 if one.waiting < 2_000 else 0):
            number = one.last + 1
            one.publish(f"{name}.{index}".encode(), b"%d" % number, block(f"{index}-{number}"))


async def test_over_changes_of_the_leader(nodes, servers, started, reactor, name):
    connections = [await nodes.joined(server.url) for server in servers]
    api = JetStream(connections[0])
    await make_stream(api, name)
    readings = [Returning() for _ in connections]
    for index, (connection, reading) in enumerate(zip(connections, readings, strict=True)):
        reading.publisher = started(Publisher(connection, reactor, reading))
        reading.publisher.batches = True
        started(OrderedConsumer(JetStream(connection), reactor, name, [f"{name}.{index}"], reading))
    publishers = [one.publisher for one in readings]
    flow = LoopingCall(publish_from, publishers, name)
    flow.start(0.001)
    for _ in range(CHANGES):
        before = [one.safe for one in publishers]
        await passed(lambda before=before: all(one.safe > n + 500 for one, n in zip(publishers, before, strict=True)))
        await change_leader(api, name)
    flow.stop()
    await passed(lambda: not any(one.waiting for one in publishers))
    for one in readings:
        await passed(lambda one=one: len(one.messages) >= one.publisher.last)
        assert [int(message.payload) for message in one.messages] == list(range(1, one.publisher.last + 1))
        assert not one.errors


async def test_retained_messages_pass_in_batches(servers, make):
    """Also those that clear a topic; a node that joins later reads them from the second stream."""
    url = ",".join(server.url for server in servers)
    a = await make("a", f"{url}:replicas=3").joined()
    assert a.stream.publisher.batches
    writer = await a.client("writer")
    for number in range(1, 31):
        writer.publish("t%d" % (number % 10), b"%d" % number if number <= 20 else b"", qos=1, id=number, retain=True)
    for number in range(31, 41):
        writer.publish("t%d" % (number % 10 + 5), b"%d" % number, qos=1, id=number, retain=True)
    await output(writer, 40)
    left = {f"t{number % 10 + 5}": b"%d" % number for number in range(31, 41)}
    for node in (a, make("b", f"{url}:replicas=3")):
        await node.joined()
        await passed(lambda node=node: {one.topic: one.payload for one in node.hub.retained.match("#") if one} == left)
