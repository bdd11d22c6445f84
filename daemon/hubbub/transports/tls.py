"""TLS of listeners: between a connection's socket and its protocol, by the standard library's `ssl`.

OpenSSL reads what has come from one memory BIO, and writes what is to be sent to another. All connections of a listener
share one pair: each call leaves both empty, so an idle connection keeps no buffer. Therefore all that has come is
decrypted before anything is called that may use TLS again.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable, Collection, Iterable
from typing import Any
from typing import Protocol as Interface

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    ITransport,
)
from twisted.internet.protocol import Factory
from zope.interface import implementer

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.transports.client_hello import NO_APPLICATION_PROTOCOL, ClientHello
from hubbub.transports.sealing import OPEN, SHAKING, SHUT, Sealing
from hubbub.transports.stream import is_plain

_RECORD = 16_384  # bytes of plaintext in the longest record (RFC 8446 section 5.1)
_HANDSHAKE_ERRORS = {  # what OpenSSL's words for a failed handshake mean for an operator
    "HTTP_REQUEST": "it speaks HTTP, and here is TLS",
    "WRONG_VERSION_NUMBER": "it doesn't speak TLS",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it has no certificate, and client-ca= wants one",
    "TLSV1_ALERT_UNKNOWN_CA": "it doesn't trust the authority of this certificate (unknown ca)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it doesn't accept this certificate (bad certificate)",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it doesn't accept this certificate (certificate unknown)",
}


class Certificates(Interface):
    """What TLS needs of a listener."""

    @property
    def protocols(self) -> Collection[str]:
        """Return the protocols that it knows by ALPN (RFC 7301)."""

    def begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Make the server's end of one connection."""

    def vouch(self, chain: list[bytes]) -> bool:
        """Tell whether a client's certificates are good now, DER, its own first: those of an earlier session."""


@implementer(ITransport, IPushProducer, IHalfCloseableProtocol)
class TlsTransport(Sealing):
    """TLS of one connection: the protocol of its socket's transport, and the transport of another protocol.

    transport      that of the socket
    protocol       gets the plaintext; as with any transport it may be replaced
    disconnecting  whether it is being closed: what is written then is dropped; shaking: whether it shakes hands
    """

    factory: TlsFactory
    transport: Any
    disconnecting, shaking = False, True
    _hello: ClientHello | None  # None once that is whole
    _waiting: tuple[bytes, ...] = ()  # written before the end of the handshake

    def __init__(self, factory: TlsFactory, protocol: Any) -> None:
        self.factory = factory
        self.protocol = protocol
        self._hello = ClientHello()

    def connectionMade(self) -> None:
        factory, raw = self.factory, self.transport
        raw.setTcpNoDelay(True)
        greeting = factory.greeting(str(getattr(raw.getPeer(), "host", "")))
        if greeting:
            raw.write(greeting)
        if is_plain(raw):
            self._send_now = raw.socket.send
        self._tls = factory.certificates.begin(factory.incoming, factory.outgoing)
        self.protocol.makeConnection(self)

    # The protocol of the socket's transport

    def dataReceived(self, data: bytes) -> None:
        """Decrypt what has come, and hand it on."""
        if self._state == SHUT or (self._hello is not None and not self._acceptable(data)):
            return
        found, error, shaken = self._decrypt(data)
        out = self.factory.outgoing
        if out.pending:
            self._answer(out.read())
        if shaken and self._state == SHAKING:
            self._open()
        if found and self._state != SHUT:
            self.protocol.dataReceived(found[0] if len(found) == 1 else b"".join(found))
        if self._state == SHUT:
            return
        if error is not None:
            if self._state == SHAKING:
                self._refuse("tls", _words(error))
            self._drop()
        elif self._peer_closed:
            self._end_of_input()

    def _acceptable(self, data: bytes) -> bool:
        """Refuse a client that offers protocols of which the listener knows none (RFC 7301 section 3.2)."""
        assert self._hello is not None
        offered = self._hello.offered(data)
        if offered is None:
            return True
        self._hello = None
        known = self.factory.certificates.protocols
        if not offered or any(name in known for name in offered):
            return True
        self.transport.write(NO_APPLICATION_PROTOCOL)
        self._drop()
        self._refuse("alpn", f"it offers {', '.join(map(repr, offered[:3]))} by ALPN, and here is {', '.join(known)}")
        return False

    def _refuse(self, limit: str, reason: str) -> None:
        """Report that there is no link with this client."""
        refusal = Refusal("bad-command", reason)
        refusal.limit = limit
        self.factory.refused(str(getattr(self.transport.getPeer(), "host", "")), refusal)

    def _cut_short(self) -> None:
        """Report a client that has gone within the handshake; one that has sent nothing may be a probe of the port."""
        if self._state == SHAKING and self._hello is None:
            self._refuse("tls", "it closed the connection within the handshake")

    def _decrypt(self, data: bytes) -> tuple[list[bytes], ssl.SSLError | None, bool]:
        """Return the plaintext in `data`, what was wrong with it, and whether the handshake is complete."""
        incoming, tls = self.factory.incoming, self._tls
        found: list[bytes] = []
        error, shaken = None, self._state == OPEN
        incoming.write(data)
        try:
            if not shaken:
                tls.do_handshake()
                shaken = True
            while incoming.pending:
                piece = tls.read(_RECORD)
                if not piece:
                    self._peer_closed = True
                    break
                found.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as problem:
            error = problem
        finally:
            if incoming.pending:  # or the next connection would read it
                incoming.read()
        return found, error, shaken

    def _answer(self, data: bytes) -> None:
        """Send what TLS itself has to say; a client that makes it speak and doesn't read is cut."""
        raw = self.transport
        raw.write(data)
        if len(raw.dataBuffer) - raw.offset + raw._tempDataLen > limits.TLS_ANSWER_BYTES:
            self.abortConnection()

    def _open(self) -> None:
        """The handshake is complete: send what waited for it."""
        shown = self.peer_chain() if self._tls.session_reused else []
        if shown and not self.factory.certificates.vouch(shown):
            self._refuse("tls", "its certificate, which an earlier session had, isn't accepted any more")
            self.abortConnection()
            return
        self._state, self.shaking = OPEN, False
        waiting, self._waiting = self._waiting, ()
        if waiting:
            self.send(b"".join(waiting))
        completed = getattr(self.protocol, "handshakeCompleted", None)
        if completed is not None:
            completed()
        if self.disconnecting and self._producer is None:
            self.shut()
        elif waiting and self._producer is not None and not self.transport.producerPaused:
            self._producer.resumeProducing()

    def _drop(self) -> None:
        """TLS can't go on: the alert that says why is the last that is sent."""
        self._state = SHUT
        self.disconnecting = True
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _end_of_input(self) -> None:
        """The client has closed its side by close_notify, and waits for ours, once it has its answers."""
        ended = getattr(self.protocol, "readConnectionLost", None)
        if ended is not None:
            ended()
        else:
            self.loseConnection()

    def readConnectionLost(self) -> None:
        """The socket's input has ended. Without close_notify it was cut short by anybody: nothing is made of it."""
        if not self._peer_closed or self._state == SHUT:
            self._cut_short()
            self._state = SHUT
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our side is closed, as `loseConnection` wanted."""

    def connectionLost(self, reason: Any = None) -> None:
        self._cut_short()
        self._state = SHUT
        protocol, self.protocol = self.protocol, None
        self._tls = self._producer = self._rest = self._send_now = None
        protocol.connectionLost(reason)

    # The transport of the protocol above

    def write(self, data: bytes) -> None:
        """Encrypt `data`, and send it, straight to the socket if nothing waits before it."""
        if not data or (self.disconnecting and self._producer is None):
            return
        if self._state == OPEN:
            self.send(data)
        elif self._state == SHAKING:
            self._waiting += (data,)
            if self._producer is not None:
                self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close once everything is sent, and any producer has gone: with close_notify, then the end of our side.

        What still comes is read and dropped until the client closes too: a socket that is closed with unread input
        resets the connection, and the client may never see the last words.
        """
        if self.disconnecting:
            return
        self.disconnecting = True
        if self._state == OPEN:
            if self._producer is None:
                self.shut()
        elif not self._waiting and self._producer is None:
            self.abortConnection()

    def pauseProducing(self) -> None:
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        self.transport.stopProducing()

    def getPeer(self) -> Any:
        return self.transport.getPeer()

    def getHost(self) -> Any:
        return self.transport.getHost()

    @property
    def proxied(self) -> bool:
        """Whether a PROXY header has named the client, see transports.proxy."""
        return getattr(self.transport, "proxied", False)

    @property
    def alpn(self) -> str | None:
        """Return the protocol that ALPN has chosen, once the handshake is complete; None: the client offers none."""
        found: str | None = self._tls.selected_alpn_protocol()
        return found

    # Its client's certificates

    def getPeerCertificate(self) -> bytes | None:
        """Return the client's certificate, DER, once the handshake is complete; None: it has shown none."""
        found: bytes | None = self._tls.getpeercert(binary_form=True)
        return found

    def peer_chain(self) -> list[bytes]:
        """Return the certificates that the client has shown, DER, its own first."""
        if sys.version_info >= (3, 13):
            found: list[bytes] = self._tls.get_unverified_chain()
            return found
        chain = self._tls._sslobj.get_unverified_chain() or []  # what Python 3.13 gives a public name
        return [ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in chain]


class TlsFactory(Factory):
    """Puts TLS before the protocols of `inner`.

    certificates  make the server's end of each connection
    greeting      host -> what is sent before TLS, in the clear
    refused       gets the host of a client whose handshake has failed, and why: its `limit` is `alpn` or `tls`
    incoming, outgoing  the BIOs that its connections share
    """

    noisy = False

    def __init__(
        self,
        certificates: Certificates,
        inner: IProtocolFactory,
        greeting: Callable[[str], bytes],
        refused: Callable[[str, Refusal], object] = lambda host, refusal: None,
    ) -> None:
        self.certificates = certificates
        self.greeting = greeting
        self.refused = refused
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self._inner = inner

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:  # type: ignore[override]
        protocol = self._inner.buildProtocol(addr)  # type: ignore[arg-type]
        return None if protocol is None else TlsTransport(self, protocol)

    def doStart(self) -> None:
        """Start the inner factory with this one."""
        super().doStart()
        self._inner.doStart()

    def doStop(self) -> None:
        """Stop the inner factory with this one."""
        self._inner.doStop()
        super().doStop()


def _words(error: ssl.SSLError) -> str:
    """Say why a handshake has failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate isn't accepted: {error.verify_message}"
    reason = str(error.reason or error)
    return _HANDSHAKE_ERRORS.get(reason, reason.replace("_", " ").lower())
