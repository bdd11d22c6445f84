"""WebSocket (RFC 6455): the protocol of an upgraded connection, and its factory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import WebSocketProtocol as AnyWebSocketProtocol
from autobahn.websocket.types import ConnectionRequest

from hubbub import limits
from hubbub.dialect import Dialect, Text
from hubbub.errors import Refusal
from hubbub.identity import Identity
from hubbub.transports.autobahn_log import leave_plain
from hubbub.transports.deflate import accept, deflated_frame, longest_deflated
from hubbub.transports.forwarded import Address, Trust
from hubbub.transports.frames import BINARY, TEXT, FrameReader, frame, text_frame
from hubbub.transports.stream import Authenticate, Stream, close_code

leave_plain()
_REASON_BYTES = 123  # what fits into a close frame beside the code (section 5.5)

_NO_PROXIES = Trust()

MakeLinkFor = Callable[[Any, type[Dialect], str, int], Any]


def _nothing() -> None:
    """There is nothing to release."""


def kind_frame(data: bytes) -> bytes:
    """A text message where the dialect says so, else a binary one."""
    return frame(data, TEXT if isinstance(data, Text) else BINARY)


class WebSocketWire(Stream, AnyWebSocketProtocol):
    """What both ends of a WebSocket share: a base of Autobahn's protocol classes, before them.

    Its factory knows `longest`, bytes of the longest message.
    """

    factory: Any

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Send what Autobahn has to say, as everything: straight to the socket, if nothing waits before it."""
        Stream.write(self, data)

    def onMessageFrameBegin(self, length: int) -> None:
        super().onMessageFrameBegin(length)
        if len(self.message_data) > limits.FRAGMENTS:
            self._send_close(1009, f"a message has more than {limits.FRAGMENTS} frames")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if len(payload) > self.factory.longest:  # Autobahn's own limit is one above, see WebSocketFactory
            self._send_close(1009, f"a message is longer than {self.factory.longest} bytes")
        elif self.link is not None:
            self.link.receive(payload, not isBinary)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        """Messages before the client's close frame are answered before Autobahn closes too."""
        self._settle()
        return super().onCloseFrame(code, reasonRaw)

    def _fail_connection(self, *arguments: Any) -> None:
        """Messages before the client's fault are answered before Autobahn reports it."""
        self._settle()
        super()._fail_connection(*arguments)

    def _settle(self) -> None:
        if self.link is not None:
            self.link.settle()

    def onPing(self, payload: bytes) -> None:
        if self._paused:  # a client that pings and doesn't read would fill our memory with pongs
            self.reading(False)
        super().onPing(payload)
        self.onPong(payload)

    def onPong(self, payload: bytes) -> None:
        if self.link is not None:
            self.link.sign_of_life(len(payload))

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self.link is not None and not self.link.holding:  # type: ignore[attr-defined]
            self.reading(True)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.stream_lost()

    # The wire

    def write(self, data: bytes) -> None:
        """Send whole frames of our own, which only fit between those of an open connection."""
        if self.state == self.STATE_OPEN:
            super().write(data)

    def ping(self) -> bool:
        """Ask for a pong (RFC 6455 section 5.5.2)."""
        self.sendPing()
        return True

    def reject(self, last: bytes, refusal: Refusal) -> None:
        """Close with the reason: another connection took the room since the upgrade."""
        self.close(refusal.reason, refusal)

    def close(self, reason: str, refusal: Refusal | None) -> None:
        """Say why, then let Autobahn finish the closing handshake."""
        if not self._closing and self.state == self.STATE_OPEN:
            self._closing = True
            self._send_close(close_code(refusal, reason), reason)
            self.reading(True)  # the client's close frame, also where its events were held back

    def _send_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake. Autobahn's sendClose is for applications, and refuses the protocol's codes."""
        shortened = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        self.sendCloseFrame(code, shortened.encode(), isReply=False)


class WebSocketProtocol(WebSocketWire, WebSocketServerProtocol):  # type: ignore[misc]  # Autobahn's bases disagree
    """One WebSocket connection."""

    factory: WebSocketFactory

    identity: Identity | None = None  # by its handshake
    client: Address  # behind the proxies that are believed
    release: Callable[[], object] = staticmethod(_nothing)  # counts it no longer as a request
    _frames: FrameReader
    _cut: Any = None  # the timer of a handshake that has failed

    def connectionMade(self) -> None:
        """Autobahn would first find out about the transport what only its WAMP tells."""
        self.take_over()
        self._connectionMade()

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Choose the dialect of the first subprotocol that one has, and the best of its subprotocols.

        Without one the first message decides the dialect.
        """
        offered, dialects = request.protocols, self.factory.dialects
        self._dialect = next((dialects[name] for name in offered if name in dialects), self.factory.default)
        return next((name for name in self._dialect.subprotocols if name in offered), None)

    def failHandshake(self, *arguments: Any, **more: Any) -> None:
        """Say why, and not wait for ever until a client over TLS closes too."""
        super().failHandshake(*arguments, **more)
        self._cut = self.factory.reactor.callLater(limits.CLOSE_SECONDS, self.abort)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._count_no_more()
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        super().onClose(wasClean, code, reason)

    def onOpen(self) -> None:
        make_link, dialect, client = self.factory.make_link, self._dialect, self.client
        self.transport.unregisterProducer()  # the HTTP channel, which took the request
        self._frames = FrameReader(self.factory.longest)
        self._count_no_more()  # its link is counted
        self.open_stream(lambda wire, host, port: make_link(wire, dialect, *client), self.identity)

    def _count_no_more(self) -> None:
        release, self.release = self.release, _nothing
        release()

    def dataReceived(self, data: bytes) -> None:
        """Read plain frames here, which costs an eighth; Autobahn gets the rest, and goes on with what it has begun."""
        autobahn: Any = self  # its hints know less than it does
        if autobahn.state != self.STATE_OPEN or self.data or autobahn.current_frame is not None or self.inside_message:
            super().dataReceived(data)
            return
        found, other, plain = self._frames.read(data)
        if plain:
            if found and self.link is not None:
                self.link.receive_units(found)
        else:
            for unit, text in found:
                if text is None:
                    super().dataReceived(unit)
                elif self.link is not None and autobahn.state == self.STATE_OPEN:
                    self.link.receive(unit, text)
        if other:
            self._settle()  # Autobahn answers at once, and in its turn
            super().dataReceived(other)

    def wrapper(self, dialect: type[Dialect]) -> Callable[[bytes], bytes] | None:
        """The frame that goes around a unit."""
        agreed: Any = self._perMessageCompress
        if agreed is not None:
            return deflated_frame(agreed, dialect.text)
        return text_frame if dialect.text else kind_frame


class WebSocketFactory(WebSocketServerFactory):
    """Makes a WebSocketProtocol for each upgraded request.

    make_link    wire, dialect, host, port -> link
    dialects     subprotocol -> dialect class; default: the one without a subprotocol
    longest      bytes of the longest message that the listener can speak
    trust        proxies whose X-Forwarded-For is read
    compression  whether clients may have messages compressed
    authenticate  returns the identity of a client by its handshake; None: no logins
    """

    noisy = False

    def __init__(
        self,
        make_link: MakeLinkFor,
        dialects: Mapping[str, type[Dialect]],
        default: type[Dialect],
        longest: int,
        trust: Trust = _NO_PROXIES,
        compression: bool = False,
        authenticate: Authenticate | None = None,
    ) -> None:
        super().__init__(server="hubbub")
        self.authenticate = authenticate
        self.make_link = make_link
        self.dialects = dialects
        self.default = default
        self.longest = longest
        self.trust = trust
        # Autobahn's own defaults are open. Its limit is one above ours: at its limit it may cut a message in silence.
        # It counts what is on the wire as well as what that unpacks to.
        most = longest_deflated(longest) if compression else longest + 1
        self.setProtocolOptions(
            versions=[13],
            maxFramePayloadSize=most,
            maxMessagePayloadSize=most,
            utf8validateIncoming=True,
            requireMaskedClientFrames=True,
            failByDrop=False,
            openHandshakeTimeout=0,  # a request is upgraded once it is whole
            closeHandshakeTimeout=limits.CLOSE_SECONDS,
            tcpNoDelay=True,
            autoPingInterval=0,  # one sweep over all links asks, not a timer for each
            serveFlashSocketPolicy=False,
            allowNullOrigin=True,  # http.origin has decided
            perMessageCompressionAccept=accept if compression else lambda offers: None,
        )
        self.protocol = self._with_options(WebSocketProtocol)

    def _with_options(self, kind: type[WebSocketProtocol]) -> type[WebSocketProtocol]:
        """Make a class of `kind` that has this factory's options.

        Autobahn copies all of them into each connection, and formats them for its log whether or not anybody reads it.
        """
        found = {name: getattr(self, name) for name in kind.CONFIG_ATTRS}
        options = {name: staticmethod(one) if callable(one) else one for name, one in found.items()}
        return type(kind.__name__, (kind,), {**options, "CONFIG_ATTRS": ()})
