"""Publishes into a stream in order, with an acknowledgement for each message, over changes of leaders and connections.

    number = publisher.publish(subject, payload, block)       a block of headers, with a Nats-Msg-Id
    owner.stored(number)                                      as the acknowledgements come
    publisher.safe                                            all up to this number are stored

Without `batches` many messages are in flight at once, each for itself. When one isn't acknowledged, the oldest is sent
alone, again and again, until it is; then all behind it are sent again, in their order. So a message that is lost on its
way to a leader that has gone is stored behind later ones that its successor got.

With `batches` one atomic batch is in flight (ADR-50 of nats-architecture-and-design), of which JetStream stores all or
nothing, and what comes meanwhile is the next one; a lone message is sent as it is. When the outcome of a batch isn't
known, its oldest message is sent alone: if JetStream has that one already, it has the whole batch. A batch that is
refused, because of one of its messages, is sent again in smaller ones.

The stream knows the ids for a while, so none is stored twice; after that a message is sent again only once all that is
stored has come back.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, NamedTuple, Protocol

from hubbub import limits
from hubbub.service.cluster.atomic_batch import MAX_MESSAGES, encode_batch
from hubbub.service.cluster.jetstream import PubAck, decode
from hubbub.service.cluster.jetstream_errors import JetStreamError, Unavailable
from hubbub.service.cluster.wire import Connection, Received, headers_of, new_inbox

_SURE = limits.CLUSTER_DUPLICATES_SECONDS / 2  # seconds in which an id is known for sure
_AGAIN = b'"duplicate": true'  # in an acknowledgement
_ID_BYTES = 16  # of the end of an inbox, in the id of a batch
_STORED = b'{"stream":'  # how an acknowledgement begins; an error comes before the name of the stream


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
    """A message without an acknowledgement. shared: another node may publish one with its id."""

    subject: bytes
    payload: bytes
    block: bytes
    shared: bool

    @property
    def size(self) -> int:
        """Bytes of its headers and its payload."""
        return len(self.block) + len(self.payload)


def _error_of(subject: bytes, block: bytes, payload: bytes) -> JetStreamError | None:
    try:
        decode(Received(subject.decode(), payload, "", headers_of(block)), PubAck)
    except JetStreamError as error:
        return error
    return None


class Publisher:
    """Publishes messages in order.

    batches        attribute: whether what is in flight is one atomic batch
    last           the number of the newest message; the first has 1
    waiting_bytes  of messages without an acknowledgement
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
        self._listening = connection.listen(f"{inbox}.*", self._answered)
        self._alone = False  # whether the oldest message was sent last, and not a batch
        self._apart = 0  # all up to this number have been sent alone too
        self._attempt = 0  # counts batches, and what is sent in place of them
        self._most = MAX_MESSAGES  # messages of the next batch
        self._tells = False  # whether the whole batch is stored if the oldest message is already
        self._sent: OrderedDict[int, _Pending] = OrderedDict()  # by number, in order
        self._sent_bytes = 0
        self._unsent: deque[tuple[int, _Pending]] = deque()
        self._heard = 0.0  # seconds of the reactor's clock when an acknowledgement came, or nothing waited for one
        self._pause = 0.0  # seconds until the oldest is sent again
        self._timer: Any = None
        connection.watchers.append(self)

    @property
    def safe(self) -> int:
        """All messages up to that number are stored or refused."""
        if self._sent:
            return next(iter(self._sent)) - 1
        return self._unsent[0][0] - 1 if self._unsent else self.last

    @property
    def waiting(self) -> int:
        """Messages without an acknowledgement."""
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
        """Store a message; `shared`: another node may publish one with its id. Returns its number."""
        self.last += 1
        pending = _Pending(subject, payload, block, shared)
        self.waiting_bytes += pending.size
        self._unsent.append((self.last, pending))
        if self.failing_since is None:
            self._send()
        return self.last

    @property
    def _full(self) -> bool:
        most = self._most if self.batches else limits.CLUSTER_INFLIGHT
        return len(self._sent) >= most or self._sent_bytes >= limits.CLUSTER_INFLIGHT_BYTES

    def _send(self) -> None:
        """Send what may be in flight."""
        if not self._unsent or (self.batches and self._sent):
            return
        if self._timer is None:
            self._heard = self._reactor.seconds()
            self._timer = self._reactor.callLater(limits.CLUSTER_SILENCE_SECONDS, self._look)
        while self._unsent and not self._full:
            number, pending = self._unsent.popleft()
            self._sent[number] = pending
            self._sent_bytes += pending.size
            if not self.batches:
                self._apart = number
                self._write(b"%d" % number, pending)
        if self.batches:
            self._send_batch()

    def _send_batch(self) -> None:
        if len(self._sent) == 1:
            self._send_oldest()
            return
        self._alone = False
        self._attempt += 1
        messages = [pending[:3] for pending in self._sent.values()]
        id = b"%b.%d" % (self._inbox[-_ID_BYTES:], self._attempt)
        self._connection.write(encode_batch(id, b"%b.b%d" % (self._inbox, self._attempt), messages))

    def _send_oldest(self) -> None:
        number, pending = next(iter(self._sent.items()))
        if not self.batches:
            self._write(b"%d" % number, pending)
            return
        self._alone, self._tells = True, number > self._apart and not pending.shared
        self._apart = max(self._apart, number)
        self._attempt += 1
        self._write(b"b%d" % self._attempt, pending)

    def _write(self, reply: bytes, pending: _Pending) -> None:
        subject, payload, block, _ = pending
        sizes = (self._inbox, reply, len(block), len(block) + len(payload))
        self._connection.write(b"HPUB %b %b.%b %d %d\r\n%b%b\r\n" % (subject, *sizes, block, payload))

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

    # Acknowledgements

    def _answered(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
        _, of_batch, token = subject.rpartition(b".")[2].rpartition(b"b")
        number = int(token)
        if of_batch:
            number = self.safe + 1 if number == self._attempt else 0
        if number not in self._sent:
            return
        error = None if payload.startswith(_STORED) else _error_of(subject, block, payload)
        if isinstance(error, Unavailable):
            self._fail(error)
        elif error is not None:
            self._refused(number, bool(of_batch) and not self._alone, error)
        else:
            again = _AGAIN in payload
            self._stored(number, bool(of_batch) and (not self._alone or (again and self._tells)), again)

    def found(self, number: int) -> None:
        """A message has come back, so it is stored."""
        if number in self._sent:
            self._stored(number, self.batches and number > self._apart, None)

    def _stored(self, number: int, whole: bool, again: bool | None) -> None:
        """A message is stored, or the `whole` batch. again: whether it was already; None: that isn't known."""
        for one in list(self._sent) if whole else [number]:
            self._settle(one)
            self._owner.stored(one, bool(again))
        self._most = min(2 * self._most, MAX_MESSAGES)
        self._recover(number, again is False)

    def _refused(self, number: int, whole: bool, error: JetStreamError) -> None:
        """A message won't be stored; or nothing of a batch is, as one of its messages is refused."""
        if whole:
            self._most = max(1, len(self._sent) // 2)
            self._take_back()
        else:
            self._settle(number)
            self._owner.refused(number, error)
        self._recover(number)

    def _settle(self, number: int) -> None:
        pending = self._sent.pop(number)
        self._sent_bytes -= pending.size
        self.waiting_bytes -= pending.size
        self._heard = self._reactor.seconds()

    def _take_back(self) -> None:
        """Have what is in flight sent again, in its order."""
        self.resent += len(self._sent)
        self._unsent.extendleft(reversed(self._sent.items()))
        self._sent.clear()
        self._sent_bytes = 0

    def _fail(self, error: JetStreamError) -> None:
        """Send nothing more until the oldest message is acknowledged."""
        if self.failing_since is None:
            self.failing_since = self._heard
            self._pause = limits.CLUSTER_RETRY_FIRST_SECONDS
            self._arm(self._pause)
            self._owner.failing(error)

    def _recover(self, number: int, is_new: bool = False) -> None:
        """Go on after a message; after a failure send again what waits behind the oldest one, once that is stored.

        is_new  it wasn't stored before, so nothing of its batch was
        """
        if self.failing_since is not None:
            if self._sent and self.safe < number:
                return
            if self._sent and self.batches and not is_new:
                self.resent += 1
                self._send_oldest()
                return
            self.failing_since = None
            self._arm(limits.CLUSTER_SILENCE_SECONDS)
            self._owner.failing(None)
            self._take_back()
        self._send()

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
        if self.failing_since is None:
            silent = self._reactor.seconds() - self._heard
            if silent < limits.CLUSTER_SILENCE_SECONDS:
                self._arm(limits.CLUSTER_SILENCE_SECONDS - silent)
                return
            self._fail(Unavailable("JetStream doesn't acknowledge what is published"))
        if self._reactor.seconds() - self.failing_since < _SURE or self._owner.has_read_all():
            self.resent += 1
            self._send_oldest()
        self._pause = min(2 * self._pause, limits.CLUSTER_RETRY_SECONDS)
        self._arm(self._pause)
