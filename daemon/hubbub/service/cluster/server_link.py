"""One connection to a NATS server, on the client's side: handshake, operations in and out, pings."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from hubbub import limits
from hubbub.kernel.turn import Turn
from hubbub.nats_protocol.connect import Info, encode_connect, read_info
from hubbub.nats_protocol.nkeys import login
from hubbub.nats_protocol.plain import PlainReader
from hubbub.nats_protocol.wire import PING, PONG, Malformed, Reader, number
from hubbub.option import shown
from hubbub.service.config.cluster import ClusterConfig


class Owner(Protocol):
    """What a ServerLink reports to, a connection.NatsConnection."""

    plain: PlainReader | None

    def accepted(self) -> None: ...
    def is_live(self, sid: bytes) -> bool: ...
    def arrived(self, sid: bytes, subject: bytes, reply: bytes, headers: bytes, payload: bytes) -> None: ...
    def refused(self, text: str) -> None: ...


class ServerLink:
    """One connection (transports.stream.StreamLink), from its first byte to its last.

    info     what the server says of itself
    lag      seconds from the last PING that was answered to its PONG, or None
    waiting  bytes that the transport hasn't taken yet
    why      why the link ended itself, or ""
    """

    def __init__(self, reactor: Any, turn: Turn, config: ClusterConfig, owner: Owner, wire: Any) -> None:
        self.info: Info | None = None
        self.lag: float | None = None
        self.waiting = 0
        self.why = ""
        self._accepted = False
        self._config = config
        self._owner = owner
        self._paused = False
        self._pings: deque[tuple[float, Callable[[], object] | None]] = deque()  # when each was sent, and for what
        self._reactor = reactor
        self._reader = Reader((b"MSG", b"HMSG"), limits.CLUSTER_PAYLOAD)
        self._reader.fast = None if owner.plain is None else owner.plain.read
        self._scheduled = False
        self._timer: Any = None
        self._turn = turn
        self._unsent: list[bytes] = []
        self._wire = wire

    # Out

    def write(self, data: bytes) -> None:
        """Send whole operations at the end of this turn, behind those before."""
        self._unsent.append(data)
        self.waiting += len(data)
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self._turn.flush_later(self)

    def flush(self) -> None:
        """Hand what waits to the transport (kernel.turn.Flushable)."""
        self._scheduled = False
        if self._unsent and not self._paused and self._wire is not None:
            data, self._unsent, self.waiting = b"".join(self._unsent), [], 0
            self._wire.write(data)

    def transport_paused(self, held: int) -> None:
        """The transport takes no more for now."""
        self._paused = True
        self.waiting += held

    def transport_resumed(self) -> None:
        """The transport takes more."""
        self._paused = False
        self.waiting = sum(map(len, self._unsent))
        self.flush()

    # Its beginning and end

    def start(self) -> None:
        """Wait for the server's INFO."""
        self._timer = self._reactor.callLater(limits.HANDSHAKE_SECONDS, self.cut, "no NATS server greets there in time")

    def cut(self, reason: str) -> None:
        """End the connection."""
        self.why = self.why or reason
        if self._wire is not None:
            self._wire.abort()

    def close(self) -> None:
        """End the connection once what waits is sent, or a server has taken nothing for limits.CLOSE_SECONDS."""
        self._paused = False
        self.flush()
        if self._wire is not None:
            self._timer.cancel()
            self._timer = self._reactor.callLater(limits.CLOSE_SECONDS, self.cut, "it doesn't close")
            self._wire.close("shutdown", None)

    def ended(self, listens: bool = True) -> None:
        """The server has closed its side."""
        self.cut("it has closed the connection")

    def lost(self) -> None:
        """The connection has gone."""
        self._wire = None
        self._unsent.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    # In

    def receive(self, data: bytes, text: bool | None = None) -> None:
        """Act on what the server sent."""
        error = self._reader.feed(data, [], self._act)
        if error is not None:
            self.cut(error.reason)

    def _act(self, line: bytes, words: list[bytes], rest: bytes, events: list[Any]) -> None:
        """Act on one operation. Raises Malformed."""
        operation = words[0] if words else b""
        if operation == b"HMSG" and 5 <= len(words) <= 6:
            size = number(words[-2], len(rest))
            reply = words[3] if len(words) > 5 else b""
            self._owner.arrived(words[2], words[1], reply, rest[:size], rest[size:])
            if not reply and self._owner.plain is not None and self._owner.is_live(words[2]):
                self._owner.plain.learn(line, words[1], size, len(rest))
        elif operation == b"MSG" and 4 <= len(words) <= 5:
            self._owner.arrived(words[2], words[1], words[3] if len(words) > 4 else b"", b"", rest)
        elif operation in _ACTIONS:
            _ACTIONS[operation](self, rest)
        else:
            raise Malformed("", "it sends what no NATS server sends")

    def _on_info(self, rest: bytes) -> None:
        """Log in; a later INFO may announce the server's end."""
        first, self.info = self.info is None, read_info(rest)
        if not first:
            return
        config = self._config
        if self.info.tls_required and not config.remote.secure:
            raise Malformed("", "it requires TLS: tls:HOST:PORT instead of nats://HOST:PORT", "unavailable")
        if not self.info.headers:
            raise Malformed("", "it has no headers: nats-server 2.12.6 or newer is needed", "unavailable")
        says = login(config.user, str(config.password_file), config.credentials_file, self.info.nonce)
        self.write(encode_connect(config.name, config.remote.secure, says, no_responders=True))
        self._pings.append((time.monotonic(), None))

    def _on_pong(self, rest: bytes) -> None:
        if self._pings:
            sent, then = self._pings.popleft()
            self.lag = time.monotonic() - sent
            if then is not None:
                then()
        if not self._accepted and self.info is not None:
            self._accepted = True
            self._timer.cancel()
            self._timer = self._reactor.callLater(limits.CLUSTER_PING_SECONDS, self._ping)
            self._owner.accepted()

    def _on_ping(self, rest: bytes) -> None:
        self.write(PONG)

    def _on_error(self, rest: bytes) -> None:
        text = shown(rest.decode(errors="replace").strip("'"))
        if not text.lower().startswith("permissions violation"):
            self.why = f"it says: {text}"  # and closes
        self._owner.refused(text)

    def _on_ok(self, rest: bytes) -> None:
        """It needs no action."""

    def _ping(self) -> None:
        silence = limits.CLUSTER_PINGS * limits.CLUSTER_PING_SECONDS
        if self._pings and time.monotonic() - self._pings[0][0] >= silence:
            self.cut(f"no answer for {silence:g} s")
            return
        self.ping()
        self._timer = self._reactor.callLater(limits.CLUSTER_PING_SECONDS, self._ping)

    def ping(self, then: Callable[[], object] | None = None) -> None:
        """Ask for a PONG; `then` is called when all that the server did for what was written before is here."""
        self._pings.append((time.monotonic(), then))
        self.write(PING)

    # What a stream asks of the links of clients

    def admit(self, identity: Any) -> None:
        """A server has shown its certificate to the transport."""

    def receive_units(self, units: Any) -> None:
        """A stream has no units."""

    def settle(self) -> None:
        """Nothing is sent before the end of the turn."""

    def sign_of_life(self, size: int = 0) -> None:
        """A stream has no pings of its own."""


_ACTIONS: dict[bytes, Callable[[ServerLink, bytes], None]] = {
    b"INFO": ServerLink._on_info,
    b"PING": ServerLink._on_ping,
    b"PONG": ServerLink._on_pong,
    b"+OK": ServerLink._on_ok,
    b"-ERR": ServerLink._on_error,
}
