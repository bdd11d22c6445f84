"""TCP, and with it TLS and Unix sockets: whatever is a byte stream."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IHandshakeListener, ISSLTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import TimeoutMixin
from zope.interface import implementer

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.transports.stream import _PLAIN, MakeLink, Stream, half_closed


@implementer(IHalfCloseableProtocol, IHandshakeListener)
class TCPProtocol(Stream, TimeoutMixin, Protocol):
    """One TCP connection."""

    def __init__(self, make_link: MakeLink) -> None:
        self._make_link = make_link

    def connectionMade(self) -> None:
        if ISSLTransport.providedBy(self.transport):
            self.setTimeout(limits.HANDSHAKE_SECONDS)
        self.open_stream(self._make_link)

    def dataReceived(self, data: bytes) -> None:
        if self.link is not None:
            self.link.receive(data)

    def handshakeCompleted(self) -> None:
        """TLS is set up; plain TCP has nothing to set up, and no deadline."""
        self.setTimeout(None)

    def timeoutConnection(self) -> None:
        self.abort()

    def connectionLost(self, reason: object = None) -> None:
        self.setTimeout(None)
        self.stream_lost()

    def readConnectionLost(self) -> None:
        """The client has sent its last byte, and may still listen."""
        self._eof = True
        if self._closing:
            self.transport.loseConnection()
        elif self.link is not None:
            half_closed(self.transport)
            self.link.ended()

    def writeConnectionLost(self) -> None:
        """Our side is closed, as `close` wanted."""

    def wrapper(self, dialect: type[Dialect]) -> Callable[[bytes], bytes] | None:
        """A stream puts nothing around a unit."""
        return None

    def close(self, reason: str, refusal: Refusal | None) -> None:
        """Close once everything is sent.

        Closing a socket with unread input resets the connection, and the client may never see the last words: so on
        plain TCP our side closes first, and what still comes is read and dropped until the client closes too.
        """
        if self._closing or self.transport is None:
            return
        self._closing = True
        self.transport.unregisterProducer()
        if self._eof or type(self.transport) not in _PLAIN or self.transport.TLS:
            self.transport.loseConnection()
        else:
            self.transport.resumeProducing()
            self.transport.loseWriteConnection()


class TCPFactory(Factory):
    """Makes a TCPProtocol for each connection."""

    noisy = False

    def __init__(self, make_link: MakeLink) -> None:
        self._make_link = make_link

    def buildProtocol(self, addr: IAddress | None) -> TCPProtocol:
        return TCPProtocol(self._make_link)
