"""TCP, and with it TLS and Unix sockets: whatever is a byte stream."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import TimeoutMixin
from zope.interface import implementer

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.identity import Identity
from hubbub.transports.forwarded import plain_host
from hubbub.transports.stream import Acquire, Authenticate, MakeLink, Stream, half_closed, is_plain
from hubbub.transports.tls import TlsTransport


@implementer(IHalfCloseableProtocol, IHandshakeListener)
class TCPProtocol(Stream, TimeoutMixin, Protocol):
    """One TCP connection."""

    def __init__(
        self,
        make_link: MakeLink,
        handshake: float = limits.HANDSHAKE_SECONDS,
        authenticate: Authenticate | None = None,
        acquire: Acquire | None = None,
    ) -> None:
        self._make_link = make_link
        self._acquire = acquire
        self._release: Callable[[], object] | None = None
        self._handshake = handshake
        self._authenticate = authenticate
        self._early = b""  # what has come before the client's identity is known

    def connectionMade(self) -> None:
        if type(self.transport) is TlsTransport:
            self.setTimeout(self._handshake)
            if self._authenticate is not None:
                self._await_handshake()
                return  # the client's certificate is its identity, and comes with the handshake
        self.open_stream(self._make_link)

    def dataReceived(self, data: bytes) -> None:
        if self.link is not None:
            self.link.receive(data)
        elif self._authenticate is not None:
            self._early += data

    def handshakeCompleted(self) -> None:
        """TLS is set up; plain TCP has nothing to set up, and no deadline."""
        if self._authenticate is None:
            self.setTimeout(None)
            return
        self.transport.pauseProducing()
        host = plain_host(str(getattr(self.transport.getPeer(), "host", "")))
        self._authenticate(None, self.transport, host).addCallbacks(self._known, lambda failure: self.abort())

    def _await_handshake(self) -> None:
        """Count the connection, until there is a link that counts."""
        if self._acquire is not None:
            try:
                self._release = self._acquire(str(getattr(self.transport.getPeer(), "host", "")))
            except Refusal as refusal:
                self.reject(b"", refusal)

    def _left(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()

    def _known(self, identity: Identity | None) -> None:
        self._authenticate = None
        self._left()
        if self._closing:
            return
        self.setTimeout(None)
        self.transport.resumeProducing()
        self.open_stream(self._make_link, identity)
        early, self._early = self._early, b""
        if early and self.link is not None:
            self.link.receive(early)

    def timeoutConnection(self) -> None:
        if self.link is not None:
            self.link.cut("handshake")
        else:
            self.abort()

    def connectionLost(self, reason: object = None) -> None:
        self.setTimeout(None)
        self._closing = True
        self._left()
        self.stream_lost()

    def readConnectionLost(self) -> None:
        """The client has sent its last byte, and may still listen; one that has closed TLS waits for ours to close."""
        self._eof = True
        if self._closing:
            self.transport.loseConnection()
        elif self.link is not None:
            half_closed(self.transport)
            self.link.ended(type(self.transport) is not TlsTransport)

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
        if self._eof or not is_plain(self.transport):
            self.transport.loseConnection()
        else:
            self.transport.resumeProducing()
            self.transport.loseWriteConnection()


class TCPFactory(Factory):
    """Makes a TCPProtocol for each connection.

    handshake  seconds that TLS may take
    authenticate  returns the identity of a TLS client, before there is a link; acquire: counts those until then
    """

    noisy = False

    def __init__(
        self,
        make_link: MakeLink,
        handshake: float = limits.HANDSHAKE_SECONDS,
        authenticate: Authenticate | None = None,
        acquire: Acquire | None = None,
    ) -> None:
        self.handshake = handshake
        self.acquire = acquire
        self.authenticate = authenticate
        self._make_link = make_link

    def buildProtocol(self, addr: IAddress | None) -> TCPProtocol:
        return TCPProtocol(self._make_link, self.handshake, self.authenticate, self.acquire)
