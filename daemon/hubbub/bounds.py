"""The limits that an operator may set, with `--limit NAME=VALUE` or in the table `[limits]` of a file.

Each is on by default. A bound that is in `limits` alone is no option: there is no reason to change it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.option import duration, flag, hint, parse, rate, shown, size


def count(raw: object) -> int:
    """Read a whole number: 1000, "1000"."""
    if isinstance(raw, str) and raw.isascii() and raw.isdecimal() and len(raw) <= 12:
        raw = int(raw)
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        return raw
    raise ValueError("expected a whole number, such as 1000")


def _bytes_rate(raw: object) -> float:
    """Read bytes per second: 1048576, "32MiB/s"."""
    try:
        return float(size(raw.removesuffix("/s") if isinstance(raw, str) else raw))
    except ValueError:
        raise ValueError("expected bytes per second, such as 32MiB/s") from None


def _at_least_one(kind: Callable[[Any], Any], most: float | None = None) -> Callable[[object], Any]:
    def check(raw: object) -> Any:
        value = kind(raw)
        if value <= 0:
            raise ValueError("expected more than 0: this limit can't be turned off")
        if most is not None and value > most:
            raise ValueError(f"expected {most:g} at most")
        return value

    return check


def _bound(default: Any, kind: Callable[[Any], Any], help: str) -> Any:
    return field(default=default, metadata={"kind": kind, "help": help})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one daemon bears: counts, bytes, seconds, and the first two per second.

    The four that concern sources and rates are off where they are 0, and don't hold for clients on loopback and Unix
    sockets unless `local` is set.
    """

    connections: int = _bound(limits.CONNECTIONS, _at_least_one(count), "connections and UDP leases, all of them")
    source_connections: int = _bound(limits.SOURCE_CONNECTIONS, count, "connections of one IPv4 address or IPv6 /64")
    failed_logins: int = _bound(limits.FAILED_LOGINS, count, "failed logins of one source in a minute")
    message_rate: float = _bound(limits.MESSAGE_RATE, rate, "messages and commands of one client")
    byte_rate: float = _bound(limits.BYTE_RATE, _bytes_rate, "bytes of one client")
    local: bool = _bound(False, flag, "apply those four to loopback and Unix sockets too")
    handshake: float = _bound(
        limits.HANDSHAKE_SECONDS, _at_least_one(duration), "time for TLS, HTTP, first bytes of a dialect"
    )
    subscriptions: int = _bound(limits.SUBSCRIPTIONS, _at_least_one(count), "subscriptions of one client")
    all_subscriptions: int = _bound(limits.SUBSCRIPTIONS_ALL, _at_least_one(count), "subscriptions of all clients")
    topic_levels: int = _bound(
        limits.TOPIC_LEVELS, _at_least_one(count, limits.MAX_TOPIC_LEVELS), "levels of a topic or a filter"
    )
    retained_messages: int = _bound(limits.RETAINED_MESSAGES, count, "retained messages; 0: none")
    retained_bytes: int = _bound(limits.RETAINED_BYTES, size, "bytes of retained messages and their topics")
    queue_age: float = _bound(limits.SESSION_SECONDS, duration, "time in a session's or a work queue; 0: no limit")
    outbox_bytes: int = _bound(limits.OUTBOX_BYTES, _at_least_one(size), "memory of the outboxes of slow consumers")


DEFAULTS = Bounds()
KINDS: dict[str, Callable[[object], Any]] = {one.name.replace("_", "-"): one.metadata["kind"] for one in fields(Bounds)}
"""What reads the value of each limit, by the name that an operator writes."""


def read_bound(raw: Any, source: str) -> tuple[str, Any]:
    """Read one limit, (name, value); `source` is where it stands. Returns field and value. Raises ConfigError."""
    name, value = raw
    key = name.replace("_", "-")
    if key not in KINDS:
        raise ConfigError(f"{source}: there is no limit {shown(name)}{hint(key, KINDS)}")
    try:
        return key.replace("-", "_"), parse(key, KINDS[key], value)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def table() -> list[tuple[str, str, str]]:
    """Return name, default and meaning of each limit, for people."""
    return [
        (one.name.replace("_", "-"), _written(one.name, one.default), one.metadata["help"]) for one in fields(Bounds)
    ]


def _written(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in ("retained_bytes", "outbox_bytes", "byte_rate"):
        return f"{int(value) // limits.MiB}MiB" + ("/s" if name == "byte_rate" else "")
    if name == "queue_age":
        return f"{value / 3600.0:g}h"
    if name == "handshake":
        return f"{value:g}s"
    return f"{value:g}/s" if name == "message_rate" else str(value)
