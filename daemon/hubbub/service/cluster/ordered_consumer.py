"""Reads a stream in its order, without a gap and without acknowledgements, over any loss of connections and servers.

The server sends on a subject of its own for each consumer. It numbers what it sends, so that a gap shows; then, and
when its heart-beats stay away, the consumer is made anew behind the last message that was read. It lives in the memory
of one server (ADR-17 of nats-architecture-and-design).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from hubbub import limits
from hubbub.service.cluster.jetstream import NANOSECONDS, JetStream, StreamInfo
from hubbub.service.cluster.jetstream_errors import JetStreamError, Unavailable
from hubbub.service.cluster.wire import Listening, headers_of, new_inbox

STATUS = slice(9, 12)  # of a block: NATS/1.0 100
_CONTROL = b"100"  # the status of a heart-beat, and of a request for flow control
WORDS_OF_ACK = 9  # of the old form: $JS.ACK.stream.consumer.delivered.sequence.number.time.pending
_LAST_NUMBER = "Nats-Last-Consumer"
_STALLED = "Nats-Consumer-Stalled"
_SAME = 0.001  # seconds between two readings of one time


class StreamMessage(NamedTuple):
    """A message of a stream.

    headers  their block, which `nats_protocol.headers.read_headers` reads
    seq      its number in the stream
    """

    subject: bytes
    payload: bytes
    headers: bytes
    seq: int


def read_ack(subject: bytes) -> tuple[int, int, int, int]:
    """Return what the subject of an acknowledgement says: sequence, number at the consumer, nanoseconds, pending.

    Raises ValueError.
    """
    words = subject.split(b".")
    if len(words) > WORDS_OF_ACK:
        words = words[2:]  # the newer form has the domain and the account first
    seq, number, time, pending = words[5:9]
    return int(seq), int(number), int(time), int(pending)


class Reader(Protocol):
    """Reads a stream. It may raise nothing."""

    def received(self, message: StreamMessage) -> None:
        """Take the next message."""

    def caught_up(self) -> None:
        """Everything that is in the stream now has been read; called again after each interruption."""

    def wiped(self, info: StreamInfo) -> None:
        """The stream isn't the one that was read: it was made anew, or lost its last messages. What is new follows."""

    def failing(self, error: JetStreamError | None) -> None:
        """Nothing can be read for now; None: it can be read again."""


class _Create(msgspec.Struct):
    stream_name: str
    config: dict[str, Any]


class _ConsumerInfo(msgspec.Struct):
    num_pending: int = 0


class OrderedConsumer:
    """Reads the messages of a stream on some subjects.

    position  the number of the last message that was read
    epoch     which stream that was, see StreamInfo.epoch; "": any
    pending   messages that stood behind the last one when it was sent
    restarts  how often it had to be made anew
    """

    def __init__(
        self,
        jetstream: JetStream,
        reactor: Any,
        stream: str,
        subjects: Sequence[str],
        reader: Reader,
        position: int = 0,
        epoch: str = "",
    ) -> None:
        self.position = position
        self.epoch = epoch
        self.pending = 0
        self.restarts = 0
        self._jetstream = jetstream
        self._reactor = reactor
        self._stream = stream
        self._subjects = tuple(subjects)
        self._reader = reader
        self._name = ""
        self._number = 0  # of the last message that this consumer has sent
        self._behind = True  # not everything that was there has been read
        self._listening: Listening | None = None
        self._alive = 0.0  # seconds of the reactor's clock when the last sign of life came
        self._short: tuple[float, int] | None = None  # seconds of it since when the stream has lacked messages, its end
        self._time = 0  # nanoseconds since 1970 when the stream got the last message; 0: none has been read
        self._watch: Any = None
        self._making: Deferred[None] | None = None
        self._running = False

    @property
    def reading(self) -> bool:
        """Whether the server sends what comes."""
        return bool(self._name)

    def start(self) -> None:
        """Begin to read."""
        if not self._running:
            self._running = True
            self._jetstream.connection.watchers.append(self)
        self._making = Deferred.fromCoroutine(self._make())
        self._making.addErrback(lambda failure: failure.trap(CancelledError))

    def stop(self) -> None:
        """Read no more."""
        self._running = False
        self._jetstream.connection.watchers.remove(self)
        self._drop()
        if self._making is not None:
            self._making.cancel()

    def _drop(self) -> None:
        self._unsubscribe()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._name:  # the answer is ignored: the server forgets the consumer also by itself
            self._jetstream.connection.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._name}", b"")
            self._name = ""

    def _unsubscribe(self) -> None:
        if self._listening is not None:
            self._listening.end()
            self._listening = None

    def _lost(self) -> None:
        """A message is missing, or the consumer has gone. While it is being made its heart-beats will tell it again."""
        if self._name:
            self._restart()

    def _restart(self) -> None:
        self._drop()
        self.restarts += 1
        self.start()

    async def _make(self) -> None:
        """Have the server make a consumer, as often as it takes."""
        pause, failed = limits.CLUSTER_RETRY_FIRST_SECONDS, False
        while True:
            try:
                await self._try()
                break
            except JetStreamError as error:
                self._unsubscribe()
                failed = True
                self._reader.failing(error)
            await deferLater(self._reactor, pause)
            pause = min(2 * pause, limits.CLUSTER_RETRY_SECONDS)
        self._making = None
        if failed:
            self._reader.failing(None)
        if not self.pending:
            self._reached()

    async def _try(self) -> None:
        info = await self._jetstream.stream_info(self._stream)
        if self.epoch not in ("", info.epoch):
            self.position, self._short = 0, None
            self._reader.wiped(info)
        elif (left := await self._newest_left(info)) is not None:
            self.position = info.state.last_seq = left
            self._reader.wiped(info)
        self.epoch = info.epoch
        name, inbox = f"hubbub-{secrets.token_hex(8)}", new_inbox()
        self._number, self._behind = 0, True
        self._listening = self._jetstream.connection.listen(inbox, self._take)
        config = {
            "name": name,
            "deliver_subject": inbox,
            "filter_subjects": self._subjects,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.position + 1,
            "ack_policy": "none",
            "max_deliver": 1,
            "flow_control": True,
            "idle_heartbeat": round(limits.CLUSTER_HEARTBEAT_SECONDS * NANOSECONDS),
            "inactive_threshold": round(limits.CLUSTER_CONSUMER_SECONDS * NANOSECONDS),
            "mem_storage": True,
            "num_replicas": 1,
        }
        verb = f"CONSUMER.CREATE.{self._stream}.{name}"
        made = await self._jetstream.call(verb, _Create(self._stream, config), _ConsumerInfo)
        self.pending = max(0, made.num_pending - self._number)
        self._name = name
        self._alive = self._reactor.seconds()
        self._watch = self._reactor.callLater(limits.CLUSTER_HEARTBEAT_SECONDS, self._look)

    async def _newest_left(self, info: StreamInfo) -> int | None:
        """Return the newest message that is left, where the stream has lost some that were read. None: it hasn't.

        Servers lose what they hadn't written to their disks. A server that was the leader before may lack messages too,
        for less than CLUSTER_PATIENCE_SECONDS. Raises Unavailable meanwhile.
        """
        now, last = self._reactor.seconds(), info.state.last_seq
        if last < self.position:
            since, least = self._short or (now, last)
            self._short = since, min(least, last)
            if now - since < limits.CLUSTER_PATIENCE_SECONDS:
                raise Unavailable("the server that answers lacks messages that were read")
        elif self._short is None or await self._is_there():
            self._short = None
            return None
        left, self._short = self._short[1], None
        return left

    async def _is_there(self) -> bool:
        """Return whether the message that was read last is in the stream still, and no other one in its place."""
        found = await self._jetstream.next(self._stream, ">", self.position)
        if found is None or found.seq != self.position or not self._time:
            return True
        return abs(found.time.timestamp() - self._time / NANOSECONDS) < _SAME

    def _look(self) -> None:
        """Make the consumer anew when two heart-beats have stayed away."""
        silent = self._reactor.seconds() - self._alive
        self._watch = None
        if silent >= 2 * limits.CLUSTER_HEARTBEAT_SECONDS:
            self._restart()
        else:
            self._watch = self._reactor.callLater(limits.CLUSTER_HEARTBEAT_SECONDS, self._look)

    # The connection (wire.ConnectionWatcher)

    def joined(self) -> None:
        """Begin anew: the server may be another one, and have forgotten the consumer."""
        self._lost()

    def left(self) -> None:
        """It comes back."""

    # What the server sends

    def _take(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
        self._alive = self._reactor.seconds()
        if block[STATUS].isdigit():
            self._controlled(reply.decode(), block)
            return
        try:
            seq, number, time, pending = read_ack(reply)
        except ValueError:  # no other publisher knows the subject
            return
        if number != self._number + 1:
            self._lost()
            return
        self._number = number
        self.pending = pending
        if seq > self.position:  # a replica that is behind begins with its own end
            self.position, self._time = seq, time
            self._reader.received(StreamMessage(subject, payload, block, seq))
        if self._behind and not pending and self._name:
            self._reached()

    def _reached(self) -> None:
        if self._behind:
            self._behind = False
            self._reader.caught_up()

    def _controlled(self, reply: str, block: bytes) -> None:
        connection = self._jetstream.connection
        if block[STATUS] != _CONTROL:  # the consumer has ended, or its leader has changed
            self._lost()
        elif reply:
            connection.publish(reply, b"")
        else:
            headers = headers_of(block)
            if stalled := headers.get(_STALLED):
                connection.publish(stalled, b"")
            if headers.get(_LAST_NUMBER) != str(self._number):
                self._lost()
