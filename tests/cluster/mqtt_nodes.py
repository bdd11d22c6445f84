"""Nodes of a cluster in this process, with clients of MQTT in memory."""

from __future__ import annotations

import secrets
from itertools import count

from cluster.nodes import make_hub, passed
from hubbub.dialects.lines import Lines
from hubbub.message import Message
from hubbub.service.cluster.cluster import Cluster
from hubbub.service.config.cluster import parse_cluster
from hubbub.storage.opening import open_store
from hubbub.testing.memory_listener import MemoryListener
from hubbub_plugins.mqtt import Mqtt
from mqtt_client import V5, Client


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


class MqttNode:
    """A node; `url` says where NATS is, with keys of --cluster."""

    def __init__(self, url, name, *history, state=None, retained=()):
        from twisted.internet import reactor

        self.name = name
        self.stopped = False
        self.world = OnReactor()
        self.hub = self.world.hub
        self.store = None
        if state is not None:
            self.store = open_store(state, "fsync", reactor.callFromThread)
            self.hub.load(self.store)
            self.store.start()
        for topic, payload in retained:  # from before it was in a cluster
            self.hub.retained.keep(Message(topic, payload, retain=True))
        self.hub.keep_history(history)
        self.listener = MemoryListener(self.world, "tcp", Mqtt)
        config = parse_cluster(f"{url}:name={name}", "--cluster")
        self.cluster = Cluster(reactor, self.hub, config, f"{name}{secrets.token_hex(4)}")
        self.stream = self.cluster.stream
        self.cluster.start()

    async def client(self, client="", version=V5, **more):
        """A client that is connected; `first`: what came with the answer."""
        made = Client(self.listener, version)
        made.connack, *made.first = await answered(made, made.connect(client, **more))
        assert made.connack.code == 0, made.connack
        return made

    def lines(self, host="127.0.0.1"):
        """A client of lines."""
        return LinesClient(MemoryListener(self.world, "tcp", Lines).connect(host))

    async def joined(self):
        await passed(lambda: self.stream.consumer is not None and self.stream.consumer.reading)
        return self

    def die(self):
        """End without a word: what others see of a process that is killed."""
        self.stopped = True
        self.cluster.connection.stop()

    def stop(self):
        """Stop, once."""
        if not self.stopped:
            self.stopped = True
            self.cluster.stop()
            if self.store is not None:
                self.store.stop()


class LinesClient:
    """A client of lines in memory."""

    def __init__(self, end):
        self._end = end
        self._text = b""

    def send(self, *commands):
        self._end.send("".join(f"{one}\n" for one in commands).encode())
        self._end.world.turn()

    def vanish(self):
        self._end.vanish()
        self._end.world.turn()

    async def until(self, last):
        """Return the lines that come, with the first that begins with `last`."""
        found = []

        def look():
            while b"\n" not in self._text:
                more = self._end.received()
                if not more:
                    return False
                self._text += more
            line, _, self._text = self._text.partition(b"\n")
            found.append(line.decode())
            return found[-1].startswith(last) or look()

        await passed(look)
        return found


async def answered(client, found):
    """Return what has come with the answer to a Connect, which may come later."""
    got = list(found) if isinstance(found, list) else [found]

    def look():
        got.extend(client.output())
        return got

    await passed(look)
    return got


async def output(client, count, first=()):
    """Return the next packets that come to a client; the `first` have been read already."""
    found = list(first)

    def look():
        found.extend(client.output())
        return len(found) >= count

    await passed(look)
    assert len(found) == count, found
    return found


async def together(nodes):
    """Wait until these know each other."""
    for node in nodes:
        await node.joined()
    await passed(lambda: all(len(node.cluster.nodes.all) == len(nodes) - 1 for node in nodes))
    return nodes


async def subscribe(client, *wishes):
    [answer] = await output(client, 1, client.subscribe(*wishes))
    return answer
