"""This daemon as a node of a cluster: its connection, its messages, its groups, and the other nodes."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.cluster_router import ClusterRouter
from hubbub.kernel.sessions.session import REPLIES
from hubbub.nats_protocol.subjects import subject_of, topic_of
from hubbub.service.cluster.connection import NatsConnection
from hubbub.service.cluster.groups import ClusterGroups
from hubbub.service.cluster.interest import Interest
from hubbub.service.cluster.live import NO_RESPONDERS, LiveMessages
from hubbub.service.cluster.message_stream import MessageStream
from hubbub.service.cluster.nodes import Nodes
from hubbub.service.cluster.overview import Overview
from hubbub.service.cluster.presence import ClusterPresence
from hubbub.service.cluster.session_moves import SessionMoves
from hubbub.service.config.cluster import ClusterConfig


class Cluster:
    """A node. Made before there are subscriptions; raises ConfigError for certificates that can't be read.

    member  whether this node takes part: NATS is there, and the name is its own
    stream  what is stored; None: the hub isn't `clustered`; sessions: those of its clients, likewise
    """

    def __init__(self, reactor: Any, hub: Hub, config: ClusterConfig, node: str) -> None:
        self.config = config
        self.connection = connection = NatsConnection(reactor, hub.turn, config)
        self.live = live = LiveMessages(hub, connection, node)
        self.interest = Interest(hub.turn, connection, node, live.take)
        self.groups = ClusterGroups(reactor, hub, connection, live)
        self.nodes = Nodes(reactor, connection, node, hub.turn.wall())
        self.nodes.clients = lambda: len(hub.subscriptions.sessions)
        self.overview = Overview(connection, self.nodes)
        live.is_member = self.nodes.all.__contains__
        self.member = False
        clustered = isinstance(hub.router, ClusterRouter)
        self.stream = MessageStream(reactor, hub, connection, node, live.session) if clustered else None
        self.sessions: SessionMoves | None = None
        self.groups.stream = self.stream
        if self.stream is not None:
            presence = ClusterPresence(hub, self.nodes)
            self.stream.reader.presence = presence.record
            self.sessions = SessionMoves(reactor, hub, connection, self.nodes, self.stream)
            self.nodes.sweepers += [presence.sweep, self.sessions.sweep.sweep, self.groups.sweep]
        self._hub = hub
        self.nodes.admitted, self.nodes.refused, self.nodes.groups = self._enter, self._leave, lambda: self.groups.names
        self.groups.changed, self.groups.others = self.nodes.changed, self.nodes.have_members
        hub.router.observer = self.interest
        hub.shared.elsewhere = self.groups
        hub.requests.replies = f"{REPLIES}{node}/"
        connection.listen(f"{subject_of(hub.requests.replies[:-1])}.>", self._take_reply)
        connection.watchers += [self.nodes, self]

    def start(self) -> None:
        """Join, as soon as NATS is there."""
        self.connection.start()
        if self.stream is not None:
            self.stream.wait_for_nats()

    def stop(self) -> Deferred[None]:
        """Leave, once what waits is sent; the Deferred fires when the connection has ended."""
        self._leave()
        self.groups.stop()
        if self.sessions is not None:
            self.sessions.stop()
        if self.stream is not None:
            self.stream.stop()
        self.nodes.leave()
        return self.connection.stop()

    def joined(self) -> None:
        """NATS is there; `nodes` asks for the name (connection.ConnectionWatcher)."""

    def left(self) -> None:
        """NATS has gone."""
        self.interest.left()
        self._leave()

    def _enter(self) -> None:
        self.member = True
        self._hub.router.tap(self.live.begin())
        if self.stream is not None:
            self.stream.start()
        if self.sessions is not None:
            self.sessions.start()

    def _leave(self) -> None:
        if self.member:
            self.member = False
            self._hub.router.tap(None)

    def _take_reply(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
        """A reply to a request of a client here, or the server's word that no other node has a subscriber."""
        if block.startswith(NO_RESPONDERS):
            refusal = Refusal("no-responders", "no client is subscribed to that topic")
            self._hub.requests.receiver_failed(topic_of(subject.decode()), refusal)
        else:
            self.live.take(subject, reply, block, payload)

    # What it tells

    @property
    def degraded(self) -> list[str]:
        """What doesn't work now, in words; empty: all does."""
        connection, found = self.connection, []
        if not connection.joined:
            found.append(f"NATS: {connection.state}")
        if self.nodes.rival is not None:
            found.append(f"another node is called {self.config.name}")
        if connection.refusal:
            found.append(f"NATS refuses: {connection.refusal}")
        if connection.waiting > limits.CLUSTER_BUFFER:
            found.append("NATS takes messages more slowly than they come")
        others = self.nodes.all.values()
        found += [f"{one.differs} differs from that of {one.beat.name}" for one in others if one.differs]
        if self.interest.unheard:
            found.append(f"{len(self.interest.unheard)} filters are too long for NATS")
        if self.stream is not None:
            found += [f"{part}: {why}" for part, why in self.stream.troubles.items()]
        return found

    def status(self) -> dict[str, Any]:
        """Describe it: `lag` in seconds, sizes in bytes, all else counts."""
        connection, live, remote = self.connection, self.live, self.config.remote
        return {
            "cluster": self.config.cluster,
            "node": self.config.name,
            "state": "joined" if self.member else connection.state if not connection.joined else "refused",
            "server": str(connection.remote) if connection.joined else None,
            "servers": [str(remote.turn(at)) for at in range(remote.servers)],
            "lag": None if connection.lag is None else round(connection.lag, 6),
            "degraded": self.degraded,
            "nodes": sorted([self.config.name, *(one.beat.name for one in self.nodes.all.values())]),
            "members": self.nodes.members(self._hub.turn.wall()),
            "filters": len(self.interest),
            "waiting": connection.waiting,
            "sent": live.sent,
            "received": live.plain.count,
            "dropped": live.dropped + connection.dropped,
            "unfit": live.unfit,
            "refused": live.plain.refused,
            **({} if self.stream is None else {"stream": self.stream.status()}),
            **({} if self.sessions is None else {"sessions": self.sessions.status()}),
        }
