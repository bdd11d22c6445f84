"""Three nats-servers, of which the leader of a stream is killed, or paused, while messages are published and read."""

from __future__ import annotations

import signal
import time

import pytest
from twisted.internet.task import LoopingCall, deferLater

from cluster.reading import Reading
from cluster.servers import jetstream
from hubbub.service.cluster.jetstream import MESSAGE_ID, JetStream, StreamConfig
from hubbub.service.cluster.jetstream_errors import JetStreamError
from hubbub.service.cluster.ordered_consumer import OrderedConsumer
from hubbub.service.cluster.publisher import Publisher
from scale import FULL

PAUSES = (14.0,) if FULL else ()  # seconds: more than an election takes


@pytest.fixture
def servers(tmp_path):
    with jetstream(tmp_path, 3) as servers:
        yield servers


@pytest.fixture
def reactor():
    from twisted.internet import reactor

    return reactor


async def replicated(api, reactor, name):
    """Make a stream once the servers have found each other."""
    while True:
        try:
            return await api.ensure_stream(StreamConfig(name=name, subjects=(f"{name}.>",), num_replicas=3))
        except JetStreamError:
            await deferLater(reactor, 0.1)


@pytest.mark.parametrize("fault", [None, *PAUSES])
async def test_what_is_acknowledged_is_there_once(nodes, servers, reactor, name, fault):
    connection = await nodes.joined(",".join(server.url for server in servers))
    api = JetStream(connection)
    info = await replicated(api, reactor, name)
    reading = Reading()
    publisher = Publisher(connection, reactor, reading)
    consumer = OrderedConsumer(api, reactor, name, [f"{name}.>"], reading)
    consumer.start()
    [leader] = [server for server in servers if server.name == info.cluster.leader]
    published = 0

    def publish():
        nonlocal published
        for _ in range(20):
            published += 1
            publisher.publish(f"{name}.a", b"%d" % published, {MESSAGE_ID: f"x{published}"})

    flow = LoopingCall(publish)
    flow.start(0.02)
    await reading.until(lambda: publisher.safe > 500)
    leader.signal(signal.SIGKILL if fault is None else signal.SIGSTOP)
    began = time.monotonic()
    await reading.until(lambda: ("failing", None) in reading.log)
    if fault is not None:
        await deferLater(reactor, max(0.0, began + fault - time.monotonic()))
        leader.signal(signal.SIGCONT)
    after = published
    await reading.until(lambda: publisher.safe > after + 500)
    flow.stop()
    await reading.until(lambda: not publisher.waiting)
    await reading.until(lambda: len(reading.messages) >= published)
    consumer.stop()
    publisher.stop()
    assert [int(message.payload) for message in reading.messages] == list(range(1, published + 1))
    assert not reading.errors
