"""The PROXY protocol, versions 1 and 2: the first bytes of a connection give the address of the client.

https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt. The header stands before everything else, TLS too. A
listener whose endpoint begins with `haproxy:` wants it from trusted networks, always: a proxy that may leave it out
lets its clients write their own. From anybody else these bytes mean what they mean on every other listener.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address as IPv4
from ipaddress import IPv6Address as IPv6
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import TimeoutMixin

from hubbub import limits
from hubbub.transports.forwarded import UNIX, Address, Trust, plain_host

_V1, _V2 = b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"
_V1_BYTES = 107  # the longest header of version 1, CR and LF included (section 2.1)
_V1_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: .*)?|TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))",
    re.DOTALL,
)
_V2_FIXED = 16  # bytes: the signature, version and command, family and protocol, length
_LOCAL, _PROXY = 0x20, 0x21  # version 2 and its commands (section 2.2)
_SIZES = {0x00: 0, 0x11: 12, 0x21: 36, 0x31: 216}  # bytes of addresses: unspecified; TCP over IPv4, over IPv6; Unix

Report = Callable[[str, str], None]
"""Gets the address of a trusted proxy, and what is wrong with its header."""


class BadHeader(ValueError):
    """What a proxy sent isn't a PROXY header; the text is a sentence for the operator."""


class Header(NamedTuple):
    """A header that was read: its bytes, and the client; None where the proxy speaks for itself, or doesn't know."""

    size: int
    client: Address | None


def read_header(data: bytes) -> Header | None:
    """Read the header that `data` begins with; None: there is more of it to come. Raises BadHeader."""
    if data.startswith(_V2):
        return _read_v2(data)
    if data.startswith(_V1):
        return _read_v1(data)
    if _V2.startswith(data) or _V1.startswith(data):
        return None
    raise BadHeader("it sent no PROXY header; does it have send-proxy or the like?")


def _read_v1(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _V1_BYTES)
    if end < 0:
        if len(data) < _V1_BYTES:
            return None
        raise BadHeader(f"its PROXY header is longer than {_V1_BYTES} bytes")
    found = _V1_LINE.fullmatch(data, 0, end)
    if found is None:
        raise BadHeader("its PROXY header of version 1 is malformed")
    if found[1] is None:
        return Header(end + 2, None)
    kind = IPv4 if found[1] == b"4" else IPv6
    try:
        host, _ = str(kind(found[2].decode())), kind(found[3].decode())
    except ValueError:
        raise BadHeader("its PROXY header of version 1 has a malformed address") from None
    if max(int(found[4]), int(found[5])) > 65_535:
        raise BadHeader("its PROXY header of version 1 has a malformed port")
    return Header(end + 2, (plain_host(host), int(found[4])))


def _read_v2(data: bytes) -> Header | None:
    if len(data) < _V2_FIXED:
        return None
    command, family, size = data[12], data[13], _V2_FIXED + int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise BadHeader("its PROXY header has an unknown version or command")
    if size > limits.PROXY_BYTES:
        raise BadHeader(f"its PROXY header is longer than {limits.PROXY_BYTES} bytes")
    if command == _PROXY and (family not in _SIZES or size - _V2_FIXED < _SIZES[family]):
        raise BadHeader("its PROXY header of version 2 has an unknown address family or too few bytes for it")
    if len(data) < size:
        return None
    return Header(size, None if command == _LOCAL else _v2_client(data[_V2_FIXED:size], family))


def _v2_client(data: bytes, family: int) -> Address | None:
    if family == 0x11:
        return str(IPv4(data[:4])), int.from_bytes(data[8:10], "big")
    if family == 0x21:
        return plain_host(str(IPv6(data[:16]))), int.from_bytes(data[32:34], "big")
    return (UNIX, 0) if family == 0x31 else None


class _Waiting(Protocol, TimeoutMixin):
    """A trusted proxy's connection until its header is there; then the transport is another protocol's."""

    transport: Any
    shaking = True  # what follows costs more

    def __init__(self, factory: ProxyFactory, proxy: str) -> None:
        self._factory = factory
        self._proxy = proxy
        self._head = b""

    def connectionMade(self) -> None:
        self.setTimeout(self._factory.handshake())

    def dataReceived(self, data: bytes) -> None:
        self._head += data
        try:
            header = read_header(self._head)
        except BadHeader as error:
            self._refuse(str(error))
            return
        if header is not None:
            self.setTimeout(None)
            rest, self._head = self._head[header.size :], b""
            self._hand_over(header.client, rest)

    def _hand_over(self, client: Address | None, rest: bytes) -> None:
        transport = self.transport
        transport.proxied = True  # wherever it says that its client is: see transports.http.origin.is_local
        if client is not None:
            peer = client_address(*client)
            transport.getPeer = lambda: peer  # TLS and HTTP too see the client's address from now on
        protocol: Any = self._factory.inner.buildProtocol(transport.getPeer())
        if protocol is None:
            transport.abortConnection()
            return
        transport.protocol = protocol
        protocol.makeConnection(transport)
        if rest:
            protocol.dataReceived(rest)

    def timeoutConnection(self) -> None:
        self._refuse(f"its PROXY header wasn't there after {self._factory.handshake():g} s")

    def _refuse(self, why: str) -> None:
        self.setTimeout(None)
        self._factory.report(self._proxy, why)
        self.transport.abortConnection()

    def connectionLost(self, reason: object = None) -> None:
        self.setTimeout(None)


class ProxyFactory(Factory):
    """Takes the header off a trusted proxy's connection.

    inner      makes the protocol of the client behind it, TLS or what comes without
    handshake  tells how many seconds the header may take
    """

    noisy = False

    def __init__(self, inner: IProtocolFactory, trust: Trust, report: Report, handshake: Callable[[], float]) -> None:
        self.inner = inner
        self.report = report
        self.handshake = handshake
        self._trust = trust

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:  # type: ignore[override]
        host = str(getattr(addr, "host", UNIX))
        if host in self._trust:
            return _Waiting(self, plain_host(host))
        return self.inner.buildProtocol(addr)  # type: ignore[arg-type]

    def doStart(self) -> None:
        """Start the inner factory with this one."""
        super().doStart()
        self.inner.doStart()

    def doStop(self) -> None:
        """Stop the inner factory with this one."""
        self.inner.doStop()
        super().doStop()


def client_address(host: str, port: int) -> IPv4Address | IPv6Address:
    """Write an address as Twisted does; UNIX is a host too, of a client behind a proxy that has a Unix socket."""
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)
