"""A listener in memory, and the clients that connect to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from typing import Any, Protocol

from twisted.internet.task import Clock

from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.detect import Auto
from hubbub.dialects.http import Http
from hubbub.kernel.connection.datagram_link import DatagramLink
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.presence import Presence
from hubbub.template import Template
from hubbub.testing.datagrams import DatagramPort, UDPClient
from hubbub.testing.streams import TCPClient
from hubbub.testing.websocket import WebSocketClient
from hubbub.transports.http.site import make_resource, make_site
from hubbub.transports.tcp import TCPFactory
from hubbub.transports.udp import UDPProtocol
from hubbub.transports.websocket import WebSocketFactory

_HOST = "192.0.2.7"  # where clients come from (RFC 5737)
_SECRET = b"of this world"  # the same each time, so that a failure can be repeated


class End(Protocol):
    """A client's end, as far as the world moves it."""

    def move(self) -> bool:
        """Hand over what waits on its way to the hub; tell whether there was something."""


class MemoryHub(Protocol):
    """What a listener needs of its World."""

    clock: Clock
    hub: Hub
    ends: list[End]
    listeners: list[MemoryListener]

    def turn(self) -> None: ...
    def port(self) -> int: ...


class MemoryListener:
    """One listener: every client that connects to it goes through the transport's real protocol class.

    keys  topic, prefix, subscribe, presence (texts of templates), silent, max_message, and those of ListenerContext;
          over UDP also `peers`, networks whose addresses are trusted: by default all, so that no client has to confirm
    """

    def __init__(self, world: MemoryHub, transport: str, dialect: type[Dialect], **keys: Any) -> None:
        world.listeners.append(self)
        self.world = world
        self.transport = transport
        self.dialect = dialect
        self._peers = [ip_network(one) for one in keys.pop("peers", ("0.0.0.0/0", "::/0"))]
        for name, kind in (("topic", "topic"), ("prefix", "topic"), ("subscribe", "filter")):
            if name in keys:
                keys[name] = Template(keys[name], kind)  # type: ignore[arg-type]
        if "presence" in keys:
            topic, silent = Template(keys["presence"]), keys.pop("silent", None)
            keys["presence"] = Presence(
                world.hub.turn, world.hub.presences, topic, silent, keys.get("prefix"), transport != "udp"
            )
        given: dict[str, Any] = {name: keys.pop(name) for name in ("topic", "max_message") if name in keys}
        if "idle" in keys:  # of which the place knows too
            given["idle"] = keys["idle"]
        given["shared"] = world.hub.dialect_state
        self.context = ListenerContext(keys.pop("id", "listener"), DialectContext(transport, **given), **keys)
        self._open: Callable[..., Any] = getattr(self, f"_{transport}")()

    def connect(self, host: str = _HOST, **more: Any) -> Any:
        """Return a new client's end: TCPClient, UDPClient or WebSocketClient, which takes `subprotocol` and headers."""
        client = self._open(self.world, host, self.world.port(), **more)
        self.world.ends.append(client)
        self.world.turn()
        return client

    def _link(self, wire: Any, dialect: type[Dialect], host: str, port: int) -> Link:
        return Link(self.world.hub, self.context, wire, dialect, host, port)

    def _tcp(self) -> Callable[..., TCPClient]:
        factory = TCPFactory(lambda wire, host, port: self._link(wire, self.dialect, host, port))
        return lambda world, host, port: TCPClient(world, factory.buildProtocol(None), host, port)

    def _websocket(self) -> Callable[..., WebSocketClient]:
        dialects: Any = (self.dialect,)
        if issubclass(self.dialect, Auto):
            dialects = (*self.dialect.candidates, self.dialect.fallback)
        by_name = {name: one for one in dialects for name in one.subprotocols}
        longest = max(one.max_unit(self.context.dialect_context) for one in dialects)
        factory = WebSocketFactory(self._link, by_name, self.dialect, longest)
        resource = make_resource(factory, Http, self.context.dialect_context.max_message)
        site = make_site(resource, self.world.clock, later=partial(self.world.hub.turn.do_later, "http"))
        return lambda world, host, port, **more: WebSocketClient(world, site.buildProtocol(None), host, port, **more)

    def _udp(self) -> Callable[..., UDPClient]:
        def new_link(wire: Any, dialect: type[Dialect], host: str, port: int) -> DatagramLink:
            return DatagramLink(self.world.hub, self.context, wire, dialect, host, port)

        choose = self.dialect.choose if issubclass(self.dialect, Auto) else lambda datagram: self.dialect
        protocol = UDPProtocol(new_link, choose, self.world.hub.turn.now, self._peers, _SECRET)
        port = DatagramPort(protocol)
        return lambda world, host, number: UDPClient(world, port, host, number)
