"""A nats-server with JetStream, and connections to it."""

from __future__ import annotations

import secrets

import pytest
import pytest_twisted

from cluster.mqtt_nodes import MqttNode
from cluster.nodes import Nodes
from cluster.reading import Reading
from cluster.servers import jetstream
from cluster.streams import Api
from hubbub import limits
from hubbub.service.cluster.ordered_consumer import OrderedConsumer
from interop.nats.server import nats_server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with jetstream(tmp_path_factory.mktemp("jetstream")) as servers:
        yield servers[0]


@pytest_twisted.async_fixture
async def connection(nodes, server):
    """A connection to it."""
    return await nodes.joined(server.url)


@pytest.fixture
def reactor():
    from twisted.internet import reactor

    return reactor


@pytest.fixture
def api(connection):
    return Api(connection)


@pytest.fixture
def reading():
    return Reading()


@pytest.fixture
def started(monkeypatch):
    """Start what reads or publishes; it stops with the test."""
    monkeypatch.setattr(limits, "CLUSTER_HEARTBEAT_SECONDS", 0.3)
    monkeypatch.setattr(limits, "CLUSTER_SILENCE_SECONDS", 0.2)
    made = []

    def start(one):
        made.append(one)
        if isinstance(one, OrderedConsumer):
            one.start()
        return one

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def name():
    """Of a stream that no other test has."""
    return f"s{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def nats_port():
    """The port of a nats-server without JetStream."""
    with nats_server() as port:
        yield port


@pytest.fixture
def nodes():
    """Make nodes, which end with the test."""
    made = Nodes()
    yield made
    made.stop()


@pytest.fixture
def make(server):
    """Make nodes of one cluster, which no other test has."""
    cluster, made = f"c{secrets.token_hex(4)}", []

    def node(name, url=server.url, *rules, **more):
        made.append(MqttNode(f"{url}:cluster={cluster}", name, *rules, **more))
        return made[-1]

    yield node
    for one in made:
        one.stop()


@pytest.fixture
def two(make):
    return [make("a"), make("b")]


@pytest.fixture
def three(make, monkeypatch):
    """Nodes that soon take a silent one for gone."""
    monkeypatch.setattr(limits, "CLUSTER_BEAT_SECONDS", 0.05)
    monkeypatch.setattr(limits, "CLUSTER_LEASE_SECONDS", 0.5)
    return [make(name) for name in "abc"]
