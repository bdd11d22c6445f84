"""The keys of listeners and connectors: how the value of each is read, from an option string or a TOML table."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal, TypeVar

from hubbub.errors import ConfigError, Refusal
from hubbub.option import choice, duration, flag, many, shown, size
from hubbub.service.config import ingress_keys
from hubbub.template import Template
from hubbub.topics import check_filter

N = TypeVar("N", int, float)
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

FULL = ("drop-oldest", "drop-newest", "latest", "disconnect")


def identifier(raw: object) -> str:
    """Read an id. Raises ValueError."""
    if isinstance(raw, (str, int)) and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", str(raw)):
        return str(raw)
    raise ValueError("an id is up to 64 letters, digits, and _ . -, given as id=NAME")


def filled(raw: object) -> str:
    """Read some printable text. Raises ValueError."""
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


def _filtered(raw: object) -> str:
    try:
        return check_filter(filled(raw))
    except Refusal as error:
        raise ValueError(f"'{shown(raw)}' is no filter: {error.reason}") from None


def _path(raw: object) -> Path:
    return Path(filled(raw)).absolute()


def _network(raw: object) -> Network:
    return ip_network(filled(raw))


def parse_network(raw: object, source: str) -> Network:
    """Read one network, 10.0.0.0/8 or an address alone; `source` is where it stands, for messages."""
    try:
        return _network(raw)
    except ValueError as error:
        raise ConfigError(f"{source} {shown(raw)}: {error}; a network is written 10.0.0.0/8") from None


def _group(raw: object) -> Address:
    address = ip_address(filled(raw))
    if not address.is_multicast:
        raise ValueError("expected a multicast address, such as 239.255.0.1")
    return address


LISTENER_KEYS: dict[str, Callable[[object], object]] = {
    "id": identifier,
    "dialect": filled,
    "auto": many(filled),
    "greet": _positive(duration),
    "topic": _topic,
    "prefix": _topic,
    "subscribe": _filter,
    "retain": flag,
    "content-type": filled,
    "max-message": _positive(size),
    "queue": _positive(size),
    "full": choice(*FULL),
    "stall": _positive(duration),
    "idle": _positive(duration),
    "anonymous": flag,
    "compression": flag,
    "client-ca": _path,
    "strict-sni": flag,
    "as": filled,
    "hello": ingress_keys.hello,
    "answer": _positive(duration),
    "presence": _topic,
    "silent": _positive(duration),
    "rate": ingress_keys.allowance,
    "over": ingress_keys.over,
    "changed": flag,
    "rcvbuf": _positive(size),
    "reuse": flag,
    "peers": many(_network),
    "group": _group,
}
CONNECTOR_KEYS = {**LISTENER_KEYS, "pull": many(_filtered), "push": many(_filtered)}
