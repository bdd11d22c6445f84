"""Opens UDP sockets: own ones, those that systemd hands over, and multicast groups."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from time import monotonic
from typing import Any, Protocol

from twisted.internet import udp
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import host_port
from hubbub.transports import inherited

_RECEIVE_BYTES = 65_536  # the length field of UDP ends before that, so that nothing is ever cut (RFC 768)
_log = Logger(namespace="hubbub.udp")
_SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>; socket has no names for these two
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")  # <linux/sock_diag.h>, SK_MEMINFO_VARS; the last is SK_MEMINFO_DROPS


class Endpoint(Protocol):
    """Where to listen, a service.config.endpoint.Endpoint: `udp` or `udp6` with host and port, or `systemd`."""

    @property
    def kind(self) -> str: ...
    @property
    def values(self) -> Mapping[str, str]: ...
    @property
    def host(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...


class Spec(Protocol):
    """What is asked for, a service.config.settings.ListenerConfig: `rcvbuf` in bytes, `group` a multicast address."""

    @property
    def id(self) -> str: ...
    @property
    def address(self) -> Endpoint: ...
    @property
    def rcvbuf(self) -> int: ...
    @property
    def reuse(self) -> bool: ...
    @property
    def group(self) -> IPv4Address | IPv6Address | None: ...


class DatagramPort(udp.Port):
    """A UDP port that reads a bounded number of datagrams, for a bounded time, before others have their turn."""

    def doRead(self) -> None:
        receive, received = self.socket.recvfrom, self.protocol.datagrams_received
        ends, left = monotonic() + limits.TURN_SECONDS, limits.DATAGRAM_BYTES_AT_ONCE
        datagrams: list[bytes] = []  # in a row from one sender
        sender: Any = None
        for _ in range(limits.DATAGRAMS_PER_TURN):
            try:
                datagram, address = receive(_RECEIVE_BYTES)
            except OSError:  # nothing is there; or an ICMP error that tells of something sent earlier
                break
            if address != sender or left < 0:
                if datagrams:
                    received(datagrams, sender)
                datagrams, sender, left = [], address, limits.DATAGRAM_BYTES_AT_ONCE
            datagrams.append(datagram)
            left -= len(datagram)
            if monotonic() >= ends:
                break
        if datagrams:
            received(datagrams, sender)

    def kernel_drops(self) -> int:
        """How many datagrams the kernel dropped because its buffer was full (SO_MEMINFO, in Linux since 4.12)."""
        try:
            found = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            return int(_MEMINFO.unpack(found)[-1])
        except (OSError, AttributeError, struct.error):  # it is closed, or this kernel can't tell
            return 0

    def write(self, datagram: bytes, addr: tuple[Any, ...] | None = None) -> None:
        """Send to an address that a datagram came from, as the kernel wrote it. Raises OSError."""
        self.socket.sendto(datagram, addr)  # type: ignore[arg-type]


class DialledPort(DatagramPort):
    """A UDP port that is connected: the kernel reports when no process listened to a datagram (udp(7))."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Go on where the reactor takes such an error for the end; the peer may come back."""
        if reason is not None and reason.check(ConnectionDone):
            self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # which clears it
            self.startReading()
        else:
            super().connectionLost(reason)


def listen_datagram(reactor: Any, spec: Spec, protocol: DatagramProtocol) -> IListeningPort:
    """Open a UDP port. Raises ConfigError naming the address and what is wrong with it."""
    with inherited.of_listener(spec.id) or open_datagram(spec) as bound:  # the port gets a duplicate
        bound.setblocking(False)
        _set_buffer(bound, spec.rcvbuf)
        # What reactor.adoptDatagramPort does, with a port of our own class.
        port: IListeningPort = DatagramPort._fromListeningDescriptor(
            reactor, bound.fileno(), bound.family, protocol, _RECEIVE_BYTES
        )
    port.startListening()
    return port


def open_datagram(spec: Spec) -> socket.socket:
    """Return a bound socket for a listener: an own one, or systemd's. Raises ConfigError."""
    return _inherited(spec) if spec.address.kind == "systemd" else _bound(spec)


def dial_datagram(
    reactor: Any, host: str, port: int, own: str | None, rcvbuf: int, protocol: DatagramProtocol
) -> DialledPort:
    """Open a UDP socket that hears `host` alone, an address, and speaks to it. Raises OSError.

    own  the address to send from; of a group or a broadcast it tells the interface
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setblocking(False)
        _set_buffer(made, rcvbuf)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)  # a broadcast address was given on purpose
        if own is not None:
            made.bind(_address(own, 0, own))
            if made.family == socket.AF_INET:
                made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
            else:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, _index(own))
        made.connect((host, port))
        opened: DialledPort = DialledPort._fromListeningDescriptor(
            reactor, made.fileno(), made.family, protocol, _RECEIVE_BYTES
        )
    opened.startListening()
    return opened


def set_buffer(port: Any, size: int) -> None:
    """Ask the kernel to keep up to `size` bytes for an open port."""
    _set_buffer(port.getHandle(), size)


def _set_buffer(bound: socket.socket, size: int) -> None:
    """Ask for `size` bytes; a configured size that the kernel doesn't grant is logged."""
    size = min(size, 2**30 - 1)
    try:
        bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except OSError:  # without root the bound is net.core.rmem_max
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    given = bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # socket(7): it is doubled
    if given < size and size != limits.DATAGRAM_BUFFER:
        _log.warn("rcvbuf={size}: the kernel gives {given} bytes; raise net.core.rmem_max", size=size, given=given)


def _bound(spec: Spec) -> socket.socket:
    """Make a socket and bind it; for a multicast group to the group itself, so that nothing else comes in."""
    host, port, group = spec.address.host, spec.address.port, spec.group
    assert host is not None
    assert port is not None
    target = str(group or host)
    made = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, target != "::")
        if spec.reuse:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if group is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a group is for everybody on a machine
            _join(made, group, host)
        made.bind(_address(target, port, host))
    except (OSError, ConfigError) as error:
        made.close()
        where = host_port(target, port)
        raise ConfigError(f"can't listen on {where}: {getattr(error, 'strerror', None) or error}") from None
    return made


def _address(host: str, port: int, interface: str) -> tuple[Any, ...]:
    """Return what `bind` wants; a link-local IPv6 address needs its interface."""
    return (host, port, 0, _index(interface)) if ":" in host else (host, port)


def _join(bound: socket.socket, group: IPv4Address | IPv6Address, interface: str) -> None:
    """Let what is sent to `group` come in through `interface`, an own address. Raises OSError, ConfigError."""
    local = ip_address(interface)
    if local.version != group.version:
        raise ConfigError(f"a group of IPv{group.version} needs interface= of IPv{group.version}, not {interface}")
    if group.version == 4:
        bound.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group.packed + local.packed)
    else:
        where = struct.pack("@I", _index(interface))
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group.packed + where)


def _index(interface: str) -> int:
    """Return the number of the interface that an IPv6 address names as its scope (RFC 4007); 0: the kernel chooses."""
    address = ip_address(interface)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return socket.if_nametoindex(address.scope_id)
    return socket.if_nametoindex("lo") if address.is_loopback else 0


def _inherited(spec: Spec) -> socket.socket:
    """Return a duplicate of the socket that systemd has opened for it. Raises ConfigError."""
    found = inherited.take(spec.address.values, socket.SOCK_DGRAM)
    try:
        if spec.group is not None:
            _join(found, spec.group, "0.0.0.0" if found.family == socket.AF_INET else "::")  # noqa: S104
    except (OSError, ConfigError) as error:
        found.close()
        raise ConfigError(getattr(error, "strerror", None) or str(error)) from None
    return found
