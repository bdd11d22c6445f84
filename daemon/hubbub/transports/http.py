"""HTTP as far as it goes here: connections of one request each, without a body, and the pages of figures."""

from __future__ import annotations

from collections.abc import Callable, Container
from ipaddress import ip_address
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.transports.forwarded import plain_host

Enter = Callable[[str], Callable[[], object]]
"""Counts a connection from a host, and returns what is to be called when it has gone. Raises Refusal."""

Pages = Callable[[str, str], tuple[int, str, bytes] | None]
"""Path and Accept header -> status, content type and body of a page of figures; None: there is no such page."""


def no_pages(path: str, accept: str) -> None:
    """Have no page."""


_FORWARDED = ("x-forwarded-for", "forwarded", "via", "x-real-ip")  # who sends one speaks for somebody else


class OneRequestChannel(HTTPChannel):
    """An HTTP connection of one request, whose deadline doesn't move with every byte (slowloris)."""

    site: Any  # a OneRequestSite; set by it
    transport: Any
    _leave: Callable[[], object] | None = None
    _turned_away = False

    def connectionMade(self) -> None:
        super().connectionMade()
        enter = self.site.enter
        if enter is not None:
            try:
                self._leave = enter(str(getattr(self.transport.getPeer(), "host", "")))
            except Refusal as refusal:
                self._turned_away = True
                turn_away(self.transport, _UNAVAILABLE % (len(refusal.reason) + 1, refusal.reason.encode()))

    def dataReceived(self, data: bytes) -> None:
        if not self._turned_away:
            super().dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.leave()
        super().connectionLost(reason)

    def leave(self) -> None:
        """Count it no longer, as it has gone or has become a WebSocket, which is counted anew."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def resetTimeout(self) -> None:
        pass

    def loseConnection(self) -> None:
        """Close, and not wait for ever: over TLS for the client to close too, or for it to read a long page."""
        super().loseConnection()
        self.setTimeout(limits.CLOSE_SECONDS)

    @property
    def early(self) -> bool:
        """Whether more has come than the request."""
        return bool(self._dataBuffer or self.clearLineBuffer())

    def timeoutConnection(self) -> None:
        self.site.slow()
        self.forceAbortClient()  # at once: whoever hasn't ended a TLS handshake can't be told

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        return False


_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 60\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b\n"
)


def turn_away(transport: Any, last: bytes) -> None:
    """Say `last` and close a connection that there is no room for; where TLS would first shake hands, just close."""
    if getattr(transport, "TLS", False) or hasattr(transport, "getPeerCertificate"):
        transport.abortConnection()
    else:
        transport.write(last)
        transport.loseConnection()


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Request(Request):
    """A request whose body is dropped: nothing here takes one, and twisted.web would keep it all in a file."""

    def process(self) -> None:
        """Refuse what isn't text before anybody reads it: twisted.web decodes a header when it is asked for."""
        if all(map(_is_text, chain(*(values for _, values in self.requestHeaders.getAllRawHeaders())))):
            super().process()
            return
        said = plain(self, 400, "A header isn't UTF-8.")
        self.setHeader("content-length", str(len(said)))
        self.write(said)
        self.finish()

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        pass


class OneRequestSite(Site):
    """A site of such connections.

    enter  counts connections, or None; slow: is called where one is cut because its time is over
    """

    noisy = False
    protocol = OneRequestChannel  # type: ignore[assignment]  # Twisted wraps its own to speak HTTP/2
    displayTracebacks = False

    def __init__(
        self,
        resource: IResource,
        reactor: Any,
        seconds: float = limits.HANDSHAKE_SECONDS,
        enter: Enter | None = None,
        slow: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(resource, requestFactory=_Request, timeout=seconds, reactor=reactor)
        self.enter = enter
        self.slow = slow

    def log(self, request: object) -> None:
        """Write no line for each request: whoever can connect could fill the disk."""


def plain(request: Request, code: int, text: str) -> bytes:
    """Answer with a sentence."""
    request.setResponseCode(code)
    request.setHeader("content-type", "text/plain; charset=utf-8")
    return text.encode() + b"\n"


def page(request: Request, pages: Pages) -> bytes | None:
    """Answer with one of `pages`, if it is one."""
    found = pages(request.path.decode("latin-1"), request.getHeader("accept") or "")
    if found is None:
        return None
    status, kind, body = found
    request.setResponseCode(status)
    request.setHeader("content-type", kind)
    request.setHeader("cache-control", "no-store")
    request.setHeader("x-content-type-options", "nosniff")
    return body


def is_local(request: Request, names: Container[str]) -> bool:
    """Tell whether a request comes from this machine and speaks for nobody else.

    names  of this machine; any other may be one that a web page has pointed here (DNS rebinding)
    """
    if any(request.getHeader(name) is not None for name in _FORWARDED):
        return False
    if getattr(request.channel.transport, "proxied", False):  # by a PROXY header; TLS passes the question on
        return False
    try:
        peer = ip_address(plain_host(str(getattr(request.channel.getPeer(), "host", ""))))
        host = urlsplit("//" + (request.getHeader("host") or "")).hostname
    except ValueError:
        return False
    return peer.is_loopback and (host is None or host == "localhost" or host in names or is_address(host))


def is_address(host: str) -> bool:
    """Tell whether `host` is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
