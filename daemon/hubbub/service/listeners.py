"""Opens listeners: from what the operator wants to a bound port whose connections become links."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.dialect import Dialect, Setting
from hubbub.dialects.detect import Auto
from hubbub.dialects.lines import Lines
from hubbub.errors import ConfigError
from hubbub.kernel.datagram import DatagramLink
from hubbub.kernel.hub import Hub
from hubbub.kernel.link import Link
from hubbub.kernel.wire import Place
from hubbub.option import configure
from hubbub.service.config import ListenerConfig, Settings
from hubbub.service.plugins import Plugins
from hubbub.transports.tcp import TCPFactory
from hubbub.transports.udp import UDPProtocol
from hubbub.transports.udp_socket import listen_datagram
from hubbub.transports.websocket import WebSocketFactory, make_site


class Listener:
    """One listener: planned when it is made, bound by `listen`."""

    def __init__(self, config: ListenerConfig, settings: Settings, plugins: Plugins) -> None:
        self.config = config
        self.port: IListeningPort | None = None
        self._origins = settings.origins
        setting = Setting(config.transport, config.max_message, config.topic)
        try:
            self._dialects = _candidates(config, plugins)
            self.dialect = self._dialects[0] if config.dialect != "auto" else Auto.among(self._dialects, Lines)
            for template in (config.topic, config.prefix, config.subscribe):
                if template is not None:
                    template.expect(self.dialect.fields)
        except ConfigError as error:
            raise ConfigError(f"{config.spec}: {error}") from None
        self.place = Place(
            name=config.id,
            setting=setting,
            prefix=config.prefix,
            subscribe=config.subscribe,
            retain=config.retain,
            content_type=config.content_type,
            queue=config.queue,
            full=config.full,
            stall=config.stall,
            idle=config.idle,
            user=config.user,
        )

    def listen(self, reactor: Any, hub: Hub) -> None:
        """Bind. Raises ConfigError naming what failed; connections are served once the reactor runs."""
        try:
            self.port = self._bind(reactor, hub)
        except ConfigError as error:
            raise ConfigError(f"{self.config.spec}: {error}") from None
        except Exception as error:
            raise ConfigError(f"{self.config.spec}: can't listen: {_sentence(error)}") from error
        self.place.anonymous = self.config.admits_anonymous(self.host)

    def _bind(self, reactor: Any, hub: Hub) -> IListeningPort:
        if self.config.transport == "udp":
            return listen_datagram(reactor, self.config, self._datagrams(hub, reactor))
        folder = self.config.address.values.get("path")
        if folder is not None and not any(b"BEGIN CERT" in one.read_bytes() for one in Path(folder).rglob("*.pem")):
            raise ConfigError(f"can't listen: there is no certificate (*.pem) in {folder}")
        factory: IProtocolFactory = TCPFactory(
            lambda wire, host, port: Link(hub, self.place, wire, self.dialect, host, port)
        )
        if self.config.transport == "websocket":
            factory = make_site(self._web_factory(hub), self._origins, reactor)
        backlog = "" if {"backlog", "domain"} & self.config.address.values.keys() else f":backlog={limits.BACKLOG}"
        return _now(serverFromString(reactor, self.config.endpoint + backlog).listen(factory))

    def _datagrams(self, hub: Hub, reactor: Any) -> UDPProtocol:
        choose: Callable[[bytes], type[Dialect] | None] = lambda data: self.dialect  # noqa: E731
        if issubclass(self.dialect, Auto):
            choose = self.dialect.choose
        return UDPProtocol(
            new_link=lambda wire, dialect, host, port: DatagramLink(hub, self.place, wire, dialect, host, port),
            choose=choose,
            now=hub.now,
            peers=self.config.peers,
            secret=secrets.token_bytes(32),
            answers=self.config.group is None,
        )

    def _web_factory(self, hub: Hub) -> WebSocketFactory:
        by_name = {name: dialect for dialect in self._dialects for name in dialect.subprotocols}
        return WebSocketFactory(
            lambda wire, dialect, host, port: Link(hub, self.place, wire, dialect, host, port),
            by_name,
            self.dialect,
            max(dialect.max_unit(self.place.setting) for dialect in (*self._dialects, self.dialect)),
        )

    @property
    def host(self) -> str | None:
        """The address that it is bound to, None for a Unix socket."""
        assert self.port is not None
        return getattr(self.port.getHost(), "host", None)

    def __str__(self) -> str:
        assert self.port is not None
        address: Any = self.port.getHost()
        if self.host is None:
            name = getattr(address, "name", b"")
            where = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        else:
            where = f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"
        return f"{self.config.transport} {where}"


def _candidates(config: ListenerConfig, plugins: Plugins) -> Sequence[type[Dialect]]:
    """Return the dialects that may be spoken there: one that is named, or those that `auto` chooses among."""
    if config.dialect != "auto":
        found = plugins.find("dialect", config.dialect)
        if config.transport not in found.transports:
            known = ", ".join(found.transports)
            raise ConfigError(f"dialect {config.dialect} is for {known}, not for {config.transport}")
        return [configure(found, config.dialect_options)]
    if config.dialect_options:
        key = next(iter(config.dialect_options))
        raise ConfigError(f"unknown key {key}=; a key of a dialect needs dialect=NAME beside it")
    named = [plugins.find("dialect", name) for name in config.auto]
    own = [one for one in plugins.shipped_dialects() if one is Lines or _claims(one)]
    every = dict.fromkeys([*named, *own])
    return [configure(one, {}) for one in every if config.transport in one.transports]


def _claims(dialect: type[Dialect]) -> bool:
    return "claims" in vars(dialect) and dialect is not Auto


def _now(listening: Deferred[IListeningPort]) -> IListeningPort:
    """Return what a Deferred has already; binding a socket waits for nothing."""
    found: list[Any] = []
    listening.addBoth(found.append)
    if not found:
        raise ConfigError("can't listen at once")
    if isinstance(found[0], Failure):
        found[0].raiseException()
    port: IListeningPort = found[0]
    return port


def _sentence(error: Exception) -> str:
    cause = getattr(error, "socketError", None) or error
    says = str(getattr(cause, "strerror", None) or cause) or type(error).__name__
    file = getattr(cause, "filename", None)
    return " ".join(f"{file}: {says}".split() if file else says.split())
