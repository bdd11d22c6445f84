"""What leaves a TLS connection of a listener: a long write is sealed as its socket takes it.

The rest waits unsealed, so the connections that don't read share it, as plain ones do, and one turn seals little for
each of many connections.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from hubbub.limits import SEALED_BYTES
from hubbub.transports.stream import keep_unsent

SHAKING, OPEN, SHUT = range(3)  # once it is shut, what comes and what is written is dropped


@implementer(IPushProducer)
class _Rest:
    """What waits to be sealed. It is the producer of the socket's transport, in the place of the protocol's.

    size  bytes
    """

    __slots__ = ("size", "_at", "_pieces", "_tls")

    def __init__(self, tls: Sealing, data: bytes) -> None:
        self.size = len(data)
        self._at = 0  # in the first piece
        self._pieces = deque((data,))
        self._tls = tls

    def add(self, data: bytes) -> None:
        """Take what follows."""
        self._pieces.append(data)
        self.size += len(data)

    def resumeProducing(self) -> None:
        """The socket has taken all that is sealed."""
        first, at = self._pieces[0], self._at
        piece = memoryview(first)[at : at + SEALED_BYTES]
        self._at += len(piece)
        self.size -= len(piece)
        if self._at == len(first):
            self._at = 0
            self._pieces.popleft()
        self._tls.go_on(piece)

    def pauseProducing(self) -> None:
        """It seals no more than it is asked for."""

    def stopProducing(self) -> None:
        """The socket's transport has gone."""
        self._tls.stop_protocol()


class Sealing(Protocol):
    """The way out of a TlsTransport, which is the other half of it."""

    disconnecting = False
    factory: Any
    transport: Any
    _peer_closed = False  # it has sent close_notify
    _producer: Any = None  # the protocol's
    _rest: _Rest | None = None
    _send_now: Callable[[bytes], int] | None = None
    _state = SHAKING
    _tls: Any = None

    def send(self, data: bytes) -> None:
        """Encrypt `data` and send it, straight to the socket if nothing waits before it."""
        if self._rest is not None:
            self._rest.add(data)
        elif len(data) <= SEALED_BYTES or self._send_now is None:
            if not self._send_sealed(data) and self._producer is not None:
                self._producer.pauseProducing()
        else:
            if self._producer is not None:
                self._producer.pauseProducing()
            self._rest = _Rest(self, data)
            self._replace_producer(self._rest)
            self._rest.resumeProducing()

    def go_on(self, piece: memoryview) -> None:
        """Send the next piece of what waits."""
        assert self._rest is not None
        raw, last = self.transport, not self._rest.size
        if last:
            self._rest = None
            self._replace_producer(self._producer)
        self._send_sealed(piece)
        if self._state == SHUT:
            return
        if raw.dataBuffer or raw._tempDataBuffer or not last:
            raw.startWriting()  # it asks for more in a later turn, once nothing waits before that
            raw.producerPaused = True
        elif self._producer is not None:
            self._producer.resumeProducing()
        if last and self._producer is None and self.disconnecting:
            self.shut()

    def _send_sealed(self, data: bytes | memoryview) -> bool:
        """Encrypt and send that. Returns False if the socket hasn't taken all."""
        write = self._tls.write
        try:
            done = write(data)
            while done < len(data):
                done += write(memoryview(data)[done:])
        except ssl.SSLError:
            self.abortConnection()
            return True
        finally:
            sealed = self.factory.outgoing.read()  # or the next connection would send it
        raw, send = self.transport, self._send_now
        if send is None or raw.dataBuffer or raw._tempDataBuffer:
            raw.write(sealed)  # it pauses the producer itself
            return True
        try:
            sent = send(sealed)
        except OSError:  # full, or lost: the reactor will find out which
            sent = 0
        if sent == len(sealed):
            return True
        keep_unsent(raw, sealed, sent)
        return False

    def shut(self) -> None:
        """Close our side, once nothing waits to be sealed."""
        if self._rest is not None:
            return
        self._state = SHUT
        with suppress(ssl.SSLError):  # the client's close_notify is yet to come
            self._tls.unwrap()
        raw = self.transport
        raw.write(self.factory.outgoing.read())
        if self._peer_closed:
            raw.loseConnection()
        else:
            raw.resumeProducing()
            raw.loseWriteConnection()

    def abortConnection(self) -> None:
        """Cut the connection."""
        self._state = SHUT
        self.disconnecting = True
        self.transport.abortConnection()

    @property
    def unsealed(self) -> int:
        """Bytes that wait to be sealed."""
        return 0 if self._rest is None else self._rest.size

    # The protocol's producer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer
        if self._rest is None:
            self.transport.registerProducer(producer, streaming)
        else:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self._producer = None
        if self._rest is None:
            self.transport.unregisterProducer()
            if self.disconnecting and self._state == OPEN:
                self.shut()

    def stop_protocol(self) -> None:
        """The socket's transport has gone."""
        if self._producer is not None:
            self._producer.stopProducing()

    def _replace_producer(self, producer: Any) -> None:
        self.transport.unregisterProducer()
        if producer is not None:
            self.transport.registerProducer(producer, True)
