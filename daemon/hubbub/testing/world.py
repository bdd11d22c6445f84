"""A hub whose time and turns are in the hands of a test, and the doors that clients come in by."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from hubbub.dialect import Dialect, DialectContext
from hubbub.dialects.detect import Auto
from hubbub.handler import Handler
from hubbub.kernel.connection.datagram_link import DatagramLink
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.presence import Presence
from hubbub.option import configure
from hubbub.service.plugins.handler_runner import HandlerRunner
from hubbub.template import Template
from hubbub.testing.datagrams import DatagramPort, UDPClient
from hubbub.testing.streams import TCPClient
from hubbub.testing.websocket import WebSocketClient
from hubbub.transports.http.site import make_site
from hubbub.transports.tcp import TCPFactory
from hubbub.transports.udp import UDPProtocol
from hubbub.transports.websocket import WebSocketFactory

_START = 1_000.0  # seconds that the clock shows at first
_EPOCH = 1.7e9  # seconds of Unix time when the clock shows 0
_TURNS = 1_000  # turns until a hub that doesn't come to rest is an error
_HOST = "192.0.2.7"  # where clients come from (RFC 5737)
_SECRET = b"of this world"  # the same each time, so that a failure can be repeated


class End(Protocol):
    """A client's end, as far as the world moves it."""

    def move(self) -> bool:
        """Hand over what waits on its way to the hub; tell whether there was something."""


class World:
    """One hub in memory. `more` goes to the hub: `retained=`."""

    def __init__(self, **more: Any) -> None:
        self.clock = Clock()
        self.clock.advance(_START)
        self.hub = Hub(self._wake, self.wall, self.clock.seconds, self._arm, **more)
        self.ends: list[End] = []
        self.listeners: list[MemoryListener] = []
        self._ports = 50_000
        self._awake = False
        self._timer: Any = None

    def wall(self) -> float:
        """Tell the Unix time in seconds."""
        return _EPOCH + self.clock.seconds()

    def turn(self) -> None:
        """End this turn and those that it causes, until nothing moves any more."""
        for _ in range(_TURNS):
            self.clock.advance(0)
            moved = [end.move() for end in self.ends]
            if self._awake:
                self._awake = False
                self.hub.turn.flush()
            elif not any(moved):
                self._check_outboxes()
                return
        raise AssertionError(f"the hub hasn't come to rest within {_TURNS} turns")

    def _check_outboxes(self) -> None:
        """Whatever puts something into an outbox has to schedule its flush, or it waits for other traffic."""
        safe = self.hub.turn.commits.safe
        for link in [link for one in self.listeners for link in one.context.links]:
            queue = link.outbox.queue
            waits = queue.count or queue.answers or queue.searches
            if waits and not link.outbox.paused and queue.barrier_at_front() <= safe:
                raise AssertionError(f"something waits in the outbox of {link.session}, and no flush is scheduled")

    def advance(self, seconds: float) -> None:
        """Let time pass; whatever is due meanwhile happens at its time, and ends its turn."""
        self.turn()
        until = self.clock.seconds() + seconds
        while (calls := self.clock.getDelayedCalls()) and (due := min(call.getTime() for call in calls)) <= until:
            self.clock.advance(max(0.0, due - self.clock.seconds()))
            self.turn()
        self.clock.advance(until - self.clock.seconds())
        self.turn()

    def listen(self, transport: str, dialect: type[Dialect], **keys: Any) -> MemoryListener:
        """Open a door. `keys` are those of a listener, with `_` for `-`: `prefix="boat"`, `anonymous=False`, ..."""
        return MemoryListener(self, transport, dialect, **keys)

    def run(self, handler: type[Handler], **options: object) -> Handler:
        """Start a handler and return it."""
        made = configure(handler, options)()
        started: Deferred[Any] = HandlerRunner(self.hub, made, handler.name, self.clock).start()
        self.turn()
        assert started.called, f"{handler.name} is still starting: advance(seconds)"
        return made

    def port(self) -> int:
        """Return a port that no client of this world has had."""
        self._ports += 1
        return self._ports

    def _wake(self) -> None:
        self._awake = True

    def _arm(self, when: float) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self.clock.callLater(max(0.0, when - self.clock.seconds()), self._ring)

    def _ring(self) -> None:
        self.hub.turn.alarms.ring(self.clock.seconds())


class MemoryListener:
    """One listener: every client that connects to it goes through the transport's real protocol class.

    keys  topic, prefix, subscribe, presence (texts of templates), silent, max_message, and what Place takes; over UDP
          also `peers`, networks whose addresses are believed: by default all, so that nobody has to confirm
    """

    def __init__(self, world: World, transport: str, dialect: type[Dialect], **keys: Any) -> None:
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
        self.context = ListenerContext(keys.pop("id", "door"), DialectContext(transport, **given), **keys)
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
        site = make_site(WebSocketFactory(self._link, by_name, self.dialect, longest), (), self.world.clock)
        return lambda world, host, port, **more: WebSocketClient(world, site.buildProtocol(None), host, port, **more)

    def _udp(self) -> Callable[..., UDPClient]:
        def new_link(wire: Any, dialect: type[Dialect], host: str, port: int) -> DatagramLink:
            return DatagramLink(self.world.hub, self.context, wire, dialect, host, port)

        choose = self.dialect.choose if issubclass(self.dialect, Auto) else lambda datagram: self.dialect
        protocol = UDPProtocol(new_link, choose, self.world.hub.turn.now, self._peers, _SECRET)
        port = DatagramPort(protocol)
        return lambda world, host, number: UDPClient(world, port, host, number)
