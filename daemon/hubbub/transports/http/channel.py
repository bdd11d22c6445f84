"""HTTP connections of one request each, without a body, and the site of such connections."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.transports.http.pages import plain
from hubbub.transports.stream import Acquire, reject


class OneRequestChannel(HTTPChannel):
    """An HTTP connection of one request, whose deadline doesn't move with every byte (slowloris)."""

    site: Any  # a OneRequestSite; set by it
    transport: Any
    _release: Callable[[], object] | None = None
    _rejected = False

    def connectionMade(self) -> None:
        super().connectionMade()
        acquire = self.site.acquire
        if acquire is not None:
            try:
                self._release = acquire(str(getattr(self.transport.getPeer(), "host", "")))
            except Refusal as refusal:
                self._rejected = True
                reject(self.transport, _UNAVAILABLE % (len(refusal.reason) + 1, refusal.reason.encode()))

    def dataReceived(self, data: bytes) -> None:
        if not self._rejected:
            super().dataReceived(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.release()
        super().connectionLost(reason)

    def release(self) -> None:
        """Count it no longer, as it has gone or has become a WebSocket, which is counted anew."""
        release, self._release = self._release, None
        if release is not None:
            release()

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
        self.forceAbortClient()  # at once: before the end of a TLS handshake no answer can be sent

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        return False


_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 60\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b\n"
)


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
        body = plain(self, 400, "A header isn't UTF-8.")
        self.setHeader("content-length", str(len(body)))
        self.write(body)
        self.finish()

    def render(self, resrc: Any) -> None:
        """Answer HEAD without a body; twisted.web would write a line into the log for each."""
        if self.method != b"HEAD":
            super().render(resrc)
            return
        self.setHeader("content-length", str(len(resrc.render(self))))
        self.write(b"")
        self.finish()

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)

    def handleContentChunk(self, data: bytes) -> None:
        pass


class OneRequestSite(Site):
    """A site of such connections.

    acquire  counts connections, or None; slow: called when one is cut because its time is over
    """

    noisy = False
    protocol = OneRequestChannel  # type: ignore[assignment]  # Twisted wraps its own to speak HTTP/2
    displayTracebacks = False

    def __init__(
        self,
        resource: IResource,
        reactor: Any,
        seconds: float = limits.HANDSHAKE_SECONDS,
        acquire: Acquire | None = None,
        slow: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(resource, requestFactory=_Request, timeout=seconds, reactor=reactor)
        self.acquire = acquire
        self.slow = slow

    def log(self, request: object) -> None:
        """Write no line for each request: any client could fill the disk."""
