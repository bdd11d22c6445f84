"""Which links an operator means: those of a listener, of an address or a network."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from hubbub.errors import ConfigError
from hubbub.kernel.connection.link import Link


class UnknownListener(ConfigError):
    """There is no listener or connector of that name."""


class LinkSelector:
    """What `asked` says by `listener` and `host`; each may be missing. Raises ConfigError for what can't be meant."""

    def __init__(self, running: Any, asked: Mapping[str, Any]) -> None:
        self._listener = asked.get("listener")
        self._network = _network(asked.get("host"))
        if self._listener is None:
            return
        there = sorted(one.config.id for one in (*running.listeners, *running.connectors))
        if self._listener not in there:
            raise UnknownListener(f"there is no listener {self._listener}; there are {', '.join(there)}")

    def has(self, link: Link) -> bool:
        """Whether `link` is meant."""
        return self.covers(link.context.name, link.session.host)

    def covers(self, listener: str, host: str) -> bool:
        """Whether links of that listener and host are meant."""
        if self._listener is not None and listener != self._listener:
            return False
        return self._network is None or _within(host, self._network)


def _network(host: object) -> IPv4Network | IPv6Network | str | None:
    if host is None or host == "unix":
        return None if host is None else "unix"
    try:
        return ip_network(str(host), strict=False)
    except ValueError:
        raise ConfigError(f"--host {host}: expected an address, or a network such as 10.0.0.0/8") from None


def _within(host: str, network: IPv4Network | IPv6Network | str) -> bool:
    try:
        return not isinstance(network, str) and ip_address(host) in network
    except ValueError:  # a Unix socket
        return host == network
