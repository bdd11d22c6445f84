"""The router of one node of a cluster.

What has to be kept goes into the cluster's stream, and is published as it comes back from there: in the same order at
each node, and not before it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from hubbub.kernel.commits import Commits
from hubbub.kernel.routing.reserved import is_local
from hubbub.kernel.routing.retained import Retained
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.routes import Route
from hubbub.kernel.sessions.session import REPLIES
from hubbub.kernel.turn import Turn
from hubbub.limits import BATCH_BYTES
from hubbub.message import Message
from hubbub.publish import Publish, QosPublish


class Stream(Protocol):
    """The stream of a cluster.

    commits  numbers its messages: `open` is that of the newest, all up to `safe` are stored
    """

    commits: Commits

    def publish(self, message: Message, once: bytes = b"") -> None:
        """Store a message, unless one with the same `once` is stored. Raises Refusal (too-long)."""


class ClusterRouter(Router):
    """Brings messages to the receivers of this node, some by way of the stream.

    stream  attribute: the stream of the cluster, or None
    """

    def __init__(self, turn: Turn, retained: Retained) -> None:
        super().__init__(turn, retained)
        self.stream: Stream | None = None

    def is_shared(self, message: Message, once: bool = False) -> bool:
        """Return whether a message goes into the stream: one of QoS 1 or 2, a retained one, one for the history.

        So does one with an idempotency key: by the stream a retry at another node is known.
        """
        topic = message.topic
        if self.stream is None or self._own or (topic[0] == "$" and (topic.startswith(REPLIES) or is_local(topic))):
            return False
        if once or message.retain or (isinstance(message, QosPublish) and message.qos > 0):
            return True
        return self._find_route(topic).keeper is not None

    def _find_route(self, topic: str) -> Route:
        route = self._topics.get(topic)
        return self._route(topic, route) if route is None or route.checked != self._version else route

    def is_wanted(self, topic: str, sender: object) -> bool:
        """Return whether any receiver here gets messages of that sender on a topic, or the history. Raises Refusal."""
        route = self._find_route(topic)
        return route.reaches(sender) > 0 or route.keeper is not None or self.watch is not None

    def publish(self, message: Message) -> int:
        """Publish a message, at once or by way of the stream. Returns how many sessions of this node it goes to.

        By way of the stream these are counted as one at least: others may be elsewhere. Raises Refusal, also
        `unavailable`: the stream takes nothing now, and the sender can be told.
        """
        route = self._topics.get(message.topic)
        if (
            type(message) is Publish
            and route is not None
            and route.keeper is None
            and not (message.retain or self.once)
        ):
            return Router.publish(self, message)  # most of them, so this is quick; a route keeps its keeper
        once = self.once
        if not self.is_shared(message, once != b""):
            return Router.publish(self, message)
        assert self.stream is not None
        turn, route, sender = self._turn, self._find_route(message.topic), message.sender
        if sender is not None and sender.link is not None:  # what the hub itself says waits
            self.stream.commits.check()
            if message.retain:
                self._retained.check_room(message)
        turn.schedule_flush()
        message.time = turn.time
        self.stream.publish(message, once)
        return max(1, route.sessions)

    def publish_here(self, message: Message) -> int:
        """Publish a message to the sessions of this node, as one that comes from the stream. Raises Refusal."""
        return Router.publish(self, message)

    def publish_live(self, message: Message) -> int:
        """Publish a message that others have published live, and that isn't for the stream. Raises Refusal."""
        if self._find_route(message.topic).keeper is None:
            return Router.publish(self, message)
        return self.publish_to(message, _is_any)  # without a position, as it isn't in the history

    def publish_run(self, messages: Sequence[Message]) -> None:
        """Publish messages of one sender on one topic as `publish_live`, none of which is retained. Raises Refusal."""
        self._turn.schedule_flush()
        time, topic, sender, at = self._turn.time, messages[0].topic, messages[0].sender, 0
        while at < len(messages):
            route = self._find_route(topic)
            if route.keeper is not None:
                self.publish_live(messages[at])
                at += 1
                continue
            if route is not self._open or (route.quiet and route.parts(sender, self._sender)):
                self.commit()
                self._open, self._sender = route, sender
            waiting, size = self._waiting, self._waiting_bytes
            for message in islice(messages, at, at + route.most - len(waiting)):
                message.time = time
                waiting.append(message)
                at += 1
                size += len(message.payload)
                if size > BATCH_BYTES:
                    break
            self._waiting_bytes = size
            if size > BATCH_BYTES or len(waiting) >= route.most:
                self.commit()
                self.searched = True


def _is_any(session: object) -> bool:
    return True
