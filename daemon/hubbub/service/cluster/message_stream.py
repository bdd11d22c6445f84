"""The cluster's stream: what is acknowledged, in one order for all nodes (kernel.routing.cluster_router.Stream).

    publish -> Publisher -> JetStream -> OrderedConsumer -> StreamReader -> ClusterRouter.publish_here    at each node
                         -> PubAck -> Commits -> the acknowledgement to the publisher

JetStream copies what is retained into a second stream, which has the last message of each topic: see stream_join.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.commits import Commits
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.session import Session
from hubbub.kernel.steps import spread
from hubbub.message import Message
from hubbub.nats_protocol.subjects import subject_of, subjects_of
from hubbub.service.cluster.connection import MAX_LINE, NatsConnection
from hubbub.service.cluster.jetstream import API, JetStream, StreamInfo
from hubbub.service.cluster.jetstream_errors import JetStreamError, Unavailable
from hubbub.service.cluster.message_owners import MessageOwners
from hubbub.service.cluster.ordered_consumer import OrderedConsumer
from hubbub.service.cluster.publisher import Publisher
from hubbub.service.cluster.pull_consumer import PullConsumer, Take
from hubbub.service.cluster.stream_codec import encode_block
from hubbub.service.cluster.stream_history import StreamHistory
from hubbub.service.cluster.stream_join import StreamNames, has_batches, make_streams, read_retained
from hubbub.service.cluster.stream_reader import StreamReader

_NUMBERS = 160  # bytes of a line beside its subject: the reply subject and the sizes
_SILENT = "the cluster doesn't answer; try again"
_PUBLISHING = "publishing"
_REFUSED = "publishers at QoS 1 and 2, and of retained messages,"
_UNJOINED = Unavailable("this node isn't connected to NATS")
_WAITS = "more waits for the cluster than the hub holds; try again"


class _Subjects(dict[str, bytes]):
    """Subjects in the stream, by topic. Bounded. Raises Refusal (too-long)."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __missing__(self, topic: str) -> bytes:
        subject = f"{self._prefix}{subject_of(topic)}".encode()
        if len(subject) + _NUMBERS > MAX_LINE:
            raise Refusal("too-long", f"a topic that goes through the cluster has at most {MAX_LINE - _NUMBERS} bytes")
        if len(topic) <= limits.MATCH_CACHE_TOPIC:
            if len(self) >= limits.MATCH_CACHE:
                self.clear()
            self[topic] = subject
        return subject


class MessageStream:
    """The stream, as this node publishes into it and reads it.

    node      the id of this hub; session: the sender of what comes from other nodes
    commits   see kernel.routing.cluster_router.Stream
    consumer  reads the stream; None: this node hasn't joined it yet
    owners    which sessions have messages of groups
    sent      attribute: returns what a message says of the session that has sent it
    troubles  why a part of the work can't go on, by its name
    """

    log = Logger(namespace="hubbub.cluster")

    def __init__(self, reactor: Any, hub: Hub, connection: NatsConnection, node: str, session: Session) -> None:
        self.commits = Commits()
        self.consumer: OrderedConsumer | None = None
        self.names = StreamNames.of(connection.config.cluster)
        self.owners = MessageOwners(JetStream(connection), self.names)
        self.publisher = Publisher(connection, reactor, self)
        self.reader = StreamReader(hub, self.names, session, node, self.tell)
        self.sent: Callable[[Message], bytes] = lambda message: b""
        self.troubles: dict[str, str] = {}
        self._connection = connection
        self._hub = hub
        self._jetstream = JetStream(connection)
        self._message, self._retain = _Subjects(self.names.message), _Subjects(self.names.retain)
        self._joining: Deferred[None] | None = None
        self._patience: Any = None
        self._most = limits.MESSAGE_BYTES  # bytes of a message with its headers that NATS takes
        self._prefix = b"%b-%b-" % (node.encode(), secrets.token_hex(4).encode())  # of ids: this run's alone
        self._reactor = reactor
        self._short_since: float | None = None  # seconds of its clock
        self.reader.found, self.reader.prefix = self.publisher.found, self._prefix
        self.reader.wiped_by = self._wiped
        connection.watchers.append(self)
        hub.join(self)

    def start(self) -> None:
        """Join the stream, as soon as JetStream is there; later calls do nothing."""
        if self._joining is not None:
            return
        self._joining = Deferred.fromCoroutine(self._join())
        self._joining.addErrback(self._failed)

    def stop(self) -> None:
        """Read and publish no more."""
        self._connection.watchers.remove(self)
        if self._joining is not None:
            self._joining.cancel()
        if self.consumer is not None:
            self.consumer.stop()
        if self.reader.history is not None:
            self.reader.history.end()
        self.publisher.stop()
        self._cancel_patience()

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("cluster: joining the stream failed", failure)

    async def _join(self) -> None:
        pause = limits.CLUSTER_RETRY_FIRST_SECONDS
        while True:
            try:
                server = self._connection.info
                batched = server is not None and has_batches(server.version)
                info = await make_streams(self._jetstream, self.names, self._connection.config, batched)
                self._check_end(info)
                last = info.state.last_seq
                await read_retained(self._jetstream, self._reactor, self.names, last, self.reader)
                break
            except JetStreamError as error:
                self.tell("joining", error)
            await deferLater(self._reactor, pause)
            pause = min(2 * pause, limits.CLUSTER_RETRY_SECONDS)
        self.tell("joining", None)
        self._begin_history(info)
        spread(self._hub.turn, "cluster", self.reader.settle_retained(last == 0))
        subjects = [f"{self.names.message}>", f"{self.names.retain}>", f"{self.names.owner}>"]
        position = self._find_position(info)
        self.reader.numbers.begin(info.epoch, position)
        self.consumer = OrderedConsumer(
            self._jetstream, self._reactor, self.names.messages, subjects, self.reader, position, info.epoch
        )
        self._hub.clients.store.stream_position = self._position
        self.publisher.batches = batched
        self.consumer.start()

    def _check_end(self, info: StreamInfo) -> None:
        """Raise Unavailable where a server lacks messages that an earlier process of this node has read.

        It may have been the leader before, for less than CLUSTER_PATIENCE_SECONDS.
        """
        epoch, seq = self._hub.clients.store.load_stream() or ("", 0)
        if epoch == info.epoch and info.state.last_seq < seq:
            now = self._reactor.seconds()
            self._short_since = now if self._short_since is None else self._short_since
            if now - self._short_since < limits.CLUSTER_PATIENCE_SECONDS:
                raise Unavailable("the server that answers lacks messages that were read")

    def _find_position(self, info: StreamInfo) -> int:
        """Return behind which sequence to begin: where an earlier process of this node ended, or now."""
        epoch, seq = self._hub.clients.store.load_stream() or ("", 0)
        last, first = info.state.last_seq, info.state.first_seq
        if not epoch:
            return last
        if epoch != info.epoch or seq > last or seq + 1 < first:
            says = "cluster: sessions here have missed messages: the stream doesn't have them any more"
            self.log.warn(says)  # noqa: G010
        if epoch != info.epoch or seq > last:
            return last
        self.reader.catch_up(last, self._hub.clients.restored)
        return max(seq, first - 1)

    def _position(self) -> tuple[str, int] | None:
        return None if self.consumer is None else (self.consumer.epoch, self.consumer.position)

    def pull(self, name: str, filter: str, last: Callable[[], int], take: Take) -> PullConsumer:
        """Return what fetches the messages of a group, from what this node hasn't read now on.

        last  returns the sequence of the newest one that was fetched
        """
        began: list[tuple[str, int]] = [position] if (position := self._position()) is not None else []

        def begin() -> int | None:
            position = self._position()
            if position is None:
                return None
            if not began:
                began.append(position)
            epoch, seq = began[0]
            return max(seq, last()) + 1 if epoch == position[0] else 1

        subjects = [prefix + one for one in subjects_of(filter) for prefix in (self.names.message, self.names.retain)]
        tell = partial(self.tell, "reading for groups")
        stream = self.names.messages
        return PullConsumer(self._jetstream, self._reactor, stream, name, subjects, begin, take, tell)

    def forget(self, name: str) -> None:
        """Delete the consumer of a group; where that fails, the server deletes it once it was idle for long."""
        self._connection.publish(f"{API}.CONSUMER.DELETE.{self.names.messages}.{name}", b"")

    def _wiped(self, info: StreamInfo) -> None:
        says = "cluster: the stream was made anew, or has lost its newest messages: it has {last} now"
        self.log.warn(says, last=info.state.last_seq)  # noqa: G010
        self._begin_history(info)

    def _begin_history(self, info: StreamInfo) -> None:
        """Let the stream be the history: positions are its sequences."""
        if self.reader.history is not None:
            self.reader.history.end()
        stream = self.names.messages
        history = StreamHistory(self._jetstream, self._reactor, self._hub.turn.wall, stream, info, self.reader.decode)
        self.reader.history = history
        self._hub.move_history(history)

    def tell(self, part: str, error: JetStreamError | None) -> None:
        """Log that a part of the work can't go on, once, and that it goes on again."""
        if error is None:
            if self.troubles.pop(part, None) is not None:
                self.log.info("cluster: {part} works again", part=part)
        elif part not in self.troubles:
            self.troubles[part] = str(error)
            if self._connection.joined or part == _PUBLISHING:  # what else waits for NATS the connection says itself
                self.log.warn("cluster: {part} has to wait: {error}", part=part, error=str(error))  # noqa: G010

    # The connection (wire.ConnectionWatcher)

    def joined(self) -> None:
        """The consumer and the publisher watch it themselves."""
        self._most = self._connection.max_payload
        if self.publisher.failing_since is None:
            self._be_patient(None)

    def left(self) -> None:
        """What is stored from now on isn't seen."""
        self.reader.has_read_all = False
        self.wait_for_nats()

    def wait_for_nats(self) -> None:
        """Refuse publishers if NATS isn't there soon, also those that publish only then."""
        self._be_patient(_UNJOINED)

    # Out

    def publish(self, message: Message, once: bytes = b"") -> None:
        number = self.publisher.last + 1
        block = encode_block(message, b"%b%d" % (self._prefix, number), once, self.sent(message))
        subject = (self._retain if message.retain else self._message)[message.topic]
        if len(block) + len(message.payload) > self._most:
            most = self._most
            raise Refusal("too-long", f"a message that goes through the cluster has at most {most} bytes, as NATS has")
        if len(self.reader.own) < limits.CLUSTER_OWN:
            self.reader.own[number] = message
        self.commits.open = self.publisher.publish(subject, message.payload, block, once != b"")
        if self.publisher.waiting_bytes > limits.CLUSTER_WAITING_BYTES:
            self.commits.refuses = _WAITS

    # What the publisher tells (publisher.Owner)

    def has_read_all(self) -> bool:
        return self.reader.has_read_all

    def stored(self, number: int, again: bool = False) -> None:
        if again and self.reader.has_read_all:  # another node has published it, under the same idempotency key
            self.reader.own.pop(number, None)
        if self.commits.refuses is _WAITS and self.publisher.waiting_bytes < limits.CLUSTER_WAITING_BYTES:
            self.commits.refuses = ""
        self.commits.done(self.publisher.safe)

    def refused(self, number: int, error: JetStreamError) -> None:
        """Cut the link of the publisher: it must not take the message for stored."""
        message = self.reader.own.pop(number, None)
        self.log.warn("cluster: a message isn't stored: {error}", error=str(error))  # noqa: G010
        if message is not None and message.sender is not None and message.sender.link is not None:
            message.sender.link.abort()
        self.commits.done(self.publisher.safe)

    def failing(self, error: JetStreamError | None) -> None:
        self.tell(_PUBLISHING, error if error is None or self._connection.joined else _UNJOINED)
        self._be_patient(error)

    def _be_patient(self, error: JetStreamError | None) -> None:
        """Refuse publishers once nothing could be stored for a while; None: it can be again."""
        if error is None:
            self._cancel_patience()
            if self.commits.refuses is _SILENT:
                self.log.info("cluster: {whose} are accepted again", whose=_REFUSED)
            self.commits.refuses = ""
        elif self._patience is None:
            self._patience = self._reactor.callLater(limits.CLUSTER_PATIENCE_SECONDS, self._refuse)

    def _cancel_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _refuse(self) -> None:
        """Refuse what comes, and cut the links that wait: whether what they published is stored isn't known."""
        if self.commits.refuses is not _SILENT:
            says = "cluster: nothing could be stored for {seconds:g} s: {whose} are refused"
            self.log.warn(says, seconds=limits.CLUSTER_PATIENCE_SECONDS, whose=_REFUSED)  # noqa: G010
        self.commits.refuses = _SILENT
        spread(self._hub.turn, "cluster", self._cut(self.commits.take_waiting()))
        self._patience = self._reactor.callLater(limits.CLUSTER_PATIENCE_SECONDS, self._refuse)

    def _cut(self, waiting: Iterable[Any]) -> Iterator[None]:
        for outbox in waiting:
            outbox.owner.cut("unstored")
            yield

    # What it tells

    def status(self) -> dict[str, Any]:
        """Describe it, all in counts but `waiting_bytes`.

        behind   messages of the stream that this node hasn't read; waiting: its own without an acknowledgement
        resent   of these; restarts: how often reading had to begin anew; unfit: see StreamReader
        """
        consumer, publisher = self.consumer, self.publisher
        return {
            "position": None if consumer is None else consumer.position,
            "behind": None if consumer is None else consumer.pending,
            "waiting": publisher.waiting,
            "waiting_bytes": publisher.waiting_bytes,
            "resent": publisher.resent,
            "restarts": 0 if consumer is None else consumer.restarts,
            "received": self.reader.received_count,
            "unfit": self.reader.unfit,
        }
