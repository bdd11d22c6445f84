"""A nats-server with JetStream, and connections to it."""

from __future__ import annotations

import secrets

import pytest

from cluster.connection import Nats
from cluster.nodes import Nodes
from cluster.servers import jetstream
from interop.nats.server import nats_server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with jetstream(tmp_path_factory.mktemp("jetstream")) as servers:
        yield servers[0]


@pytest.fixture
def connect():
    """Make connections, which end with the test."""
    from twisted.internet import reactor

    made = []

    def make(*servers):
        made.append(Nats(reactor, *[server.port for server in servers]))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


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
