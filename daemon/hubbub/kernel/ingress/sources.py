"""Where connections come from: how many there are, in total and of one source, and how often its logins have failed.

A source is an IPv4 address, or an IPv6 /64, which is what one customer or one machine has to choose from. The counts of
connections are bounded by the connections themselves, those of failures stand in a table of fixed size.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from secrets import token_bytes

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.errors import Refusal
from hubbub.hashed_counter import HashedCounter

_MINUTE = 60.0  # seconds in which failed logins add up


class ConnectionLimit(Refusal):
    """There is no room for one more connection."""

    def __init__(self, limit: str, reason: str) -> None:
        super().__init__("unavailable", reason)
        self.limit = limit


class Sources:
    """The connections to one hub, by source.

    bounds       tells what holds now
    now          tells the monotonic time in seconds
    connections  how many there are; most: how many there ever were at once
    room         how many there is room for, whatever the bounds say: files that may be open
    """

    def __init__(self, bounds: Callable[[], Bounds], now: Callable[[], float]) -> None:
        self.connections = 0
        self.most = 0
        self.room = sys.maxsize
        self._bounds = bounds
        self._now = now
        self._counts: dict[str, int] = {}
        self._failures = HashedCounter(token_bytes(32), b"logins", limits.SOURCE_TABLE)

    def acquire(self, host: str) -> str:
        """Count one more connection from `host`; return what `release` is to be given. Raises Full."""
        bounds = self._bounds()
        if self.connections >= bounds.connections:
            raise ConnectionLimit("connections", f"{bounds.connections} connections are open already")
        if self.connections >= self.room:
            raise ConnectionLimit(
                "connections", f"{self.room} connections are open already, more than so many files can't be"
            )
        source = source_of(host)
        count = self._counts.get(source, 0)
        if 0 < bounds.source_connections <= count and (source or bounds.local):
            raise ConnectionLimit("source-connections", f"{count} connections of yours are open already")
        self.connections += 1
        self.most = max(self.most, self.connections)
        self._counts[source] = count + 1
        return source

    def release(self, source: str) -> None:
        """A connection has gone."""
        self.connections -= 1
        left = self._counts[source] - 1
        if left:
            self._counts[source] = left
        else:
            del self._counts[source]

    def rated(self, host: str) -> bool:
        """Tell whether the limits of rates hold for clients from `host`."""
        return self._bounds().local or source_of(host) != ""

    def allowed(self, host: str) -> bool:
        """Tell whether a login from `host` may be tried: not too many have failed in this minute."""
        most = self._bounds().failed_logins
        source = source_of(host)
        if not most or not (source or self._bounds().local):
            return True
        return self._failures.count(source, self._epoch()) < most

    def failed(self, host: str) -> None:
        """A login from `host` has failed."""
        self._failures.add(source_of(host), self._epoch())

    def _epoch(self) -> int:
        return int(self._now() // _MINUTE)


@lru_cache(limits.SOURCE_TABLE)
def source_of(host: str) -> str:
    """Return what counts as one with `host`: its IPv4 address, mapped or not, or its IPv6 /64; "" for local peers."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket
        return ""
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            return "" if address.is_loopback else f"{IPv6Address(int(address) >> 64 << 64)}/64"
        address = mapped
    return "" if address.is_loopback else str(address)
