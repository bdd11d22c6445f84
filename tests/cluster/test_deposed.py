"""A server that was the leader of a stream before, and doesn't know better yet: it lacks the newest messages."""

from __future__ import annotations

import pytest
import pytest_twisted

from cluster.mqtt_nodes import output, subscribe, together
from cluster.nodes import passed
from cluster.reading import Reading
from cluster.test_sessions import store
from hubbub import limits
from hubbub.service.cluster.jetstream import JetStream, StreamConfig
from hubbub.service.cluster.jetstream_errors import Unavailable
from hubbub.service.cluster.numbers import Numbers
from hubbub.service.cluster.ordered_consumer import OrderedConsumer
from hubbub.service.cluster.stream_pages import read_on
from mqtt_client import V5, kept, subscription


class Deposed(JetStream):
    """Has no messages behind sequence `last`; None: it is the leader."""

    def __init__(self, connection, last):
        super().__init__(connection)
        self.last = last

    async def next(self, stream, subject, seq):
        return None if self.last is not None and seq > self.last else await super().next(stream, subject, seq)

    async def stream_info(self, name):
        info = await super().stream_info(name)
        if self.last is not None:
            info.state.last_seq = self.last
        return info


async def three_messages(connection, name):
    jetstream = JetStream(connection)
    await jetstream.ensure_stream(StreamConfig(name=name, subjects=(f"{name}.>",), allow_direct=True))
    for one in range(3):
        await jetstream.publish(f"{name}.{one}", b"%d" % one)
    return jetstream


async def test_its_word_for_the_end_of_the_stream_is_not_enough(connection, name):
    from twisted.internet import reactor

    jetstream = await three_messages(connection, name)
    with pytest.raises(Unavailable):
        await read_on(Deposed(connection, 2), reactor, name, f"{name}.other", 0, 3)
    assert not await read_on(jetstream, reactor, name, f"{name}.other", 0, 3)


async def consumer_of(jetstream, connection, name, reading):
    from twisted.internet import reactor

    epoch = (await jetstream.stream_info(name)).epoch
    return OrderedConsumer(Deposed(connection, 1), reactor, name, [f"{name}.>"], reading, position=2, epoch=epoch)


async def read_until_another_server_answers(consumer, reading):
    consumer.start()
    try:
        await reading.until(lambda: reading.log)
        consumer._jetstream.last = None
        await reading.until(lambda: ("caught up",) in reading.log)
    finally:
        consumer.stop()


async def test_a_consumer_waits_until_another_server_answers(connection, name):
    reading = Reading()
    consumer = await consumer_of(await three_messages(connection, name), connection, name, reading)
    await read_until_another_server_answers(consumer, reading)
    assert [one.payload for one in reading.messages] == [b"2"]
    assert ("wiped",) not in reading.log


async def test_a_consumer_notices_that_a_stream_has_lost_messages_and_has_others_by_now(connection, name):
    reading = Reading()
    consumer = await consumer_of(await three_messages(connection, name), connection, name, reading)
    consumer._time = 1.0  # of the second message: there is another one in its place
    await read_until_another_server_answers(consumer, reading)
    assert [one.payload for one in reading.messages] == [b"1", b"2"]
    assert ("wiped",) in reading.log


async def test_a_session_that_comes_waits_until_another_server_answers(two):
    """What was in flight isn't given up."""
    a, b = await together(two)
    client, writer = await a.client("c", **kept(V5)), await b.client("writer")
    await subscribe(client, subscription("x", 2))
    await store(writer, ("x", b"1"), ("x", b"2"), qos=2)
    before = await output(client, 2)
    a.die()
    moves = b.cluster.sessions
    deposed = Deposed(b.cluster.connection, 0)
    moves._source = moves._source._replace(jetstream=deposed)
    b.world.clock.callLater(3 * limits.CLUSTER_RETRY_FIRST_SECONDS, setattr, deposed, "last", None)
    client = await b.client("c", **kept(V5))
    after = await output(client, 2, client.first)
    assert [(one.id, one.payload) for one in after] == [(one.id, one.payload) for one in before]


@pytest_twisted.async_fixture
async def starts_again(make):
    """A node whose earlier process had read three messages of four; the server that it asks has one."""
    a = await make("a").joined()
    await store(await a.client("writer"), *(("x", b"%d" % number) for number in range(4)))
    b = make("b")
    b.hub.clients.store.load_stream = lambda: (a.stream.consumer.epoch, 3)
    b.stream._jetstream = Deposed(b.cluster.connection, 1)
    return b


async def test_a_node_that_starts_again_waits_until_another_server_answers(starts_again):
    """Its work queues get no message a second time."""
    node = starts_again
    await passed(lambda: "joining" in node.stream.troubles or node.stream.consumer)
    node.stream._jetstream.last = None
    await node.joined()
    await passed(lambda: node.stream.consumer.position == 4)
    assert node.stream.reader.received_count == 1


async def test_a_node_that_starts_again_believes_that_messages_are_lost_after_a_while(starts_again, monkeypatch):
    monkeypatch.setattr(limits, "CLUSTER_PATIENCE_SECONDS", 0.3)
    await starts_again.joined()
    await passed(lambda: starts_again.stream.consumer.position == 4)
    assert starts_again.stream.reader.received_count == 3


def test_what_was_read_of_a_stream_that_has_lost_its_newest_messages():
    numbers = Numbers()
    numbers.begin("epoch", 10)
    numbers.reached(12)
    numbers.wiped("epoch", 11)
    assert numbers.last == 11
    assert numbers.reached(12) == 13
