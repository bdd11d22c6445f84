"""Plans what the links of a listener speak: the dialect that is named, or those that `auto` tells apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.detect import Auto
from hubbub.dialects.lines import Lines
from hubbub.errors import ConfigError
from hubbub.option import closest, configure, key_of, options_of, shown
from hubbub.service.config import toml
from hubbub.service.config.link_keys import CONNECTOR_KEYS
from hubbub.service.config.settings import ConnectorConfig, LinkConfig, ListenerConfig
from hubbub.service.plugins.discovery import Plugins, reason


@dataclass(frozen=True)
class DialectPlan:
    """What new links of a listener speak.

    dialects      all that may be spoken
    first         what a link begins with: the only one, or an Auto
    subprotocols  which of them a WebSocket subprotocol means
    protocols     which of them a protocol of ALPN means, the best first
    longest       bytes of the longest unit of any
    choose        tells which of them a datagram speaks
    """

    dialects: Sequence[type[Dialect]]
    first: type[Dialect]
    subprotocols: Mapping[str, type[Dialect]]
    protocols: Mapping[str, type[Dialect]]
    longest: int
    choose: Callable[[bytes], type[Dialect] | None]


def plan(
    config: LinkConfig, dialect_context: DialectContext, plugins: Plugins, failed: Callable[[Exception], object]
) -> DialectPlan:
    """Choose the dialects of some links; `failed` gets what their `claims` raise. Raises ConfigError."""
    try:
        dialects = _candidates(config, plugins)
        first = dialects[0]
        choose: Callable[[bytes], type[Dialect] | None] = lambda datagram: dialects[0]  # noqa: E731
        if config.dialect == "auto":
            assert isinstance(config, ListenerConfig)
            greeter = next((one for one in dialects if one.name in config.auto and _greets(one)), None)
            first = auto = Auto.among(dialects, configure(Lines, {}), failed, greeter, config.greet)
            choose = auto.choose
        for template in (config.topic, config.prefix, config.subscribe):
            if template is not None:
                template.expect(first.fields)
        subprotocols = {name: dialect for dialect in dialects for name in dialect.subprotocols}
        ordered = sorted(dialects, key=lambda one: -one.priority)
        protocols = {name: dialect for dialect in ordered for name in dialect.alpn or (dialect.name,)}
        if config.transport == "websocket":
            protocols = {"http/1.1": first}
        longest = max(dialect.max_unit(dialect_context) for dialect in (*dialects, first))
    except ConfigError as error:
        raise ConfigError(f"{config.spec}: {error}") from None
    except Exception as error:
        raise ConfigError(f"{config.spec}: a dialect can't be used: {reason(error, '')}") from error
    return DialectPlan(dialects, first, subprotocols, protocols, longest, choose)


def _candidates(config: LinkConfig, plugins: Plugins) -> Sequence[type[Dialect]]:
    _check_keys(config, plugins)
    if config.dialect != "auto":
        found = plugins.configured("dialect", config.dialect, config.dialect_options, config.role)
        if config.transport not in found.transports:
            known = ", ".join(found.transports)
            raise ConfigError(f"dialect {config.dialect} is for {known}, not for {config.transport}")
        if config.role not in found.roles:
            other = "listeners, not for --connect" if config.role == "client" else "--connect, not for listeners"
            raise ConfigError(f'dialect {config.dialect} is for {other}: its class has no role "{config.role}"')
        return [found]
    assert isinstance(config, ListenerConfig)
    if config.dialect_options:
        raise ConfigError(_key_without_dialect(next(iter(config.dialect_options)), plugins))
    own = [one for one in plugins.shipped_dialects() if one is Lines or _claims(one)]
    for name in config.auto:
        if not _claims(plugins.find("dialect", name)):
            raise ConfigError(f"auto={name}: {name} can't be detected by its first bytes; it needs dialect={name}")
    every = [plugins.configured("dialect", name, {}) for name in config.auto] + [configure(one, {}) for one in own]
    return [one for one in dict.fromkeys(every) if config.transport in one.transports]


def _key_without_dialect(key: str, plugins: Plugins) -> str:
    if key in toml.SCALARS:
        return f"unknown key {key}=; in a file it belongs above the first [table]"
    owners = [one.name for one in plugins.shipped_dialects() if key in map(key_of, options_of(one))]
    if owners:
        return f"{key}= is a key of {' and '.join(f'dialect={name}' for name in owners)}; add the dialect"
    return f"unknown key {key}=; a key of a dialect needs dialect=NAME beside it"


def _check_keys(config: LinkConfig, plugins: Plugins) -> None:
    """Raise ConfigError for a key of connectors, or one that is a typing error."""
    spoken = None if config.dialect == "auto" else plugins.find("dialect", config.dialect).for_role(config.role)
    its = [] if spoken is None else [key_of(name) for name in options_of(spoken)]
    for key in map(key_of, config.dialect_options):
        if key in its or key in toml.SCALARS:
            continue
        if key in ("pull", "push"):
            raise ConfigError(f"{key}= is for --connect; what clients of a listener subscribe to is up to them")
        near = closest(key, [*its, *CONNECTOR_KEYS, *_endpoint_keys(config)])
        if near is not None:
            raise ConfigError(f"unknown key {shown(key)}=, did you mean {near}=?")


def _endpoint_keys(config: LinkConfig) -> Sequence[str]:
    if isinstance(config, ListenerConfig):
        return config.address.keys
    return config.remote.keys if isinstance(config, ConnectorConfig) else ()


def _greets(dialect: type[Dialect]) -> bool:
    return dialect.greeting.__func__ is not Dialect.greeting.__func__  # type: ignore[attr-defined]


def _claims(dialect: type[Dialect]) -> bool:
    return dialect.claims.__func__ is not Dialect.claims.__func__ and dialect is not Auto  # type: ignore[attr-defined]
