"""The client's side of TCP, TLS, Unix sockets and UDP: the wires of connectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from typing import Protocol as Interface

from twisted.internet.interfaces import IAddress, ISSLTransport
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Protocol
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.transports.stream import MakeLink
from hubbub.transports.tcp import TCPProtocol
from hubbub.transports.udp_socket import DatagramPort

Lost = Callable[[BaseException | str], None]
"""Told once, of an established connection, when it has gone and why."""


class DialledProtocol(TCPProtocol):
    """One connection that was dialled. Its link is made once the other side has proved its identity.

    greeting  what the other side has sent before TLS; the link gets it first
    """

    greeting = b""

    def __init__(self, make_link: MakeLink, lost: Lost) -> None:
        super().__init__(make_link)
        self._why = ""
        self._lost = lost

    def connectionMade(self) -> None:
        if ISSLTransport.providedBy(self.transport):
            self.setTimeout(limits.HANDSHAKE_SECONDS)
        else:
            # Twisted's endpoint for names puts a protocol between that hides that this one can be half closed.
            self.transport.protocol = self
            self.open_stream(self._make_link)

    def handshakeCompleted(self) -> None:
        super().handshakeCompleted()
        self.open_stream(self._make_link)
        if self.greeting and self.link is not None:
            self.link.receive(self.greeting)

    def timeoutConnection(self) -> None:
        self._why = f"TLS: no handshake within {limits.HANDSHAKE_SECONDS:g} s"
        super().timeoutConnection()

    def fail(self, why: str) -> None:
        """Cut the connection, and say why."""
        self._why = why
        self.abort()

    def connectionLost(self, reason: Any = None) -> None:
        super().connectionLost(reason)
        reason_given = reason.value if isinstance(reason, Failure) and reason.value is not None else ""
        self._lost(self._why or reason_given)


class ClearGreeting(Protocol):
    """Reads the line with which a server greets in the clear; then TLS begins, and `dialled` has the connection."""

    transport: Any

    def __init__(self, dialled: DialledProtocol, tls: Any) -> None:
        self._dialled = dialled
        self._tls = tls

    def connectionMade(self) -> None:
        self.transport.protocol = self  # as above
        self._dialled.transport = self.transport
        self._dialled.setTimeout(limits.HANDSHAKE_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        dialled, transport = self._dialled, self.transport
        dialled.greeting += data
        _, end, rest = dialled.greeting.partition(b"\n")
        if rest or len(dialled.greeting) > limits.LINE_SLACK:  # what follows in the clear may be anybody's
            dialled.fail("TLS: its greeting is no single line")
        elif end:
            transport.protocol = dialled
            transport.startTLS(self._tls)
            dialled.makeConnection(transport)

    def connectionLost(self, reason: Any = None) -> None:
        self._dialled.connectionLost(reason)


class DialFactory(ClientFactory):
    """Makes the protocol of one attempt: the first of a host's addresses that answers has it.

    tls  for a server that greets in the clear: the options of the TLS that begins then; None: any other
    """

    noisy = False
    made: DialledProtocol | None = None

    def __init__(self, make_link: MakeLink, lost: Lost, tls: Any = None) -> None:
        self._make_link = make_link
        self._lost = lost
        self._tls = tls

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        if self.made is not None:
            return None
        self.made = DialledProtocol(self._make_link, self._lost)
        return self.made if self._tls is None else ClearGreeting(self.made, self._tls)

    def abort(self) -> None:
        """Cut what there is."""
        if self.made is not None:
            self.made.abort()


class UnitLink(Interface):
    """What a dialled UDP socket needs of its link, a kernel.connection.link.Link."""

    def start(self) -> None: ...
    def receive_units(self, units: Sequence[tuple[bytes, bool | None]]) -> None: ...
    def lost(self) -> None: ...


class Losses:
    """What a UDP connector has lost, whatever sockets it had.

    unsent  datagrams that the kernel didn't take
    closed  those that it dropped for sockets that are closed by now
    """

    def __init__(self) -> None:
        self.unsent = 0
        self.closed = 0
        self.port: DatagramPort | None = None

    @property
    def kernel(self) -> int:
        """Datagrams that the kernel dropped because its buffer was full."""
        return self.closed + (self.port.kernel_drops() if self.port is not None else 0)


class DialledDatagrams(DatagramProtocol):
    """One UDP link to one address, and its wire: the kernel drops datagrams of other addresses."""

    noisy = False
    proof = None
    transport: Any

    def __init__(self, make_link: Callable[[Any, str, int], UnitLink | None], lost: Lost, losses: Losses) -> None:
        self._losses = losses
        self._make_link = make_link
        self._lost: Lost | None = lost
        self.link: UnitLink | None = None

    def startProtocol(self) -> None:
        self._losses.port = self.transport
        host, port = self.transport.socket.getpeername()[:2]
        self.link = self._make_link(self, host, port)
        if self.link is not None:
            self.link.start()

    def datagrams_received(self, datagrams: list[bytes], addr: Any) -> None:
        """Take datagrams that came in a row."""
        if self.link is not None:
            self.link.receive_units([(datagram, None) for datagram in datagrams])

    # The wire

    def wrapper(self, dialect: type[Dialect]) -> None:
        """A datagram is a unit as it is."""
        return

    def write(self, data: bytes) -> bool:
        """Send one datagram. False: it couldn't be sent."""
        try:
            self.transport.socket.send(data)
        except (OSError, AttributeError):  # the port was closed at the last one; too long; or this one is closed
            self._losses.unsent += 1
            return False
        return True

    def reading(self, on: bool) -> None:
        """Go on or stop reading; what doesn't fit into the kernel's buffer meanwhile is dropped."""
        if on:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    def unsent(self) -> int:
        """Nothing waits: a datagram is sent at once, or not."""
        return 0

    def there(self) -> bool:
        """A datagram client never ends its input."""
        return True

    def ping(self) -> bool:
        """There is no answer to wait for."""
        return False

    def close(self, reason: str, refusal: Refusal | None) -> None:
        """Close the socket."""
        lost, self._lost = self._lost, None
        if lost is not None and self.transport is not None:
            self._losses.closed, self._losses.port = self._losses.kernel, None
            self.transport.stopListening()
        link, self.link = self.link, None
        if link is not None:
            link.lost()
        if lost is not None:
            lost(reason or "cut")

    def abort(self) -> None:
        """Close the socket."""
        self.close("", None)
