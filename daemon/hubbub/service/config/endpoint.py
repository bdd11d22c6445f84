"""Endpoint strings, such as `tcp:7000:interface=0.0.0.0`: how they are split, and which keys are Twisted's.

Parts are separated by `:`; a part is a value or `key=value`; `\\` takes the next character as it is.
These are the rules of `twisted.internet.endpoints`, so an address is quoted here as there:
`interface=\\:\\:1`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from hubbub.errors import ConfigError
from hubbub.option import choice, parse, shown

Part = tuple[str | None, object]
"""A key, None for a part without one, and its value: text, or what TOML gave."""

STREAMS = ("tcp", "tcp6", "ssl", "tls", "unix", "systemd")
DATAGRAMS = ("udp", "udp6", "systemd")

_SSL = ("privateKey", "certKey", "extraCertChain")
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tcp": (("port",), ("interface", "backlog")),
    "tcp6": (("port",), ("interface", "backlog")),
    "ssl": (("port",), ("interface", "backlog", *_SSL)),
    "tls": (("path", "port"), ("interface", "backlog")),
    "unix": (("address",), ("mode", "backlog", "lockfile")),
    "systemd": ((), ("domain", "index", "name")),
    "udp": (("port",), ("interface",)),
    "udp6": (("port",), ("interface",)),
}
"""For each kind: the parts without a key, in order, and the keys."""

_LOOPBACK = {
    "tcp": "127.0.0.1",
    "ssl": "127.0.0.1",
    "udp": "127.0.0.1",
    "tls": "127.0.0.1",
    "tcp6": "::1",
    "udp6": "::1",
}
_PART = re.compile(r"(?:[^:\\]|\\.)*", re.DOTALL)
_KEY = re.compile(r"((?:[^=\\]|\\.)*)=(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Endpoint:
    """One endpoint, checked and complete: where it listens, and how Twisted writes that.

    kind     one of STREAMS or DATAGRAMS
    values   its parts by name
    proxied  whether `haproxy:` stands before it: hubbub reads the PROXY header itself, and Twisted isn't told
    """

    kind: str
    values: Mapping[str, str]
    proxied: bool = False

    @property
    def host(self) -> str | None:
        """The address that it names, None for a Unix socket and for one that systemd hands over."""
        return self.values.get("interface")

    @property
    def port(self) -> int | None:
        """The port that it names, 0 for any that is free."""
        port = self.values.get("port")
        return None if port is None else int(port)

    @property
    def label(self) -> str:
        """What tells it from others of its kind: a port, a file's name, the name or index of a descriptor."""
        if self.kind == "systemd":
            return self.values.get("name") or self.values["index"]
        return self.values.get("port") or posixpath.basename(self.values["address"])

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that Twisted has for its kind."""
        return _KEYS[self.kind][1]

    @property
    def text(self) -> str:
        """The string that Twisted understands (for UDP its like)."""
        bare = _KEYS[self.kind][0]
        head: list[Part] = [(None, self.kind), *((None, self.values[name]) for name in bare)]
        return join(head + [(name, value) for name, value in self.values.items() if name not in bare])


def split(text: str) -> list[Part]:
    """Split an endpoint string or an option string; a value may hold a bare `=`. Raises ConfigError."""
    parts: list[Part] = []
    at = 0
    while True:
        found = _PART.match(text, at)
        assert found is not None  # it matches the empty text too
        keyed = _KEY.fullmatch(found[0])
        if keyed:
            parts.append((_ESCAPE.sub(r"\1", keyed[1]), _ESCAPE.sub(r"\1", keyed[2])))
        else:
            parts.append((None, _ESCAPE.sub(r"\1", found[0])))
        at = found.end() + 1
        if at > len(text):
            return parts
        if text[at - 1] == "\\":
            raise ConfigError("a \\ at the end escapes nothing")


def join(parts: Iterable[Part]) -> str:
    """Write parts so that `split`, and Twisted, reads them."""
    return ":".join(_quote(value) if key is None else f"{_quote(key)}={_quote(value)}" for key, value in parts)


def _quote(value: object) -> str:
    return re.sub(r"[\\:=]", r"\\\g<0>", str(value))


def take(parts: list[Part], kinds: tuple[str, ...]) -> tuple[Endpoint, list[tuple[str, object]]]:
    """Take the endpoint, one of `kinds`, out of `parts`; return it and the keys that aren't its own.

    Raises ConfigError for an unknown kind, a missing or superfluous part, and a bad value.
    """
    bare = [value for key, value in parts if key is None]
    keyed = [(key, value) for key, value in parts if key is not None]
    proxied = bare[:1] == ["haproxy"] and kinds is STREAMS
    kind, *bare = bare[proxied:] or [""]
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(_unknown_kind(kind, kinds))
    values, rest = read_values(*_KEYS[kind], bare, keyed, _CHECKS)
    return Endpoint(kind, _complete(kind, values), proxied), rest


def read_values(
    names: tuple[str, ...],
    keys: tuple[str, ...],
    bare: list[object],
    keyed: list[tuple[str, object]],
    checks: Mapping[str, Callable[[object], str]],
) -> tuple[dict[str, str], list[tuple[str, object]]]:
    """Return the checked values of an endpoint's `names` and `keys`, and the parts that aren't its own.

    Raises ConfigError for a superfluous part, one that is given twice, and a bad value.
    """
    if len(bare) > len(names):
        stray = shown(bare[len(names)])
        raise ConfigError(f"'{stray}' is no key=value, and a colon inside a value is written \\:")
    values: dict[str, str] = {}
    for key, value in [*zip(names, bare, strict=False), *keyed]:
        if key in values:
            raise ConfigError(f"{key}= is given twice")
        if key in names or key in keys:
            values[key] = parse(key, checks.get(key, filled), value)
    return values, [(key, value) for key, value in keyed if key not in values]


def _unknown_kind(kind: object, kinds: tuple[str, ...]) -> str:
    example = f", for example {kinds[0]}:{kind}" if str(kind).isdigit() else ""
    return f"unknown endpoint kind '{shown(kind)}', there are {' '.join(kinds)}{example}"


def _complete(kind: str, values: dict[str, str]) -> dict[str, str]:
    if kind == "systemd":
        if "domain" not in values or ("index" in values) == ("name" in values):
            raise ConfigError("systemd: takes domain= and one of index= and name=")
        return values
    if kind == "tls":
        values.setdefault("port", "443")
    for name in _KEYS[kind][0]:
        if name not in values:
            raise ConfigError(f"{kind}: needs its {name}, as in {kind}:{'/path' if name != 'port' else '7000'}")
    if kind in _LOOPBACK:
        values.setdefault("interface", _LOOPBACK[kind])
    if kind == "unix":
        values.setdefault("mode", "660")  # Twisted's own is 666
    return values


def filled(raw: object) -> str:
    """Read some text without NUL, which no address and no path has."""
    if isinstance(raw, str) and raw and "\0" not in raw:
        return raw
    raise ValueError("expected some text")


def number(least: int, most: int, expected: str) -> Callable[[object], str]:
    """Return the kind that takes a whole number in that range and keeps it as text."""

    def check(raw: object) -> str:
        known = isinstance(raw, int) and not isinstance(raw, bool)
        known = known or (isinstance(raw, str) and re.fullmatch("[0-9]{1,6}", raw) is not None)
        if not known or not least <= int(str(raw)) <= most:
            raise ValueError(expected)
        return str(int(str(raw)))

    return check


def _mode(raw: object) -> str:
    if isinstance(raw, str) and re.fullmatch("[0-7]{3,4}", raw):
        return raw
    raise ValueError("expected permissions as octal text, such as 660")


def _interface(raw: object) -> str:
    try:
        return str(ip_address(filled(raw)))
    except ValueError:
        raise ValueError(r"expected an IP address, such as 127.0.0.1, 0.0.0.0 or \:\:1") from None


_CHECKS: dict[str, Callable[[object], str]] = {
    "port": number(0, 65_535, "expected a port from 0 to 65535"),
    "interface": _interface,
    "backlog": number(1, 65_535, "expected a number from 1 to 65535"),
    "mode": _mode,
    "lockfile": number(0, 1, "expected 0 or 1"),
    "index": number(0, 65_535, "expected the number of a descriptor, from 0"),
    "domain": choice("INET", "INET6", "UNIX"),
}
