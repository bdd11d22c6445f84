"""Three nats-servers, of which the leader of a stream is killed, or paused, while clients publish and read."""

from __future__ import annotations

import signal
import time

import pytest
from twisted.internet.task import LoopingCall, deferLater

from cluster.mqtt_nodes import MqttNode, output
from cluster.nodes import passed
from cluster.servers import jetstream
from mqtt_client import PUBREC, PUBREL, V5, kept, messages, subscription
from scale import FULL

FAULTS = [(1, None), (1, 2.5), *([(1, 5.0), (1, 14.0), (2, 9.0)] if FULL else [])]
"""How many servers, the leader first, are killed or paused for some seconds: less and more than an election takes."""
ELECTION = 40.0  # seconds for one on a machine that does much else; 4 to 7 by itself


@pytest.fixture
def servers(tmp_path):
    with jetstream(tmp_path, 3) as servers:
        yield servers


@pytest.fixture
def nodes(servers):
    url = ",".join(server.url for server in servers)
    made = [MqttNode(f"{url}:replicas=3", name) for name in "ab"]
    yield made
    for node in made:
        node.stop()


class Writer:
    """Publishes numbers at QoS 1 and 2, some in each step, without waiting for its acknowledgements."""

    def __init__(self, client, name, qos):
        self.acknowledged = set()
        self.client = client
        self.topic = name
        self._published = 0
        self._qos = qos

    @property
    def waiting(self):
        return self._published - len(self.acknowledged)

    def publish(self, count):
        for _ in range(count):
            self._published += 1
            id = (self._published - 1) % 60_000 + 1
            self._answers(self.client.publish(self.topic, b"%d" % self._published, qos=self._qos, id=id))

    def look(self):
        self._answers(self.client.output())

    def _answers(self, answers):
        for one in answers:
            assert one.code == 0, one
            if one.kind == PUBREC:
                self._answers(self.client.ack(PUBREL, one.id))
            else:
                self.acknowledged.add(one.id)


class Ear:
    """Notes what it gets."""

    def __init__(self, client):
        self.client = client
        self.got = []

    def look(self):
        self.got += [(topic, int(payload)) for topic, payload, _ in messages(self.client.output())]


@pytest.mark.parametrize(("count", "pause"), FAULTS)
async def test_what_is_acknowledged_is_there_once(nodes, servers, count, pause):
    from twisted.internet import reactor

    a, b = [await node.joined() for node in nodes]
    wanted = [(a, "a1", 1), (a, "a2", 2), (b, "b1", 1)]
    writers = [Writer(await node.client(name, **kept(V5)), name, qos) for node, name, qos in wanted]
    ears = [Ear(await node.client(f"ear {node.name}", **kept(V5))) for node in (a, b)]
    for ear in ears:
        ear.client.subscribe(*[subscription(writer.topic, 0) for writer in writers])
        await output(ear.client, 1)

    def step():
        for writer in writers:
            if writer.waiting < 90:  # of the 100 that a hub takes at once
                writer.publish(5)
            writer.look()
        for ear in ears:
            ear.look()

    flow = LoopingCall(step)
    flowing = flow.start(0.02)
    await passed(lambda: all(len(writer.acknowledged) > 100 for writer in writers) or not flow.running)
    info = await a.stream._jetstream.stream_info(a.stream.names.messages)
    hit = sorted(servers, key=lambda server: server.name != info.cluster.leader)[:count]
    for server in hit:
        server.signal(signal.SIGKILL if pause is None else signal.SIGSTOP)
    began = time.monotonic()
    if pause is not None:
        await deferLater(reactor, pause)
        for server in hit:
            server.signal(signal.SIGCONT)
    await passed(lambda: time.monotonic() > began + 1)
    before = [len(writer.acknowledged) for writer in writers]
    await passed(lambda: all(len(one.acknowledged) > n + 200 for one, n in zip(writers, before, strict=True)), ELECTION)
    flow.stop()
    await flowing
    everything = sum(writer._published for writer in writers)

    def done():
        for one in (*writers, *ears):
            one.look()
        return all(len(ear.got) >= everything for ear in ears) and not any(writer.waiting for writer in writers)

    await passed(done, ELECTION)
    first, second = [ear.got for ear in ears]
    assert first == second
    for writer in writers:
        assert [n for topic, n in first if topic == writer.topic] == list(range(1, writer._published + 1))
