"""A nats-server with JetStream, and connections to it."""

from __future__ import annotations

import secrets

import pytest

from cluster.connection import Nats
from cluster.servers import jetstream


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
