"""Presence over all nodes: a client is online as long as it is at one of them.

What a node says of a client is a retained message of the stream, with the node in a header. When a node has gone, the
first of those that are left says that the clients which it had are offline; a node that has such a client contradicts.
"""

from __future__ import annotations

from collections.abc import Iterator

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.presence import PresenceMessage
from hubbub.kernel.steps import spread
from hubbub.service.cluster.nodes import Nodes


class ClusterPresence:
    """The topics of clients that are online, and which node has said so last."""

    def __init__(self, hub: Hub, nodes: Nodes) -> None:
        self._hub = hub
        self._nodes = nodes
        self._online: dict[str, str] = {}
        self._sweeping = False

    def record(self, topic: str, node: str, online: bool) -> None:
        """A node, this one or another, says whether a client is online."""
        if online:
            if len(self._online) < limits.CLUSTER_PRESENCES or topic in self._online:
                self._online[topic] = node
            return
        self._online.pop(topic, None)
        if node != self._nodes.own:
            self._hub.presences.contradict(topic)

    def sweep(self) -> None:
        """Say that clients of nodes that have gone are offline, if this node is the first that is left."""
        if self._nodes.own == min([self._nodes.own, *self._nodes.all]) and not self._sweeping:
            self._sweeping = True
            spread(self._hub.turn, "cluster", self._say_offline())

    def _say_offline(self) -> Iterator[None]:
        for count, topic in enumerate(list(self._online), 1):
            if topic in self._online and not self._nodes.is_there(self._online[topic]):
                del self._online[topic]
                if not self._hub.presences.contradict(topic):
                    self._publish(topic)
                yield
            elif count % limits.CLUSTER_PRESENCES_AT_ONCE == 0:
                yield
        self._sweeping = False

    def _publish(self, topic: str) -> None:
        try:
            self._hub.router.publish(PresenceMessage(topic, b"0", retain=True))
        except Refusal:
            self._hub.turn.counters.refused += 1
