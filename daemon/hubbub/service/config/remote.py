"""Where a connector dials: a client endpoint such as `tcp:10.0.0.5:7000`, or a WebSocket URL; and its keys.

An endpoint is split as a listener's is. In a URL, `ws://hub:8999/path:dialect=json`, the colons of `//host:port` are
its own; the next one begins the keys. A colon in its path or query is written %3A. `mqtt://HOST` is another way to
write `tcp:HOST:1883:dialect=mqtt`; there are `mqtts://` and `nats://` too. `nats://a,b:4333` names several servers of
which one is dialled, and the next one when the link is lost: it is `tcp:a:4222:servers=b\\:4333`; so does
`nats://a,nats://b:4333`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import host_port, shown
from hubbub.service.config.endpoint import Part, filled, number, read_values, split

_TLS = ("trustRoots", "certificate", "privateKey")
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tcp": (("host", "port"), ("bindAddress", "servers")),
    "tls": (("host", "port"), ("bindAddress", "servers", *_TLS)),
    "unix": (("address",), ()),
    "udp": (("host", "port"), ("bindAddress",)),
    "ws": (("url",), ("bindAddress",)),
    "wss": (("url",), ("bindAddress", *_TLS)),
}
"""For each kind: the parts without a key, in order, and the keys."""

_URL = re.compile(r"(wss?://(?:\[[^\]]*\]|[^\[\]/?#:\\]*)(?::[0-9]*)?(?:[/?][^:]*)?)(?::(.*))?", re.DOTALL)
_SERVERS = {
    "mqtt": ("tcp", "1883", "mqtt"),
    "mqtts": ("tls", "8883", "mqtt"),
    "nats": ("tcp", "4222", "nats"),
}
"""For each scheme of a server's URL: the kind of endpoint, the default port, the dialect."""
_PLACE = r"(\[[^\]]*\]|[^\[\]/?#:,\\]+)(?::([0-9]+))?"  # HOST, or HOST:PORT
_SERVER = re.compile(rf"(\w+)://{_PLACE}((?:,(?:\w+://)?{_PLACE})*)/?(?::(.*))?", re.DOTALL)
_PASSWORD = re.compile("//[^/?#]*@")


@dataclass(frozen=True)
class Remote:
    """The address that a connector dials, checked and complete.

    kind    one of tcp, tls, unix, udp, ws, wss
    values  its parts by name, with Twisted's names; for a URL `host` and `port` too
    """

    kind: str
    values: Mapping[str, str]

    @property
    def transport(self) -> str:
        """The transport that a dialect sees: tcp, udp or websocket."""
        return {"udp": "udp", "ws": "websocket", "wss": "websocket"}.get(self.kind, "tcp")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that Twisted has for its kind."""
        return _KEYS[self.kind][1]

    @property
    def secure(self) -> bool:
        """Whether it is dialled with TLS."""
        return self.kind in ("tls", "wss")

    @property
    def host(self) -> str:
        """Its name or address; a Unix socket has none."""
        return self.values.get("host", "")

    @property
    def port(self) -> int:
        """Its port, 0 for a Unix socket."""
        return int(self.values.get("port", 0))

    def turn(self, at: int) -> Remote:
        """Return its server number `at`, counted round and round."""
        places = [(self.host, str(self.port)), *_places(self.values.get("servers", ""))]
        host, port = places[at % len(places)]
        return replace(self, values={**self.values, "host": host, "port": port}) if len(places) > 1 else self

    @property
    def servers(self) -> int:
        """How many servers there are to choose from."""
        return 1 + len(_places(self.values.get("servers", "")))

    @property
    def label(self) -> str:
        """The default id: tcp-10.0.0.5-7000."""
        where = f"{self.host}-{self.port}" if self.host else posixpath.basename(self.values["address"])
        return f"{self.kind}-{re.sub('[:%]', '-', where)}"

    def __str__(self) -> str:
        if not self.host:
            return f"{self.kind} {self.values['address']}"
        return f"{self.kind} {host_port(self.host, self.port)}"


def split_remote(text: str) -> list[Part]:
    """Split an option string of a connector; a URL is one part, as it stands. Raises ConfigError."""
    scheme = text.partition("://")[0]
    if scheme not in ("ws", "wss", *_SERVERS):
        return split(text)
    if _PASSWORD.search(text):
        raise ConfigError("a URL with a user and a password isn't supported")
    if scheme in _SERVERS:
        return _split_server(text)
    found = _URL.fullmatch(text)
    if found is None or (found[2] is not None and "=" not in found[2].partition(":")[0]):
        raise ConfigError("that is no URL of WebSocket and keys, such as ws://hub.example.org:8999/:dialect=json")
    return [(None, found[1]), *(split(found[2]) if found[2] is not None else [])]


def _split_server(text: str) -> list[Part]:
    found = _SERVER.fullmatch(text)
    if found is None or (found[7] is not None and "=" not in found[7].partition(":")[0]):
        scheme = text.partition(":")[0]
        raise ConfigError(f"that is no {scheme}://HOST:PORT and keys, such as {scheme}://example.org:pull=sensors/#")
    kind, port, dialect = _SERVERS[found[1]]
    address: list[Part] = [(None, kind), (None, found[2].strip("[]")), (None, found[3] or port)]
    if any(scheme != found[1] for scheme in re.findall(r"(\w+)://", found[4])):
        raise ConfigError(f"all servers are {found[1]}:// or have no scheme")
    others = [f"{host}:{other or port}" for host, other in re.findall(_PLACE, found[4].replace(f"{found[1]}://", ""))]
    servers: list[Part] = [("servers", ",".join(others))] if others else []
    return [*address, *servers, ("dialect", dialect), *(split(found[7]) if found[7] is not None else [])]


def masked(text: str) -> str:
    """Write what an operator gave without the password that a URL may hold."""
    return _PASSWORD.sub("//***@", text, count=1)


def take_remote(parts: list[Part]) -> tuple[Remote, list[tuple[str, object]]]:
    """Take where to dial out of `parts`; return it and the keys that aren't its own.

    Raises ConfigError for an unknown kind, a missing or superfluous part, and a bad value.
    """
    bare = [value for key, value in parts if key is None]
    keyed = [(key, value) for key, value in parts if key is not None]
    head = str(bare[0]) if bare else ""
    kind, url, _ = head.partition("://")
    if url and kind in ("ws", "wss"):
        values, rest = read_values(*_KEYS[kind], bare, keyed, _CHECKS)
        values |= _read_url(values["url"])
    elif head in _KEYS and head not in ("ws", "wss"):
        kind = head
        values, rest = read_values(*_KEYS[kind], bare[1:], keyed, _CHECKS)
    else:
        raise ConfigError(_unknown_kind(head, bare))
    for name in _KEYS[kind][0]:
        if name not in values:
            example = "/run/device.sock" if kind == "unix" else "10.0.0.5:7000"
            raise ConfigError(f"{kind}: needs its {name}, as in {kind}:{example}")
    if "privateKey" in values and "certificate" not in values:
        raise ConfigError("privateKey= is given without certificate=")
    return Remote(kind, values), rest


def _unknown_kind(kind: str, bare: list[object]) -> str:
    if kind in ("ws", "wss"):
        return f"{kind}: is written as a URL, {kind}://HOST:PORT/"
    known = "there are tcp: tls: unix: udp: ws:// wss:// mqtt:// mqtts:// nats://"
    if len(bare) == 2 and str(bare[1]).isdecimal():
        known = f"did you mean tcp:{shown(kind)}:{shown(bare[1])}?"
    return f"there is no connector for '{shown(kind)}': {known}"


def _read_url(url: str) -> dict[str, str]:
    """Return host and port of a WebSocket URL (RFC 6455 section 3). Raises ConfigError."""
    try:
        found = urlsplit(url)
        host, port = found.hostname, found.port
    except ValueError as error:
        raise ConfigError(f"in the URL: {error}") from None
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError("a URL names a host, and is ASCII without spaces; other characters are written %XX")
    if "#" in url:
        raise ConfigError("a URL of WebSocket has no #fragment (RFC 6455 section 3); write %23")
    if port == 0:
        raise ConfigError("port 0 can't be dialled")
    return {"host": host, "port": str(port or (443 if found.scheme == "wss" else 80))}


_port = number(1, 65_535, "expected a port from 1 to 65535")


def _host(raw: object) -> str:
    text = filled(raw)
    if text.isprintable() and " " not in text and "/" not in text and len(text) <= 253:
        return text
    raise ValueError("expected a host name or an address")


def _address(raw: object) -> str:
    try:
        return str(ip_address(filled(raw)))
    except ValueError:
        raise ValueError("expected an own IP address, such as 192.168.1.2") from None


def _servers(raw: object) -> str:
    text = filled(raw)
    found = [re.fullmatch(_PLACE, one) for one in text.split(",")]
    if len(found) >= limits.SERVERS:
        raise ValueError(f"expected fewer than {limits.SERVERS} servers")
    for one in found:
        if one is None or one[2] is None:
            raise ValueError("expected HOST:PORT, or several with commas between them")
        _host(one[1].strip("[]"))
        _port(one[2])
    return text


def _places(servers: str) -> list[tuple[str, str]]:
    return [(host.strip("[]"), port) for host, port in re.findall(_PLACE, servers)]


def _path(raw: object) -> str:
    return str(Path(filled(raw)).absolute())  # before twistd goes to --rundir


_CHECKS = {
    "host": _host,
    "port": _port,
    "servers": _servers,
    "address": _path,
    "bindAddress": _address,
    "trustRoots": _path,
    "certificate": _path,
    "privateKey": _path,
}
