"""Publishes into a stream in order, with an acknowledgement for each message, over changes of leaders and connections.

    number = publisher.publish(subject, payload, block)       a block of headers, with a Nats-Msg-Id
    owner.stored(number)                                      as the acknowledgements come
    publisher.safe                                            all up to this number are stored

Many messages are in flight at once. When one isn't acknowledged, the oldest is sent alone, again and again, until it
is; then all behind it are sent again, in their order. The stream knows their ids for a while, so none is stored twice;
after that it is sent again only once all that is stored has come back.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import islice
from typing import Any, NamedTuple, Protocol

from hubbub import limits
from hubbub.service.cluster.jetstream import PubAck, decode
from hubbub.service.cluster.jetstream_errors import JetStreamError, Unavailable
from hubbub.service.cluster.wire import Connection, Received, headers_of, new_inbox

_SURE = limits.CLUSTER_DUPLICATES_SECONDS / 2  # seconds in which an id is known for sure


_AGAIN = b'"duplicate": true'  # in an acknowledgement
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
    """A message without an acknowledgement."""

    subject: bytes
    payload: bytes
    block: bytes

    @property
    def size(self) -> int:
        """Bytes of its headers and its payload."""
        return len(self.block) + len(self.payload)


class Publisher:
    """Publishes messages in order.

    last           the number of the newest message; the first has 1
    waiting_bytes  of messages without an acknowledgement
    failing_since  seconds of the reactor's clock, or None
    resent         how many messages were sent again
    """

    def __init__(self, connection: Connection, reactor: Any, owner: Owner) -> None:
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

    def publish(self, subject: bytes, payload: bytes, block: bytes) -> int:
        """Store a message. Returns its number."""
        self.last += 1
        pending = _Pending(subject, payload, block)
        self.waiting_bytes += pending.size
        if self.failing_since is not None or self._unsent or self._full:
            self._unsent.append((self.last, pending))
        else:
            self._send(self.last, pending)
        return self.last

    @property
    def _full(self) -> bool:
        return len(self._sent) >= limits.CLUSTER_INFLIGHT or self._sent_bytes >= limits.CLUSTER_INFLIGHT_BYTES

    def _send(self, number: int, pending: _Pending) -> None:
        if self._timer is None:
            self._heard = self._reactor.seconds()
            self._timer = self._reactor.callLater(limits.CLUSTER_SILENCE_SECONDS, self._look)
        self._sent[number] = pending
        self._sent_bytes += pending.size
        self._write(number, pending)

    def _write(self, number: int, pending: _Pending) -> None:
        subject, payload, block = pending
        sizes = (self._inbox, number, len(block), len(block) + len(payload))
        self._connection.write(b"HPUB %b %b.%d %d %d\r\n%b%b\r\n" % (subject, *sizes, block, payload))

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
        number = int(subject.rpartition(b".")[2])
        pending = self._sent.get(number)
        if pending is None:
            return
        if payload.startswith(_STORED):
            self.found(number, _AGAIN in payload)
            return
        try:
            decode(Received(subject.decode(), payload, "", headers_of(block)), PubAck)
        except Unavailable as error:
            self._fail(error)
        except JetStreamError as error:
            self._settle(number, pending)
            self._owner.refused(number, error)
            self._recover(number)
        else:
            self.found(number)

    def found(self, number: int, again: bool = False) -> None:
        """A message is stored: it was acknowledged, or has come back."""
        pending = self._sent.get(number)
        if pending is not None:
            self._settle(number, pending)
            self._owner.stored(number, again)
            self._recover(number)

    def _settle(self, number: int, pending: _Pending) -> None:
        del self._sent[number]
        self._sent_bytes -= pending.size
        self.waiting_bytes -= pending.size
        self._heard = self._reactor.seconds()

    def _fail(self, error: JetStreamError) -> None:
        """Send nothing more until the oldest message is acknowledged."""
        if self.failing_since is None:
            self.failing_since = self._heard
            self._pause = limits.CLUSTER_RETRY_FIRST_SECONDS
            self._arm(self._pause)
            self._owner.failing(error)

    def _recover(self, number: int) -> None:
        """Go on; after a failure send again what waits behind the oldest message, once that is stored."""
        if self.failing_since is not None:
            if self._sent and next(iter(self._sent)) < number:
                return
            self.failing_since = None
            self._arm(limits.CLUSTER_SILENCE_SECONDS)
            self._owner.failing(None)
            for other, pending in self._sent.items():
                self.resent += 1
                self._write(other, pending)
        while self._unsent and not self._full:
            self._send(*self._unsent.popleft())

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
            for number, pending in islice(self._sent.items(), 1):
                self.resent += 1
                self._write(number, pending)
        self._pause = min(2 * self._pause, limits.CLUSTER_RETRY_SECONDS)
        self._arm(self._pause)
