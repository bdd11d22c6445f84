"""Nodes of a cluster in this process, with clients of MQTT in memory."""

from __future__ import annotations

import secrets
from itertools import count

from cluster.nodes import make_hub, passed
from hubbub.service.cluster.cluster import Cluster
from hubbub.service.config.cluster import parse_cluster
from hubbub.testing.memory_listener import MemoryListener
from hubbub_plugins.mqtt import Mqtt
from mqtt_client import MqttHub


class OnReactor:
    """What a listener in memory needs of a hub whose turns the reactor ends (testing.memory_listener.MemoryHub)."""

    def __init__(self):
        from twisted.internet import reactor

        self.clock = reactor
        self.hub = make_hub(clustered=True)
        self.ends = []
        self.listeners = []
        self._ports = count(50_000)

    def port(self):
        return next(self._ports)

    def turn(self):
        for end in self.ends:
            end.move()
        self.hub.turn.flush()


class MqttNode(MqttHub):
    """A node; `url` says where NATS is, with keys of --cluster."""

    def __init__(self, url, name):
        from twisted.internet import reactor

        self.world = OnReactor()
        self.hub = self.world.hub
        self.listener = MemoryListener(self.world, "tcp", Mqtt)
        config = parse_cluster(f"{url}:name={name}", "--cluster")
        self.cluster = Cluster(reactor, self.hub, config, f"{name}{secrets.token_hex(4)}")
        self.stream = self.cluster.stream
        self.cluster.start()

    async def joined(self):
        await passed(lambda: self.stream.consumer is not None and self.stream.consumer.reading)
        return self

    def stop(self):
        self.cluster.stop()


async def heard(client, count):
    """Return the next packets that come to a client."""
    found = []

    def look():
        found.extend(client.heard())
        return len(found) >= count

    await passed(look)
    assert len(found) == count, found
    return found
