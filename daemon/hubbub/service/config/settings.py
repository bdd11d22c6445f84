"""What the operator wants, checked: listeners and handlers, each from one option string or one TOML table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, ClassVar

from hubbub import limits
from hubbub.bounds import DEFAULTS, Bounds, count
from hubbub.errors import BadFilter, ConfigError
from hubbub.kernel.history.rule import HistoryRule
from hubbub.kernel.ingress.rate_limiter import Rate
from hubbub.option import duration, parse, shown, size
from hubbub.service.config import ingress_keys
from hubbub.service.config.cluster import ClusterConfig
from hubbub.service.config.endpoint import DATAGRAMS, STREAMS, Endpoint, take
from hubbub.service.config.link_keys import CONNECTOR_KEYS, LISTENER_KEYS, Address, Network, identifier
from hubbub.service.config.remote import Remote, split_remote, take_remote
from hubbub.service.config.spec import parts_of
from hubbub.template import Template
from hubbub.topics import check_filter

FRAMINGS = ("end", "size", "length", "gap")


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """The keys of links, of listeners and of connectors; the docs have a table of them.

    spec              where it was given and how, for messages: `--tcp tcp:7000`
    transport         tcp, udp or websocket
    role              which side of the dialect is spoken here
    full              None: as the dialect has it
    user              the user that every client here is, `as=`
    hello             bytes that are sent first, on each link
    answer            seconds that a half-duplex device has for a reply
    presence          topic of a client's presence; silent: seconds of silence after which it is offline
    rate, changed     which messages are let in
    max_message, queue, rcvbuf are bytes; stall, idle are seconds
    dialect_options   what is left, for the options of the dialect
    """

    role: ClassVar[str]

    spec: str
    transport: str
    id: str
    dialect: str
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
    user: str | None = None
    hello: bytes = b""
    answer: float | None = None
    presence: Template | None = None
    silent: float | None = None
    rate: Rate | None = None
    changed: bool = False
    rcvbuf: int = limits.DATAGRAM_BUFFER
    dialect_options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ListenerConfig(LinkConfig):
    """One open port as the operator wants it.

    address    the endpoint in parts; `endpoint` is its string for Twisted
    auto       dialects beyond the shipped ones that `dialect=auto` may choose, and those that have to speak first
    greet      seconds of silence after which one of these does
    anonymous  None: not said, see `admits_anonymous`
    client_ca    the file with the authorities that TLS clients need a certificate of
    strict_sni   whether a TLS client that asks for a name that no certificate has is refused
    compression  whether WebSocket clients may have messages compressed
    """

    role = "server"

    address: Endpoint
    dialect: str = "auto"
    auto: tuple[str, ...] = ()
    greet: float = limits.GREET_SECONDS
    anonymous: bool | None = None
    compression: bool = False
    client_ca: Path | None = None
    strict_sni: bool = False
    reuse: bool = False
    peers: tuple[Network, ...] = ()
    group: Address | None = None

    @property
    def binding(self) -> tuple[object, ...]:
        """What can only be changed by closing the port: all else a reload changes while it is open."""
        return self.transport, self.address, self.reuse, self.group

    @property
    def endpoint(self) -> str:
        """The endpoint string, with Twisted's keys only."""
        return self.address.text

    def admits_anonymous(self, host: str | None, logins: bool = False) -> bool:
        """Tell whether a client without a login may do anything, where `host` is the address it is bound to.

        host: None for a Unix socket. Where nothing was said, loopback and Unix sockets do, unless there are `logins`.
        Raises ConfigError for an address that other hosts reach with neither logins, `anonymous=yes` nor `as=`.
        """
        if self.user is not None or self.anonymous or logins:
            return bool(self.anonymous)
        if host is None or _is_loopback(host):
            return self.anonymous is None
        raise ConfigError(f"{self.spec} is open to the network ({host}): add anonymous=yes or as=USER, or --auth")


@dataclass(frozen=True, kw_only=True)
class ConnectorConfig(LinkConfig):
    """One link that is dialled and kept up, as the operator wants it.

    remote  where it dials
    pull    filters that it asks the other side for
    push    filters of the messages that the other side gets
    """

    role = "client"

    remote: Remote
    dialect: str = "raw"
    pull: tuple[str, ...] = ()
    push: tuple[str, ...] = ()


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

    auth         pairs of where an `--auth` stands and what it says; ignore_logins: it is `none`
    permissions  the file of rules, control: the control socket, None: the default place
    metrics      the endpoint that serves metrics; drain: seconds
    state        the folder where sessions and retained messages are kept, None: in memory
    on_damage    "set-aside" or "refuse": for a damaged file there
    durability   "fsync" or "process": what an acknowledgement waits for
    once         seconds that an idempotency key is remembered
    watch        whether a changed file in `plugin_dirs` causes a reload
    history      rules of the messages that are kept
    bounds       what `--limit` says
    cluster      the cluster that the daemon is a node of, or None
    workers      processes that share the ports
    """

    listeners: tuple[ListenerConfig, ...] = ()
    connectors: tuple[ConnectorConfig, ...] = ()
    handlers: tuple[HandlerConfig, ...] = ()
    plugin_dirs: tuple[Path, ...] = ()
    origins: tuple[str, ...] = ()
    trust_proxy: tuple[Network, ...] = ()
    auth: tuple[tuple[str, str], ...] = ()
    ignore_logins: bool = False
    permissions: Path | None = None
    metrics: str | None = None
    control: Path | None = None
    drain: float = limits.DRAIN_SECONDS
    state: Path | None = None
    durability: str = "fsync"
    on_damage: str = "set-aside"
    once: float = limits.ONCE_SECONDS
    watch: bool = False
    history: tuple[HistoryRule, ...] = ()
    bounds: Bounds = DEFAULTS
    cluster: ClusterConfig | None = None
    workers: int = 1

    def __post_init__(self) -> None:
        if len(self.history) > limits.HISTORY_RULES:
            raise ConfigError(f"--history is there {len(self.history)} times; {limits.HISTORY_RULES} at most")
        for filter, times in Counter(rule.filter for rule in self.history).items():
            if times > 1:
                raise ConfigError(f"--history {shown(filter)} is given twice")
        for listener in () if self.trust_proxy else self.listeners:
            if listener.address.proxied:
                reason = (
                    "haproxy: takes the addresses of clients from a proxy: name the proxy's network with --trust-proxy"
                )
                raise ConfigError(f"{listener.spec}: {reason}")
        for group in ((*self.listeners, *self.connectors), self.handlers):
            seen: dict[str, str] = {}
            for one in group:
                if one.id in seen:
                    raise ConfigError(f"{one.spec}: the id {one.id} is taken by {seen[one.id]}; add id=NAME")
                seen[one.id] = one.spec


def parse_listener(transport: str, raw: object, source: str) -> ListenerConfig:
    """Read one listener from an option string or a TOML table; `source` is where it stands, for messages."""
    spec, parts = parts_of(raw, "endpoint", source)
    try:
        address, rest = take(parts, DATAGRAMS if transport == "udp" else STREAMS)
        own, options = _own_keys(rest, transport, LISTENER_KEYS)
        _check_clashes(own, options)
        if "hello" in own and (transport == "udp" or own.get("dialect", "auto") == "auto"):
            raise ConfigError("hello= is for a connection whose dialect= is named")
        for name in _TLS_KEYS & set(own):
            if address.kind not in ("ssl", "tls"):
                raise ConfigError(f"{name.replace('_', '-')}= is for TLS, ssl: or tls:")
        if "id" not in own:
            own["id"] = parse("id", identifier, _default_id(transport, address))
    except ConfigError as error:
        raise ConfigError(f"{spec}: {error}") from None
    return ListenerConfig(spec=spec, transport=transport, address=address, dialect_options=options, **own)


def parse_connector(raw: object, source: str) -> ConnectorConfig:
    """Read one connector from an option string or a TOML table; `source` is where it stands, for messages."""
    spec, parts = parts_of(raw, "endpoint", source, split_remote)
    try:
        remote, rest = take_remote(parts)
        own, options = _own_keys(rest, remote.transport, CONNECTOR_KEYS)
        _check_clashes(own, options)
        for name in own.keys() & _LISTENER_FIELDS:
            raise ConfigError(f"{name}= is for listeners; a connector is one link to a known address")
        if own.get("dialect") == "auto":
            raise ConfigError("dialect=auto detects a client by its first bytes; a connector needs dialect=NAME")
        if "id" not in own:
            own["id"] = parse("id", identifier, remote.label)
    except ConfigError as error:
        raise ConfigError(f"{spec}: {error}") from None
    return ConnectorConfig(spec=spec, transport=remote.transport, remote=remote, dialect_options=options, **own)


def parse_handler(raw: object, source: str) -> HandlerConfig:
    """Read one handler: `alarm:above=30:topic=temp/#`, or a TOML table with `name`."""
    spec, parts = parts_of(raw, "name", source)
    name, options = str(parts[0][1]), {key: value for key, value in parts if key is not None}
    try:
        if parts[0][0] is not None or not name:
            raise ConfigError("it begins with the handler's name, as in upper or alarm:above=30")
        if len(options) < len(parts) - 1:
            raise ConfigError("after the name each part is key=value, and a colon inside a value is written \\:")
        own = parse("id", identifier, options.pop("id", name))
    except ConfigError as error:
        raise ConfigError(f"{spec}: {error}") from None
    return HandlerConfig(spec=spec, name=name, id=own, options=options)


def parse_history(raw: object, source: str) -> HistoryRule:
    """Read what is to be kept: `sensors/#:age=24h:messages=100000:bytes=1GiB`, or a TOML table with `filter`."""
    spec, parts = parts_of(raw, "filter", source)
    values: dict[str, Any] = {}
    try:
        filter = check_filter(str(parts[0][1])) if parts[0][0] is None else ""
        if not filter or filter.startswith("$"):
            raise ConfigError("it begins with a filter, as in sensors/#; what begins with $ isn't kept")
        for key, value in parts[1:]:
            if key not in _HISTORY_KEYS:
                raise ConfigError(f"the keys after a filter are {', '.join(f'{name}=' for name in _HISTORY_KEYS)}")
            values[key] = parse(key, _HISTORY_KEYS[key], value)
    except (BadFilter, ConfigError) as error:
        raise ConfigError(f"{spec}: {error.reason if isinstance(error, BadFilter) else error}") from None
    return HistoryRule(filter, **values)


def _more_than_none(kind: Callable[[object], Any]) -> Callable[[object], Any]:
    def read(raw: object) -> Any:
        value = kind(raw)
        if value <= 0:
            raise ValueError("expected more than 0")
        return value

    return read


_HISTORY_KEYS: dict[str, Callable[[object], Any]] = {
    "age": _more_than_none(duration),
    "messages": _more_than_none(count),
    "bytes": _more_than_none(size),
}


def _own_keys(
    rest: list[tuple[str, object]], transport: str, kinds: Mapping[str, Callable[[object], object]]
) -> tuple[dict[str, Any], dict[str, object]]:
    """Sort keys into fields of a LinkConfig, parsed, and what is left for the dialect."""
    own: dict[str, Any] = {}
    options: dict[str, object] = {}
    for key, raw in rest:
        name = key.replace("_", "-")
        if name in _UDP_KEYS and transport != "udp":
            raise ConfigError(f"{name}= is for UDP")
        if name in _WEB_KEYS and transport != "websocket":
            raise ConfigError(f"{name}= is for WebSocket")
        if name in kinds:
            own[_FIELDS.get(name, name.replace("-", "_"))] = parse(name, kinds[name], raw)
        else:
            options[name] = raw
    ingress_keys.settle(own, transport)
    return own, options


def _check_clashes(own: Mapping[str, Any], options: Mapping[str, object]) -> None:
    framings = [f"{name}=" for name in FRAMINGS if name in options]
    if len(framings) > 1:
        raise ConfigError(f"{' and '.join(framings)} are given, but a stream is framed in one way")
    if own.get("anonymous") and "user" in own:
        raise ConfigError("anonymous=yes and as= are given, but with as= every client has a user")
    if "auto" in own and own.get("dialect", "auto") != "auto":
        raise ConfigError(f"auto= and dialect={own['dialect']} are given, but auto= is for dialect=auto")
    if "prefix" in own and own["prefix"].text.endswith("/"):
        raise ConfigError("prefix= must not end with /, which hubbub adds")


def _default_id(transport: str, address: Endpoint) -> str:
    return f"{transport if transport == 'websocket' or address.kind == 'systemd' else address.kind}-{address.label}"


def _is_loopback(host: str) -> bool:
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


_UDP_KEYS = frozenset({"rcvbuf", "reuse", "peers", "group"})
_WEB_KEYS = frozenset({"compression"})
_TLS_KEYS = frozenset({"client_ca", "strict_sni"})
_FIELDS = {"as": "user"}
_LISTENER_FIELDS = {*_TLS_KEYS, "anonymous", "compression", "auto", "greet", "reuse", "peers", "group"}
