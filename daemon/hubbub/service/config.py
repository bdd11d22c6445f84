"""What the operator wants, checked: listeners and handlers, each from one option string or one TOML table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Literal, TypeVar

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import choice, duration, flag, many, parse, shown, size
from hubbub.service.endpoint import DATAGRAMS, STREAMS, Endpoint, Part, split, take
from hubbub.template import Template

N = TypeVar("N", int, float)
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

FULL = ("drop-oldest", "drop-newest", "latest", "disconnect")
FRAMINGS = ("end", "size", "length", "gap")


@dataclass(frozen=True, kw_only=True)
class ListenerConfig:
    """One open port as the operator wants it; what each key means is the table of the options in the docs.

    spec              where it was given and how, for messages: `--tcp tcp:7000`
    transport         tcp, udp or websocket
    address           the endpoint in parts; `endpoint` is its string for Twisted
    auto              dialects beyond the shipped ones that `dialect=auto` may choose
    full              None: as the dialect has it
    anonymous         None: not said, see `admits_anonymous`
    user              who every client here is, `as=`
    max_message, queue, rcvbuf are bytes; stall, idle are seconds
    dialect_options   what is left, for the options of the dialect
    """

    spec: str
    transport: str
    address: Endpoint
    id: str
    dialect: str = "auto"
    auto: tuple[str, ...] = ()
    topic: Template | None = None
    prefix: Template | None = None
    subscribe: Template | None = None
    retain: bool = False
    content_type: str | None = None
    max_message: int = limits.MESSAGE_BYTES
    queue: int = limits.QUEUE_BYTES
    full: str | None = None
    stall: float = limits.STALL_SECONDS
    idle: float = limits.IDLE_SECONDS
    anonymous: bool | None = None
    user: str | None = None
    rcvbuf: int = limits.DATAGRAM_BUFFER
    reuse: bool = False
    peers: tuple[Network, ...] = ()
    group: Address | None = None
    dialect_options: Mapping[str, object] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """The endpoint string, with Twisted's keys only."""
        return self.address.text

    def admits_anonymous(self, host: str | None) -> bool:
        """Tell whether a client without a login may do anything, where `host` is the address it is bound to.

        host: None for a Unix socket. Where nothing was said, loopback and Unix sockets do.
        Raises ConfigError for an address that strangers reach with neither `anonymous=yes` nor `as=`.
        """
        if self.user is not None or self.anonymous:
            return bool(self.anonymous)
        if host is None or _is_loopback(host):
            return self.anonymous is None
        raise ConfigError(f"{self.spec} is open to the network ({host}): add anonymous=yes or as=USER")


@dataclass(frozen=True, kw_only=True)
class HandlerConfig:
    """One handler to run: the plugin's name, its own id, and what is left for its options."""

    spec: str
    name: str
    id: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that one daemon was asked for.

    permissions  the file of rules, control: the control socket, None: the default place
    metrics      the endpoint where figures are served; drain: seconds
    """

    listeners: tuple[ListenerConfig, ...] = ()
    handlers: tuple[HandlerConfig, ...] = ()
    plugin_dirs: tuple[Path, ...] = ()
    origins: tuple[str, ...] = ()
    permissions: Path | None = None
    metrics: str | None = None
    control: Path | None = None
    drain: float = limits.DRAIN_SECONDS

    def __post_init__(self) -> None:
        for group in (self.listeners, self.handlers):
            seen: dict[str, str] = {}
            for one in group:
                if one.id in seen:
                    raise ConfigError(f"{one.spec}: the id {one.id} is taken by {seen[one.id]}; add id=NAME")
                seen[one.id] = one.spec


def parse_listener(transport: str, raw: object, source: str) -> ListenerConfig:
    """Read one listener from an option string or a TOML table; `source` is where it stands, for messages."""
    spec, parts = _parts(raw, "endpoint", source)
    try:
        address, rest = take(parts, DATAGRAMS if transport == "udp" else STREAMS)
        own, options = _own_keys(rest, transport)
        _check_clashes(own, options)
        if "id" not in own:
            own["id"] = parse("id", _identifier, _default_id(transport, address))
    except ConfigError as error:
        raise ConfigError(f"{spec}: {error}") from None
    return ListenerConfig(spec=spec, transport=transport, address=address, dialect_options=options, **own)


def parse_handler(raw: object, source: str) -> HandlerConfig:
    """Read one handler: `alarm:above=30:topic=temp/#`, or a TOML table with `name`."""
    spec, parts = _parts(raw, "name", source)
    name, options = str(parts[0][1]), {key: value for key, value in parts if key is not None}
    try:
        if parts[0][0] is not None or not name:
            raise ConfigError("it begins with the handler's name, as in upper or alarm:above=30")
        if len(options) < len(parts) - 1:
            raise ConfigError("after the name each part is key=value, and a colon inside a value is written \\:")
        own = parse("id", _identifier, options.pop("id", name))
    except ConfigError as error:
        raise ConfigError(f"{spec}: {error}") from None
    return HandlerConfig(spec=spec, name=name, id=own, options=options)


def _parts(raw: object, first: str, source: str) -> tuple[str, list[Part]]:
    """Return the spec for messages and the parts of an option string or table. Raises ConfigError."""
    table: dict[str, object] = dict(raw) if isinstance(raw, dict) else {first: raw}
    head = table.pop(first, None)
    if not isinstance(head, str):
        raise ConfigError(f'{source}: expected text or a table with {first} = "..."')
    spec = f"{source} {shown(head)}"
    try:
        parts = split(head) + list(table.items())
    except ConfigError as error:
        raise ConfigError(f"{spec}: {error}") from None
    seen = set()
    for name in (key.replace("_", "-") for key, _ in parts if key is not None):
        if name in seen:
            raise ConfigError(f"{spec}: {shown(name)}= is given twice")
        seen.add(name)
    return spec, parts


def _own_keys(rest: list[tuple[str, object]], transport: str) -> tuple[dict[str, Any], dict[str, object]]:
    """Sort keys into fields of ListenerConfig, parsed, and what is left for the dialect."""
    own: dict[str, Any] = {}
    options: dict[str, object] = {}
    for key, raw in rest:
        name = key.replace("_", "-")
        if name in _UDP_KEYS and transport != "udp":
            raise ConfigError(f"{name}= is for UDP")
        if name in _KINDS:
            own[_FIELDS.get(name, name.replace("-", "_"))] = parse(name, _KINDS[name], raw)
        else:
            options[name] = raw
    return own, options


def _check_clashes(own: Mapping[str, Any], options: Mapping[str, object]) -> None:
    framings = [f"{name}=" for name in FRAMINGS if name in options]
    if len(framings) > 1:
        raise ConfigError(f"{' and '.join(framings)} are given, but a stream is framed in one way")
    if own.get("anonymous") and "user" in own:
        raise ConfigError("anonymous=yes and as= are given, but with as= nobody is anonymous")
    if "auto" in own and own.get("dialect", "auto") != "auto":
        raise ConfigError(f"auto= and dialect={own['dialect']} are given, but auto= is for dialect=auto")
    if "prefix" in own and own["prefix"].text.endswith("/"):
        raise ConfigError("prefix= ends without /, which is put between")


def _default_id(transport: str, address: Endpoint) -> str:
    return f"{'websocket' if transport == 'websocket' else address.kind}-{address.label}"


def _is_loopback(host: str) -> bool:
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _identifier(raw: object) -> str:
    if isinstance(raw, (str, int)) and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", str(raw)):
        return str(raw)
    raise ValueError("an id is up to 64 letters, digits, and _ . -, given as id=NAME")


def _filled(raw: object) -> str:
    if isinstance(raw, str) and raw and raw.isprintable():
        return raw
    raise ValueError("expected some text")


def _positive(kind: Callable[[object], N]) -> Callable[[object], N]:
    def check(raw: object) -> N:
        value = kind(raw)
        if value <= 0:
            raise ValueError("expected more than 0")
        return value

    return check


def _topic(raw: object) -> Template:
    return _template(raw, "topic")


def _filter(raw: object) -> Template:
    return _template(raw, "filter")


def _template(raw: object, kind: Literal["topic", "filter"]) -> Template:
    if isinstance(raw, str):
        return Template(raw, kind)
    raise ValueError(f"expected a {kind}")


def _network(raw: object) -> Network:
    return ip_network(_filled(raw))


def _group(raw: object) -> Address:
    address = ip_address(_filled(raw))
    if not address.is_multicast:
        raise ValueError("expected a multicast address, such as 239.255.0.1")
    return address


_UDP_KEYS = frozenset({"rcvbuf", "reuse", "peers", "group"})
_FIELDS = {"as": "user"}
_KINDS: dict[str, Callable[[object], object]] = {
    "id": _identifier,
    "dialect": _filled,
    "auto": many(_filled),
    "topic": _topic,
    "prefix": _topic,
    "subscribe": _filter,
    "retain": flag,
    "content-type": _filled,
    "max-message": _positive(size),
    "queue": _positive(size),
    "full": choice(*FULL),
    "stall": _positive(duration),
    "idle": _positive(duration),
    "anonymous": flag,
    "as": _filled,
    "rcvbuf": _positive(size),
    "reuse": flag,
    "peers": many(_network),
    "group": _group,
}
