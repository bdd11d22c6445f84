"""Opens UDP sockets: own ones, those that systemd hands over, and multicast groups."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Protocol

from twisted.internet import endpoints, udp
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol

from hubbub import limits
from hubbub.errors import ConfigError

_RECEIVE_BYTES = 65_536  # the length field of UDP ends before that, so that nothing is ever cut (RFC 768)
_FAMILIES = {"INET": socket.AF_INET, "INET6": socket.AF_INET6}


class Endpoint(Protocol):
    """Where to listen, a service.endpoint.Endpoint: `udp` or `udp6` with host and port, or `systemd`."""

    @property
    def kind(self) -> str: ...
    @property
    def values(self) -> Mapping[str, str]: ...
    @property
    def host(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...


class Spec(Protocol):
    """What is asked for, a service.config.ListenerConfig: `rcvbuf` in bytes, `group` a multicast address."""

    @property
    def address(self) -> Endpoint: ...
    @property
    def rcvbuf(self) -> int: ...
    @property
    def reuse(self) -> bool: ...
    @property
    def group(self) -> IPv4Address | IPv6Address | None: ...


class DatagramPort(udp.Port):
    """A UDP port that reads a bounded number of datagrams, empty ones too, before others have their turn."""

    def doRead(self) -> None:
        receive, received = self.socket.recvfrom, self.protocol.datagrams_received
        left = limits.DATAGRAM_BYTES_PER_TURN
        datagrams: list[bytes] = []  # in a row from one sender
        sender: Any = None
        for _ in range(limits.DATAGRAMS_PER_TURN):
            try:
                datagram, address = receive(_RECEIVE_BYTES)
            except OSError:  # nothing is there; or an ICMP error that tells of something sent earlier
                break
            if address != sender:
                if datagrams:
                    received(datagrams, sender)
                datagrams, sender = [], address
            datagrams.append(datagram)
            left -= len(datagram)
            if left < 0:
                break
        if datagrams:
            received(datagrams, sender)

    def write(self, datagram: bytes, addr: tuple[Any, ...] | None = None) -> None:
        """Send to an address that a datagram came from, as the kernel wrote it. Raises OSError."""
        self.socket.sendto(datagram, addr)  # type: ignore[arg-type]


def listen_datagram(reactor: Any, spec: Spec, protocol: DatagramProtocol) -> IListeningPort:
    """Open a UDP port. Raises ConfigError naming the address and what is wrong with it."""
    with _inherited(spec) if spec.address.kind == "systemd" else _bound(spec) as bound:  # the port gets a duplicate
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, min(spec.rcvbuf, 2**31 - 1))
        # What reactor.adoptDatagramPort does, with a port of our own class.
        port: IListeningPort = DatagramPort._fromListeningDescriptor(
            reactor, bound.fileno(), bound.family, protocol, _RECEIVE_BYTES
        )
    port.startListening()
    return port


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
        where = f"[{target}]:{port}" if ":" in target else f"{target}:{port}"
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
    """Return a duplicate of a socket that systemd has opened (sd_listen_fds(3)). Raises ConfigError."""
    # Twisted takes the descriptors out of the environment when it is first imported; nobody else can see them.
    given = endpoints._SystemdParser._sddaemon
    values = spec.address.values
    what = f"index={values['index']}" if "index" in values else f"name={values['name']}"
    try:
        if "index" in values:
            number = given.inheritedDescriptors()[int(values["index"])]
        else:
            number = given.inheritedNamedDescriptors()[values["name"]]
        found = socket.socket(fileno=os.dup(number))
    except (LookupError, OSError):
        raise ConfigError(f"systemd has handed over no socket with {what}") from None
    try:
        if found.type != socket.SOCK_DGRAM or found.family != _FAMILIES.get(values["domain"]):
            raise ConfigError(f"the socket of systemd with {what} isn't for UDP, domain={values['domain']}")
        if spec.group is not None:
            _join(found, spec.group, "0.0.0.0" if found.family == socket.AF_INET else "::")  # noqa: S104
    except (OSError, ConfigError) as error:
        found.close()
        raise ConfigError(getattr(error, "strerror", None) or str(error)) from None
    return found
