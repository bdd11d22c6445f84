"""Publishes into a stream in order, and tells of each message that is stored, over changes of leaders and connections.

    number = publisher.publish(subject, payload, block)       a block of headers, with a Nats-Msg-Id
    publisher.found(number)                                   as the messages come back from the stream
    owner.stored(number)                                      once a message has come back, or is acknowledged
    publisher.safe                                            all up to this number are stored

Many messages are in flight at once, as a fast batch (ADR-50 of nats-architecture-and-design): JetStream counts them,
and stores nothing behind one that is lost on its way, as to a leader that has gone. It acknowledges none of them by
itself; one is stored when it has come back.

When something seems to be lost, the oldest message is sent alone, again and again, until it is acknowledged. If it was
stored before, so may be the next one, which is sent alone too. If it wasn't, nothing behind it is, and all of that is
sent again as another batch. While nothing comes back, each message is sent alone. The stream knows the ids of messages
for a while, so none is stored twice; after that one is sent again only once all that is stored has come back.

Older servers have no batches, and acknowledge each message; there what is lost is stored behind later messages.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Protocol

from hubbub import limits
from hubbub.service.cluster.jetstream import PubAck, decode
from hubbub.service.cluster.jetstream_errors import JetStreamError, Unavailable
from hubbub.service.cluster.wire import Connection, Received, headers_of, new_inbox

_SURE = limits.CLUSTER_DUPLICATES_SECONDS / 2  # seconds in which an id is known for sure
_IDLE = 5.0  # seconds until a batch isn't continued: half of the time after which JetStream forgets it
_FLOW = 500  # messages of a batch for one report of JetStream on its flow: the most that it takes

_AGAIN = b'"duplicate": true'  # in an acknowledgement
_STORED = b'{"stream":'  # how an acknowledgement begins; an error comes before the name of the stream
_FLOWS = b'{"type":"ack"'  # how a report on the flow of a batch begins
_DISABLED = b'"err_code":10205'  # in an answer: the stream is configured without batches
_END = b".$FI"  # how the reply subject of a message in a batch ends


class Owner(Protocol):
    """Has published messages."""

    def stored(self, number: int, again: bool = False) -> None:
        """The message of that number is stored, `again`: one with its id was already.

        `Publisher.safe` grows in the order of the numbers alone.
        """

    def refused(self, number: int, error: JetStreamError) -> None:
        """The message of that number won't be stored."""

    def failing(self, error: JetStreamError | None) -> None:
        """Nothing can be stored for now; None: it can be again."""

    def has_read_all(self) -> bool:
        """Return whether all that is in the stream has come back, so that what hasn't isn't stored."""


class _Pending(NamedTuple):
    """A message that isn't known to be stored. size: bytes of its headers and its payload."""

    number: int
    subject: bytes
    payload: bytes
    block: bytes
    size: int


class Publisher:
    """Publishes messages in order.

    batches        attribute: whether what is in flight is a batch
    last           the number of the newest message; the first has 1
    waiting_bytes  of messages that aren't known to be stored
    failing_since  seconds of the reactor's clock, or None
    resent         how many messages were sent again
    """

    def __init__(self, connection: Connection, reactor: Any, owner: Owner) -> None:
        self.batches = False
        self.last = 0
        self.waiting_bytes = 0
        self.failing_since: float | None = None
        self.resent = 0
        self._connection = connection
        self._reactor = reactor
        self._owner = owner
        inbox = new_inbox()
        self._inbox = inbox.encode()
        self._listening = connection.listen(f"{inbox}.>", self._answered)
        self._batch_count = 0
        self._begin_batch()
        self._alone = 0  # the number of the message that was sent alone last
        self._returning = True  # messages come back
        self._sent: deque[_Pending] = deque()
        self._sent_bytes = 0
        self._unsent: deque[_Pending] = deque()
        self._heard = 0.0  # seconds of the reactor's clock when a message was stored, or none was in flight
        self._pause = 0.0  # seconds until the oldest is sent again
        self._timer: Any = None
        connection.watchers.append(self)

    @property
    def safe(self) -> int:
        """All messages up to that number are stored or refused."""
        if self._sent:
            return self._sent[0].number - 1
        return self._unsent[0].number - 1 if self._unsent else self.last

    @property
    def waiting(self) -> int:
        """Messages that aren't known to be stored."""
        return len(self._sent) + len(self._unsent)

    def stop(self) -> None:
        """Send nothing more."""
        self._connection.watchers.remove(self)
        self._listening.end()
        self._sent.clear()
        self._unsent.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def publish(self, subject: bytes, payload: bytes, block: bytes, shared: bool = False) -> int:
        """Store a message; `shared`: another node may have published one with its id. Returns its number."""
        self.last = number = self.last + 1
        size = len(block) + len(payload)
        self.waiting_bytes += size
        pending = _Pending(number, subject, payload, block, size)
        if self.failing_since is not None or self._unsent or self._is_full():
            self._unsent.append(pending)
        elif not self._sent and (shared or not self._returning):  # a batch wouldn't say that it is there
            self._send_alone(pending)
        else:
            self._send(pending)
        return number

    def _is_full(self) -> bool:
        return len(self._sent) >= limits.CLUSTER_INFLIGHT or self._sent_bytes >= limits.CLUSTER_INFLIGHT_BYTES

    def _send(self, pending: _Pending) -> None:
        """Send a message behind the ones before it."""
        if not self._sent:
            self._begin()
        self._sent.append(pending)
        self._sent_bytes += pending.size
        self._write(pending)

    def _send_alone(self, pending: _Pending) -> None:
        """Send a message, and nothing more until it is acknowledged."""
        self._begin()
        self._sent.append(pending)
        self._sent_bytes += pending.size
        self.failing_since, self._pause = self._heard, limits.CLUSTER_RETRY_FIRST_SECONDS
        self._write_alone(pending)

    def _begin(self) -> None:
        """Nothing is in flight, and something will be."""
        before, self._heard = self._heard, self._reactor.seconds()
        if self._heard - before > _IDLE:
            self._begin_batch()
        if self._timer is None:
            self._arm(limits.CLUSTER_SILENCE_SECONDS)

    def _begin_batch(self) -> None:
        """Have the messages from now on make a batch of their own."""
        self._batch_count += 1
        self._index = 0  # of its newest message
        id = b"%b-%d" % (self._inbox[-12:], self._batch_count)
        self._batch = b"%b.%b.%d.fail." % (self._inbox, id, _FLOW)  # how the reply subjects of its messages begin

    def _write(self, pending: _Pending) -> None:
        if not self.batches:
            self._write_alone(pending)
            return
        _, subject, payload, block, size = pending
        self._index = index = self._index + 1
        self._connection.write(
            b"HPUB %b %b%d.%d.$FI %d %d\r\n%b%b\r\n"
            % (subject, self._batch, index, index > 1, len(block), size, block, payload)
        )

    def _write_alone(self, pending: _Pending) -> None:
        self._alone = pending.number
        number, subject, payload, block, size = pending
        self._connection.write(
            b"HPUB %b %b.%d %d %d\r\n%b%b\r\n" % (subject, self._inbox, number, len(block), size, block, payload)
        )

    # The connection (wire.ConnectionWatcher)

    def joined(self) -> None:
        """Try again at once."""
        if self.failing_since is not None:
            self._pause = limits.CLUSTER_RETRY_FIRST_SECONDS
            self._arm(0)

    def left(self) -> None:
        """What is in flight may be lost."""
        if self._sent:
            self._fail(Unavailable("the connection to the cluster was lost"))

    # What comes back

    def found(self, number: int) -> None:
        """A message has come back from the stream."""
        self._returning = True
        sent = self._sent
        if sent and sent[0].number == number:
            self._free(sent.popleft())
            self._owner.stored(number)
        elif self._settle(number):
            self._fail(None)  # the ones before it aren't stored, unless another node has published them
        if self.failing_since is None:
            if self._unsent:
                self._send_more()
        elif not sent:
            self._recover()

    def _settle(self, number: int, again: bool = False) -> bool:
        """Note that a message is stored. Returns whether that wasn't known."""
        pending = self._take(number)
        if pending is not None:
            self._owner.stored(number, again)
        return pending is not None

    def _take(self, number: int) -> _Pending | None:
        """Take a message out of those that were sent; None: it isn't one of them."""
        sent = self._sent
        if not sent or number < sent[0].number:
            return None
        pending = next((one for one in sent if one.number == number), None)
        if pending is not None:
            sent.remove(pending)
            self._free(pending)
        return pending

    def _free(self, pending: _Pending) -> None:
        self._sent_bytes -= pending.size
        self.waiting_bytes -= pending.size
        self._heard = self._reactor.seconds()

    # Answers

    def _answered(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
        if subject.endswith(_END):
            if subject.startswith(self._batch) and not payload.startswith(_FLOWS):
                self._batch_ended(subject, block, payload)
            return
        number, error, again = int(subject.rpartition(b".")[2]), None, _AGAIN in payload
        if not payload.startswith(_STORED):
            try:
                decode(Received(subject.decode(), payload, "", headers_of(block)), PubAck)
            except JetStreamError as raised:
                error = raised
        if isinstance(error, Unavailable):
            if self._sent:
                self._fail(error)
            return
        if error is not None:
            if self._take(number) is not None:
                self._owner.refused(number, error)
        else:
            self._settle(number, again)
        if self.failing_since is None:
            self._send_more()
        elif number == self._alone:
            self._go_on(again)

    def _batch_ended(self, subject: bytes, block: bytes, payload: bytes) -> None:
        """Nothing more of the batch is stored: a message was lost or refused, or JetStream doesn't know the batch."""
        if _DISABLED in payload:
            self.batches = False
        try:
            decode(Received(subject.decode(), payload, "", headers_of(block)), PubAck)
        except Unavailable as error:
            self._fail(error)
        except JetStreamError:
            self._fail(None)
        else:
            self._fail(None)

    # Failures

    def _fail(self, error: JetStreamError | None) -> None:
        """Send nothing more until the oldest message is acknowledged. error: why nothing can be stored for now."""
        if self.failing_since is None:
            self.failing_since = self._heard
            self._pause = limits.CLUSTER_RETRY_FIRST_SECONDS
            self._arm(0 if error is None else self._pause)
        if error is not None:
            self._owner.failing(error)

    def _go_on(self, again: bool) -> None:
        """The message that was sent alone has its answer. again: it was stored before."""
        if self._sent and (again or not self._returning):
            self._owner.failing(None)
            self._try_oldest()
        elif self._unsent and not self._returning:
            self._owner.failing(None)
            self._send_alone(self._unsent.popleft())
        else:
            self._recover()

    def _recover(self) -> None:
        """Send again what isn't stored."""
        self.failing_since = None
        self._arm(limits.CLUSTER_SILENCE_SECONDS)
        self._owner.failing(None)
        self._begin_batch()
        for pending in self._sent:
            self.resent += 1
            self._write(pending)
        self._send_more()

    def _send_more(self) -> None:
        while self._unsent and not self._is_full():
            self._send(self._unsent.popleft())

    def _try_oldest(self) -> None:
        self.resent += 1
        self._write_alone(self._sent[0])

    # Time

    def _arm(self, seconds: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._reactor.callLater(seconds, self._look)

    def _look(self) -> None:
        """Send the oldest message again where nothing is acknowledged."""
        self._timer = None
        if not self._sent:
            return
        silent = self._reactor.seconds() - self._heard
        if silent >= limits.CLUSTER_SILENCE_SECONDS:
            self._returning = False
            self._fail(Unavailable("JetStream doesn't acknowledge what is published"))
        elif self.failing_since is None:
            self._arm(limits.CLUSTER_SILENCE_SECONDS - silent)
            return
        assert self.failing_since is not None
        if self._reactor.seconds() - self.failing_since < _SURE or self._owner.has_read_all():
            self._try_oldest()
        self._pause = min(2 * self._pause, limits.CLUSTER_RETRY_SECONDS)
        self._arm(self._pause)
