"""Live messages: what clients here publish goes to NATS once, and what comes from there goes to the clients here.

Router -> LiveMessages, the receiver of all messages -> one PUB for each     out
NATS -> take -> Router, with `session` as the sender                          in
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Subscribe
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.cluster_router import ClusterRouter
from hubbub.kernel.routing.reserved import is_local
from hubbub.kernel.routing.subscription import Encoding, Subscription
from hubbub.kernel.sessions.session import Session
from hubbub.loop_prevention import path_of
from hubbub.message import Message
from hubbub.nats_protocol.plain import KnownNode, PlainReader, PlainWriter, encode_all
from hubbub.nats_protocol.subjects import subject_of
from hubbub.nats_protocol.topics import Topics
from hubbub.publish import Publish
from hubbub.service.cluster.connection import MAX_LINE, NatsConnection
from hubbub.service.cluster.message_codec import STORED, Origin, decode, encode_headers_of

NO_RESPONDERS = b"NATS/1.0 503"  # how the headers begin with which a server says that there is no subscriber
_HEADERS = 160  # bytes of the headers of a message that a PlainWriter encodes, and some more


class LiveMessages:
    """The messages of this hub and of others (routing.subscription.Receiver).

    node      the id of this hub, on each message that it sends
    session   the sender of what comes from other nodes
    dropped   messages for other nodes that found no room; unfit: those that NATS doesn't take
    sent      messages to others
    plain     attribute: reads and counts messages of others
    is_member  attribute: tells whether an id is that of another node
    """

    log = Logger(namespace="hubbub.cluster")

    def __init__(self, hub: Hub, connection: NatsConnection, node: str) -> None:
        self.dropped = 0
        self.is_member: Callable[[str], bool] = bool
        self.node = node
        self.sent = 0
        self.session = Session("", 0, "cluster", connection.config.name)
        self.unfit = 0
        self._connection = connection
        self._hub = hub
        self._taken: dict[Message, tuple[str, ...]] = {}
        self._nodes: dict[str, KnownNode] = {}
        self._topics = Topics()
        self._writer = PlainWriter(node, self._encode, self._taken, STORED)
        encoding = Encoding(encode_all, self._writer)
        self.subscription = Subscription(self.session, Subscribe("#", echo=False), encoding, self)
        router = hub.router
        self._publish = router.publish_live if isinstance(router, ClusterRouter) else router.publish
        publish_run = router.publish_run if isinstance(router, ClusterRouter) else self._publish_each
        self.plain = connection.plain = PlainReader(publish_run, self.session)

    # Out

    def begin(self) -> Subscription:
        """Return the subscription to all messages, now that a server has said how long they may be."""
        self._writer.most = self._connection.max_payload - _HEADERS
        return self.subscription

    def _encode(self, message: Message) -> bytes | None:
        """Return a message that isn't plain as an operation of NATS. None: NATS doesn't take it."""
        if message.reply_to is not None and is_local(message.reply_to):
            return None  # who answers, JetStream too, would give the node's servers a command
        stored = message.path == self.node  # it comes back from the stream: this is for NATS applications and groups
        hops = [] if stored else path_of(message)
        if len(hops) >= limits.HOPS or any(hop == self.node or self.is_member(hop) for hop in hops):
            return None  # the cluster has it
        path = " ".join([*hops, self.node])
        taken, turn = self._taken.pop(message, ()) if self._taken else (), self._hub.turn
        block = encode_headers_of(message, path, self._writer.next_number(), turn.time, taken, stored)
        to = subject_of(message.topic)
        if message.reply_to is not None:
            to = f"{to} {subject_of(message.reply_to)}"
        line = b"HPUB %b %d %d\r\n" % (to.encode(), len(block), len(block) + len(message.payload))
        if len(line) > MAX_LINE or len(block) + len(message.payload) > self._connection.max_payload:
            return None
        return b"%b%b%b\r\n" % (line, block, message.payload)

    def put(self, batch: Batch) -> None:
        """Send messages, unless too much waits."""
        self._taken.clear()
        if self._connection.has_room:
            self._connection.write(batch.data)
            self.sent += batch.count
        else:
            self.dropped += batch.count

    def miss(self, count: int) -> None:
        """Count messages that NATS doesn't take."""
        self.unfit += count

    def taken(self, name: str, message: Message) -> None:
        """A member of a group here gets a message: none elsewhere is to have it."""
        if message.sender is not self.session:
            self._taken[message] = (*self._taken.get(message, ()), name)

    # In

    def take(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
        """Publish a message here, unless it has been already, or comes by the stream (service.cluster.wire.Take)."""
        if block.startswith(NO_RESPONDERS):
            return  # the server's word to the publisher of a message with a response topic
        try:
            message, origin = self._decode(subject, reply, block, payload)
            if origin is None or (self._is_new(origin) and not origin.stored):
                self.plain.count += 1
                self._publish(message)
        except Refusal:
            self.plain.refused += 1

    def _publish_each(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._publish(message)

    def decoded(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> tuple[Publish, Sequence[str]]:
        """Return a message of others, and the groups a member of which has it. Raises Refusal."""
        message, origin = self._decode(subject, reply, block, payload)
        return message, () if origin is None else origin.taken

    def _decode(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> tuple[Publish, Origin | None]:
        topics = self._topics
        message, origin = decode(topics[subject], topics[reply] if reply else None, block, payload)
        message.sender = self.session
        if is_local(message.topic):
            raise Refusal("not-authorized", "that topic stays in its hub")
        if origin is not None and self.node in origin.path.split():
            raise Refusal("not-authorized", "it has been here")
        return message, origin

    def _is_new(self, origin: Origin) -> bool:
        """Return whether a message of a node has a higher number than those before."""
        node = self._nodes.get(origin.node) or self._meet(origin.node)
        if origin.number <= node.last:
            return False
        node.last = origin.number
        return True

    def _meet(self, id: str) -> KnownNode:
        if len(self._nodes) >= limits.CLUSTER_NODES:
            self.plain.forget(self._nodes.pop(next(iter(self._nodes))))  # it began the longest ago
        node = self._nodes[id] = KnownNode(id)
        self.plain.know(node)
        return node
