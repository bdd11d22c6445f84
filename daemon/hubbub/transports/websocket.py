"""WebSocket (RFC 6455): a twisted.web site that upgrades on any path and shows a small page at `/`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from hubbub import limits
from hubbub.dialect import Dialect, Text
from hubbub.errors import Refusal
from hubbub.transports.frames import BINARY, TEXT, FrameReader, frame, text_frame
from hubbub.transports.stream import Stream, close_code

_REASON_BYTES = 123  # what fits into a close frame beside the code (section 5.5)

MakeLinkFor = Callable[[Any, type[Dialect], str, int], Any]


def kind_frame(data: bytes) -> bytes:
    """A text message where the dialect says so, else a binary one."""
    return frame(data, TEXT if isinstance(data, Text) else BINARY)


class WebSocketProtocol(Stream, WebSocketServerProtocol):  # type: ignore[misc]  # Autobahn's bases disagree
    """One WebSocket connection."""

    factory: WebSocketFactory

    _frames: FrameReader

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Choose the first subprotocol that somebody here speaks; with none, the first message tells the dialect."""
        chosen = next((name for name in request.protocols if name in self.factory.dialects), None)
        self._dialect = self.factory.dialects[chosen] if chosen is not None else self.factory.default
        return chosen

    def onOpen(self) -> None:
        make_link, dialect = self.factory.make_link, self._dialect
        self.transport.unregisterProducer()  # the HTTP channel, which took the request
        self._frames = FrameReader(self.factory.longest)
        self.open_stream(lambda wire, host, port: make_link(wire, dialect, host, port))

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

    def onMessageFrameBegin(self, length: int) -> None:
        super().onMessageFrameBegin(length)
        if len(self.message_data) > limits.FRAGMENTS:
            self._say_close(1009, f"a message has more than {limits.FRAGMENTS} frames")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if len(payload) > self.factory.longest:  # Autobahn's own limit is one above, see WebSocketFactory
            self._say_close(1009, f"a message is longer than {self.factory.longest} bytes")
        elif self.link is not None:
            self.link.receive(payload, not isBinary)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        """What the client said before it closed is answered before Autobahn closes too."""
        self._settle()
        return super().onCloseFrame(code, reasonRaw)

    def _fail_connection(self, *arguments: Any) -> None:
        """What the client said before its fault is answered before Autobahn tells it so."""
        self._settle()
        super()._fail_connection(*arguments)

    def _settle(self) -> None:
        if self.link is not None:
            self.link.settle()

    def onPing(self, payload: bytes) -> None:
        if self._paused:  # a client that pings and doesn't read would fill our memory with pongs
            self.reading(False)
        super().onPing(payload)

    def onPong(self, payload: bytes) -> None:
        if self.link is not None:
            self.link.sign_of_life()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self.link is not None and not self.link.holding:  # type: ignore[attr-defined]
            self.reading(True)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.stream_lost()

    # The wire

    def wrapper(self, dialect: type[Dialect]) -> Callable[[bytes], bytes] | None:
        """The frame that goes around a unit."""
        return text_frame if dialect.text else kind_frame

    def write(self, data: bytes) -> None:
        """Send whole frames of our own, which only fit between those of an open connection."""
        if self.state == self.STATE_OPEN:
            super().write(data)

    def ping(self) -> bool:
        """Ask for a pong (RFC 6455 section 5.5.2)."""
        self.sendPing()
        return True

    def close(self, reason: str, refusal: Refusal | None) -> None:
        """Say why, then let Autobahn finish the closing handshake."""
        if not self._closing and self.state == self.STATE_OPEN:
            self._closing = True
            self._say_close(close_code(refusal, reason), reason)

    def _say_close(self, code: int, reason: str) -> None:
        """Begin the closing handshake. Autobahn's sendClose is for applications, and refuses the protocol's codes."""
        shortened = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        self.sendCloseFrame(code, shortened.encode(), isReply=False)


class WebSocketFactory(WebSocketServerFactory):
    """Makes a WebSocketProtocol for each upgraded request.

    make_link  wire, dialect, host, port -> link
    dialects   subprotocol -> dialect class; default: the one without a subprotocol
    longest    bytes of the longest message that the listener can speak
    """

    protocol = WebSocketProtocol  # type: ignore[assignment]
    noisy = False

    def __init__(
        self, make_link: MakeLinkFor, dialects: Mapping[str, type[Dialect]], default: type[Dialect], longest: int
    ) -> None:
        super().__init__(server="hubbub")
        self.make_link = make_link
        self.dialects = dialects
        self.default = default
        self.longest = longest
        # Autobahn's own defaults are open. Its limit is one above ours: at its limit it may cut a message in silence.
        self.setProtocolOptions(
            versions=[13],
            maxFramePayloadSize=longest + 1,
            maxMessagePayloadSize=longest + 1,
            utf8validateIncoming=True,
            requireMaskedClientFrames=True,
            failByDrop=False,
            openHandshakeTimeout=limits.HANDSHAKE_SECONDS,
            closeHandshakeTimeout=limits.CLOSE_SECONDS,
            tcpNoDelay=True,
            autoPingInterval=0,  # one sweep over all links asks, not a timer for each
            serveFlashSocketPolicy=False,
            perMessageCompressionAccept=lambda offers: None,
        )


@implementer(IResource)
class Door(Resource):
    """The one resource of a site: upgrades any path to WebSocket, and shows the page at `/`."""

    isLeaf = True

    def __init__(self, factory: WebSocketFactory, origins: Iterable[str]) -> None:
        super().__init__()
        self._upgrade = WebSocketResource(factory)
        self._origins = frozenset(origins)
        self._page = files("hubbub.transports").joinpath("page.html").read_bytes()

    def render(self, request: Request) -> bytes | int:
        if (request.getHeader("upgrade") or "").lower() == "websocket":
            refusal = origin_refusal(request.getHeader("origin"), request.getHeader("host") or "", self._origins)
            if refusal is not None:
                return _plain(request, 403, refusal)
            if request.channel.clearLineBuffer():  # it would be lost
                return _plain(request, 400, "A client sends nothing before our answer (RFC 6455 section 4.1).")
            return self._upgrade.render(request)  # type: ignore[no-any-return]
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("allow", "GET, HEAD")
            return _plain(request, 405, "This port speaks WebSocket.")
        if request.path != b"/":
            return _plain(request, 404, "There is no page here; WebSocket clients may use any path.")
        request.setHeader("content-type", "text/html; charset=utf-8")
        request.setHeader("content-security-policy", "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'")
        request.setHeader("x-content-type-options", "nosniff")
        return self._page


def _plain(request: Request, code: int, text: str) -> bytes:
    request.setResponseCode(code)
    request.setHeader("content-type", "text/plain; charset=utf-8")
    return text.encode() + b"\n"


def origin_refusal(origin: str | None, host: str, allowed: frozenset[str]) -> str | None:
    """Tell why a page of `origin` may not connect to `host`, or None where it may.

    No Origin isn't a browser. A page may connect to where it came from, if that is an address or a name that the
    operator knows: a name alone proves nothing, since whoever owns one can point it here (DNS rebinding).
    """
    if origin is None or origin.lower() in allowed:
        return None
    try:
        page, here = urlsplit(origin), urlsplit("//" + host)
        default = 443 if page.scheme in ("https", "wss") else 80
        same = (page.hostname, page.port or default) == (here.hostname, here.port or default)
    except ValueError:
        return "The Origin or the Host header is malformed."
    if page.hostname is None:
        return "A page without an origin may not connect."
    if same and (page.hostname == "localhost" or page.hostname in allowed or _is_address(page.hostname)):
        return None
    fix = page.hostname if same else origin
    return f"Pages of {origin} may not connect here; start hubbub with --origin {fix} to let them."


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Channel(HTTPChannel):
    """An HTTP connection of one request, whose deadline doesn't move with every byte (slowloris)."""

    def resetTimeout(self) -> None:
        pass

    def timeoutConnection(self) -> None:
        self.forceAbortClient()  # at once: whoever hasn't ended a TLS handshake can't be told

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        return False


class _Request(Request):
    """A request whose body is dropped: nothing here takes one, and twisted.web would keep it all in a file."""

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        pass


class _Site(Site):
    noisy = False
    protocol = _Channel  # type: ignore[assignment]  # Twisted wraps its own to speak HTTP/2, which can't upgrade
    displayTracebacks = False

    def log(self, request: object) -> None:
        """Write no line for each request: whoever can connect could fill the disk."""


def make_site(factory: WebSocketFactory, origins: Iterable[str], reactor: Any) -> Site:
    """Make the site of one listener."""
    return _Site(Door(factory, origins), requestFactory=_Request, timeout=limits.HANDSHAKE_SECONDS, reactor=reactor)
