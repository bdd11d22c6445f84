"""Opens listeners: from what the operator wants to a bound port whose connections become links."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.python.failure import Failure
from twisted.web.server import Site

from hubbub import limits
from hubbub.dialect import Dialect, Setting
from hubbub.errors import ConfigError
from hubbub.kernel.datagram import DatagramLink
from hubbub.kernel.hub import Hub
from hubbub.kernel.link import Link
from hubbub.kernel.wire import Place, Wire
from hubbub.service.config import ListenerConfig, Settings
from hubbub.service.plugins import Plugins
from hubbub.service.spoken import plan
from hubbub.transports.tcp import TCPFactory
from hubbub.transports.udp import UDPProtocol
from hubbub.transports.udp_socket import listen_datagram
from hubbub.transports.websocket import Door, WebSocketFactory, make_site


class Listener:
    """One listener: planned when it is made, which raises ConfigError; bound by `listen`."""

    def __init__(self, config: ListenerConfig, settings: Settings, plugins: Plugins, hub: Hub) -> None:
        self.config = config
        self.hub = hub
        self.port: IListeningPort | None = None
        self._origins = settings.origins
        self._renew: Callable[[], object] = lambda: None
        setting = Setting(config.transport, config.max_message, config.topic)
        self.spoken = plan(config, setting, plugins, hub.fail)
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

    def reload(self, plugins: Plugins) -> bool:
        """Let new links speak what `plugins` has now; live ones keep what they have. Tells whether it is something new.

        Raises ConfigError, and leaves all as it was.
        """
        spoken = plan(self.config, self.place.setting, plugins, self.hub.fail)
        if spoken.dialects == self.spoken.dialects:
            return False
        self.spoken = spoken
        self._renew()
        return True

    def listen(self, reactor: Any) -> None:
        """Bind. Raises ConfigError naming what failed; connections are served once the reactor runs."""
        try:
            self.port = self._bind(reactor)
        except ConfigError as error:
            raise ConfigError(f"{self.config.spec}: {error}") from None
        except Exception as error:
            raise ConfigError(f"{self.config.spec}: can't listen: {_sentence(error)}") from error
        self.place.anonymous = self.config.admits_anonymous(self.host)

    def _bind(self, reactor: Any) -> IListeningPort:
        if self.config.transport == "udp":
            return listen_datagram(reactor, self.config, self._datagrams())
        folder = self.config.address.values.get("path")
        if folder is not None and not any(b"BEGIN CERT" in one.read_bytes() for one in Path(folder).rglob("*.pem")):
            raise ConfigError(f"can't listen: there is no certificate (*.pem) in {folder}")
        factory: IProtocolFactory = TCPFactory(lambda wire, host, port: self._link(wire, self.spoken.first, host, port))
        if self.config.transport == "websocket":
            factory = self._site(reactor)
        backlog = "" if {"backlog", "domain"} & self.config.address.values.keys() else f":backlog={limits.BACKLOG}"
        return _now(serverFromString(reactor, self.config.endpoint + backlog).listen(factory))

    def _datagrams(self) -> UDPProtocol:
        protocol = UDPProtocol(
            new_link=lambda wire, dialect, host, port: DatagramLink(self.hub, self.place, wire, dialect, host, port),
            choose=lambda data: self.spoken.choose(data),
            now=self.hub.now,
            peers=self.config.peers,
            secret=secrets.token_bytes(32),
            answers=self.config.group is None,
        )
        self._renew = lambda: protocol.forget_strangers(self.spoken.dialects)
        return protocol

    def _site(self, reactor: Any) -> Site:
        site = make_site(self._web_factory(), self._origins, reactor)

        def renew() -> None:  # a link keeps the factory that made it, and with it its limits
            site.resource = Door(self._web_factory(), self._origins)

        self._renew = renew
        return site

    def _web_factory(self) -> WebSocketFactory:
        spoken = self.spoken
        return WebSocketFactory(self._link, spoken.subprotocols, spoken.first, spoken.longest)

    def _link(self, wire: Wire, dialect: type[Dialect], host: str, port: int) -> Link | None:
        """Make a link; None where its dialect can't be made, and the wire is cut."""
        try:
            return Link(self.hub, self.place, wire, dialect, host, port)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.hub.fail(error)
            wire.abort()
            return None

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
