"""Opens listeners: from what the operator wants to a bound port whose connections become links."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Site

from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.detect import Auto
from hubbub.dialects.http import Http
from hubbub.errors import ConfigError, Refusal
from hubbub.events import Close, Connect, Fault
from hubbub.identity import Identity
from hubbub.kernel.connection.datagram_link import DatagramLink
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.paced_link import PacedLink
from hubbub.kernel.connection.wire import Wire
from hubbub.kernel.hub import Hub
from hubbub.kernel.ingress.client_rate import SourceRates
from hubbub.kernel.ingress.sources import source_of
from hubbub.kernel.sessions.session import Session
from hubbub.option import host_port
from hubbub.service.auth.login import Logins
from hubbub.service.config.settings import ListenerConfig, Settings
from hubbub.service.links.make_listener_context import make_listener_context
from hubbub.service.links.tls import Certificates, ConnectionVoucher, Spec
from hubbub.service.logs.notices import Notices
from hubbub.service.plugins.dialect_plan import plan
from hubbub.service.plugins.discovery import Plugins
from hubbub.transports import inherited
from hubbub.transports.forwarded import Trust
from hubbub.transports.http.pages import Pages, no_pages
from hubbub.transports.http.site import UpgradeResource, make_resource, make_site
from hubbub.transports.proxy import ProxyFactory
from hubbub.transports.stream import Authenticate
from hubbub.transports.tcp import TCPFactory
from hubbub.transports.tls import TlsFactory
from hubbub.transports.udp import UDPProtocol
from hubbub.transports.udp_socket import listen_datagram, set_buffer
from hubbub.transports.unix_lock import remove_own_lock
from hubbub.transports.websocket import WebSocketFactory


class Listener:
    """One listener: planned when it is made, which raises ConfigError; bound by `listen`."""

    log = Logger(namespace="hubbub.listener")

    def __init__(self, config: ListenerConfig, settings: Settings, plugins: Plugins, hub: Hub) -> None:
        self.config = config
        self.hub = hub
        self.port: IListeningPort | None = None
        self._where = ""  # it is bound to, also once it is closed
        self.settings = settings
        self._trust = Trust(settings.trust_proxy)
        self.pages: Pages = no_pages
        self.datagrams: UDPProtocol | None = None
        self.logins: Logins | None = None
        secure = config.address.kind in ("ssl", "tls")
        self.paces: SourceRates | None = None
        self._renew: Callable[[], object] = lambda: None
        dialect_context = DialectContext(
            config.transport,
            config.max_message,
            config.topic,
            handshake=settings.bounds.handshake,
            idle=config.idle,
            login=bool(settings.auth),
            secure=secure,
            shared=hub.dialect_state,
        )
        self.dialect_plan = plan(config, dialect_context, plugins, hub.turn.fail)
        self._certificates = self._planned(config) if secure else None
        if secure and config.transport == "tcp" and not self.dialect_plan.first.handshake_first:
            dialect_context = replace(dialect_context, greeted=True)
        self.context = make_listener_context(config, dialect_context, hub)
        self.context.ignore_logins = settings.ignore_logins
        self.context.notice = Notices(config.id)
        self._vouch()

    def _vouch(self) -> None:
        """Let the certificates of this listener, which a reload renews, vouch for clients of an earlier process."""
        self.context.vouches = None if self._certificates is None else self._certificates.vouch

    def adopt(self, new: Listener) -> None:
        """Become what `new` was planned to be, with the port that is open; `new` isn't bound.

        New links get all of it. Live ones keep what they began with: dialect, topics and subscription. A Recheck closes
        those that are no longer allowed.
        """
        presence = self.context.presence
        same = all(getattr(self.config, name) == getattr(new.config, name) for name in ("presence", "silent", "prefix"))
        self.config, self.settings, self.dialect_plan = new.config, new.settings, new.dialect_plan
        self.logins = new.logins
        if self._certificates is not None and new._certificates is not None:
            self._certificates.adopt(new._certificates)
        self._trust.adopt(new._trust)
        self.context.adopt(new.context)
        self._vouch()
        if same:  # it has the states of the clients
            self.context.presence = presence
        elif self.context.presence is not None:
            self.context.presence.watch(self.config.id)
        self._renew()
        self._log_missing_logins()

    def listen(self, reactor: Any) -> None:
        """Bind. Raises ConfigError naming what failed; connections are served once the reactor runs."""
        try:
            self.port = self._bind(reactor)
        except ConfigError as error:
            raise ConfigError(f"{self.config.spec}: {error}") from None
        except Exception as error:
            raise ConfigError(f"{self.config.spec}: can't listen: {sentence(error)}") from error
        self._where = self._bound_to()
        self.context.anonymous = self.config.admits_anonymous(self.host, bool(self.settings.auth))
        if self.context.presence is not None:
            self.context.presence.watch(self.config.id)
        self._log_missing_logins()

    def _log_missing_logins(self) -> None:
        """Log that all clients will be refused, where logins are wanted and nothing here could be one."""
        context, config = self.context, self.config
        elsewhere = config.transport != "tcp" or config.client_ca is not None  # headers, signatures, certificates
        mute = all(one.outcome is Dialect.outcome for one in self.dialect_plan.dialects)  # no answers, no logins
        if self.settings.auth and mute and not (context.anonymous or context.user or elsewhere):
            self.log.warn(  # noqa: G010  Twisted calls it so
                "{id}: with --auth no client may publish here, as {dialect} has no logins: as=USER names their user",
                id=config.id,
                dialect=config.dialect,
            )

    def _bind(self, reactor: Any) -> IListeningPort:
        if self.config.transport == "udp":
            return listen_datagram(reactor, self.config, self._datagrams())
        factory: IProtocolFactory = self._site(reactor) if self.config.transport == "websocket" else self._streams()
        address = self.config.address
        if self._certificates is not None:
            self._certificates.tell()
            factory = TlsFactory(self._certificates, factory, self._greeting, self._handshake_refused)
        if address.proxied:  # its header comes before TLS
            factory = ProxyFactory(factory, self._trust, self._stop_trusting, lambda: self.settings.bounds.handshake)
        handed = inherited.of_listener(self.config.id)
        if handed is None and address.kind == "systemd":
            handed = inherited.take(address.values, socket.SOCK_STREAM)
        if handed is not None:
            return inherited.listen_stream(reactor, handed, factory)
        if self._certificates is not None:
            waiting = int(address.values.get("backlog", limits.BACKLOG))
            port: IListeningPort = reactor.listenTCP(address.port, factory, waiting, address.host)
            return port
        if address.kind == "unix":
            remove_own_lock(address.values["address"])
        backlog = "" if {"backlog", "domain"} & address.values.keys() else f":backlog={limits.BACKLOG}"
        return now(serverFromString(reactor, self.config.endpoint + backlog).listen(factory))

    def _greeting(self, host: str) -> bytes:
        """Return what a client is sent before TLS."""
        dialect_context = self.context.dialect_context
        if not dialect_context.greeted:
            return b""
        peer = Session(host, 0, dialect_context.transport, self.context.name)
        return self.dialect_plan.first.greeting(dialect_context, peer)

    def _streams(self) -> TCPFactory:
        factory = TCPFactory(
            lambda wire, host, port: self._link(wire, self._chosen(wire), host, port),
            self.settings.bounds.handshake,
            self._authenticate_tls(),
            self._acquire,
        )

        def renew() -> None:
            factory.authenticate = self._authenticate_tls()
            factory.handshake = self.settings.bounds.handshake

        self._renew = renew
        return factory

    def _datagrams(self) -> UDPProtocol:
        bound = self.config.address.host
        loopback = bound is not None and source_of(bound) == "" and not self.settings.bounds.local
        self.paces = None if loopback else SourceRates(self.hub.turn)
        protocol = UDPProtocol(
            admit=None if self.paces is None else self.paces.admit,
            new_link=lambda wire, dialect, host, port: DatagramLink(self.hub, self.context, wire, dialect, host, port),
            choose=lambda data: self.dialect_plan.choose(data),
            now=self.hub.turn.now,
            peers=self.config.peers,
            secret=secrets.token_bytes(32),
            answers=self.config.group is None,
            signatures=self.logins.signatures if self.logins is not None else None,
        )

        def renew() -> None:
            protocol.peers = self.config.peers
            protocol.signatures = self.logins.signatures if self.logins is not None else None
            protocol.forget_idle_peers(self.dialect_plan.dialects)
            if self.port is not None:
                set_buffer(self.port, self.config.rcvbuf)

        self._renew = renew
        self.datagrams = protocol
        return protocol

    def _site(self, reactor: Any) -> Site:
        slow = lambda: self.context.cuts("handshake")  # noqa: E731
        later = partial(self.hub.turn.do_later, "http")
        site = make_site(self._resource(), reactor, self.settings.bounds.handshake, self._acquire, slow, later)

        def renew() -> None:  # a link keeps the factory that made it, and with it its limits
            site.timeOut = self.settings.bounds.handshake
            site.resource = self._resource()

        self._renew = renew
        return site

    def _resource(self) -> UpgradeResource:
        plan, config = self.dialect_plan, self.config
        factory = WebSocketFactory(
            self._link, plan.subprotocols, plan.first, plan.longest, self._trust, config.compression,
            self._authenticate,
        )  # fmt: skip
        passes = self.logins.passes if self.logins is not None else None
        origins, pages = self.settings.origins, self.pages
        return make_resource(factory, Http, config.max_message, origins, pages, self._page_refused, passes)

    def _page_refused(self, host: str, refusal: Refusal) -> None:
        self._log_refused("{id}: page {count} refused, in a browser at {host}: {why}", host, refusal)

    def _handshake_refused(self, host: str, refusal: Refusal) -> None:
        self._log_refused("{id}: TLS client {count} refused, at {host}: {why}", host, refusal)

    def _log_refused(self, says: str, host: str, refusal: Refusal) -> None:
        """Log it each time that the number has doubled: any client could fill the disk."""
        self._rejected(host, refusal)
        count = self.context.refused[refusal.limit]
        if count & (count - 1) == 0:
            self.log.warn(says, id=self.config.id, count=count, host=host, why=refusal.reason)  # noqa: G010

    def _rejected(self, host: str, refusal: Refusal) -> None:
        """Record a connection that gets no link."""
        self.hub.turn.counters.refused += 1
        self.context.refuse(refusal)
        if self.hub.rejected is not None:
            self.hub.rejected(self.config.id, host, refusal)

    def _acquire(self, host: str) -> Callable[[], None]:
        """Count a connection that may become a link; one of a proxy is of a client yet unknown. Raises Refusal."""
        try:
            source = self.hub.sources.acquire("" if host in self._trust else host)
        except Refusal as refusal:
            self._rejected(host, refusal)
            raise
        self.context.coming += 1

        def release() -> None:
            self.context.coming -= 1
            self.hub.sources.release(source)

        return release

    @property
    def _authenticate(self) -> Authenticate | None:
        return None if self.logins is None else self.logins.authenticate

    def _authenticate_tls(self) -> Authenticate | None:
        """Return what waits for a client's certificate, or for the dialect that it chooses, before there is a link."""
        if self.config.client_ca:
            return self._authenticate or _anonymous
        return _anonymous if self._certificates is not None and self.config.dialect == "auto" else None

    def _chosen(self, wire: Wire) -> type[Dialect]:
        """Return the dialect that a TLS client has chosen by ALPN; any other gets the first."""
        alpn = getattr(getattr(wire, "transport", None), "alpn", None)
        return self.dialect_plan.protocols.get(alpn or "", self.dialect_plan.first)

    def _planned(self, config: ListenerConfig) -> Certificates:
        try:
            spec = Spec.of(config.address.values, config.client_ca, self.dialect_plan.protocols)
            return Certificates(replace(spec, strict_sni=config.strict_sni))
        except ConfigError as error:
            raise ConfigError(f"{config.spec}: can't listen: {error}") from None

    def _stop_trusting(self, proxy: str, why: str) -> None:
        """A proxy that should send PROXY headers has sent something else."""
        self.hub.turn.counters.refused += 1
        self.log.warn("{id}: cut the proxy at {proxy}: {why}", id=self.config.id, proxy=proxy, why=why)  # noqa: G010

    def _link(self, wire: Wire, dialect: type[Dialect], host: str, port: int) -> Link | None:
        """Make a link; None where there is no room for it, or its dialect can't be made, and the wire is cut."""
        try:
            source = self.hub.sources.acquire(host)
        except Refusal as refusal:
            self._rejected(host, refusal)
            wire.reject(self._last_unit(dialect, refusal), refusal)
            return None
        try:
            kind = PacedLink if self.hub.sources.rated(host) else Link
            link = kind(self.hub, self.context, wire, dialect, host, port)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.hub.sources.release(source)
            self.hub.turn.fail(error)
            wire.abort()
            return None
        link.source = source
        if self._certificates is not None and self.config.client_ca is not None:
            shown = getattr(wire, "transport", None)
            link.session.vouched = ConnectionVoucher(self._certificates, () if shown is None else shown.peer_chain())
        return link

    def _last_unit(self, dialect: type[Dialect], refusal: Refusal) -> bytes:
        """How the dialect tells a refusal; `auto` does it as the one that it falls back to."""
        spoken = dialect.fallback if issubclass(dialect, Auto) else dialect
        try:
            answer = spoken(self.context.dialect_context, Session("", 0, "", "")).outcome(Fault(refusal), refusal)
            return answer.data if isinstance(answer, Close) else answer
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.hub.turn.fail(error)
            return b""

    @property
    def host(self) -> str | None:
        """The address that it is bound to, None for a Unix socket."""
        assert self.port is not None
        return getattr(self.port.getHost(), "host", None)

    @property
    def page_url(self) -> str | None:
        """The URL of its page for a browser on this machine; None: it has none, or isn't bound to a port."""
        if self.config.transport != "websocket" or self.port is None or self.host is None:
            return None
        scheme = "https" if self.config.address.kind in ("ssl", "tls") else "http"
        where = self._where
        if ip_address(self.host).is_unspecified:
            where = f"localhost:{where.rpartition(':')[2]}"
        return f"{scheme}://{where}/"

    def __str__(self) -> str:
        return f"{self.config.transport} {self._where}"

    def _bound_to(self) -> str:
        assert self.port is not None
        address: Any = self.port.getHost()
        if self.host is None:
            name = getattr(address, "name", b"")
            return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        return host_port(address.host, address.port)


def _anonymous(event: Connect | None, transport: Any, host: str) -> Deferred[Identity | None]:
    """Authenticate no client (transports.stream.Authenticate): there are no logins."""
    return succeed(None)


def now(listening: Deferred[IListeningPort]) -> IListeningPort:
    """Return what a Deferred has already; binding a socket waits for nothing."""
    found: list[Any] = []
    listening.addBoth(found.append)
    if not found:
        raise ConfigError("can't listen at once")
    if isinstance(found[0], Failure):
        found[0].raiseException()
    port: IListeningPort = found[0]
    return port


def sentence(error: Exception) -> str:
    """Say in one line why something couldn't be opened."""
    cause = getattr(error, "socketError", None) or error
    says = str(getattr(cause, "strerror", None) or cause) or type(error).__name__
    file = getattr(cause, "filename", None)
    return " ".join(f"{file}: {says}".split() if file else says.split())
