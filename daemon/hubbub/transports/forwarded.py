"""Trusted proxies, and the client address that they give in `X-Forwarded-For`.

RFC 7239's `Forwarded` isn't read: a proxy that writes one of the two headers passes on the other as the client wrote
it, and a client that can choose which one is read can choose where it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from hubbub import limits

Address = tuple[str, int]
"""Host and port; the port is 0 where it isn't known."""

UNIX = "unix"  # the host of a client that has no address
_ENTRY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]+)")


class Trust:
    """The networks of trusted proxies, `--trust-proxy`; a client over a Unix socket counts as 127.0.0.1."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network] = ()) -> None:
        self._networks = tuple(networks)

    def adopt(self, other: Trust) -> None:
        """Trust what `other` trusts."""
        self._networks = other._networks

    def __contains__(self, host: str) -> bool:
        if not self._networks:
            return False
        try:
            address = ip_address("127.0.0.1" if host == UNIX else plain_host(host))
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def client(self, peer: Address, forwarded: str) -> Address:
        """Return the address of the client behind `peer`, which sent `forwarded`, the value of X-Forwarded-For.

        Each proxy appends the address of its peer: this reads from the end, as long as the proxies are trusted.
        """
        client = peer
        for entry in reversed(forwarded.rsplit(",", limits.PROXIES)[-limits.PROXIES :]):
            named = _address(entry.strip()) if client[0] in self else None
            if named is None:
                break
            client = named
        return client


def _address(entry: str) -> Address | None:
    """Read one entry: an address, with its port or without."""
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return None
    try:
        host, port = str(ip_address(found[1] or found[2] or found[4])), int(found[3] or 0)
    except ValueError:
        return None
    return (plain_host(host), port) if port <= 65_535 else None


def plain_host(host: str) -> str:
    """Write an IPv4 address that came in by an IPv6 socket as the IPv4 address that it is."""
    if not host.startswith("::ffff:"):
        return host
    mapped = IPv6Address(host).ipv4_mapped
    return host if mapped is None else str(mapped)
