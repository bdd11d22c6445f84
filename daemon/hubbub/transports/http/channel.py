"""HTTP connections: how long a client has, how much it may send, and what it says between its requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import chain
from typing import Any

from twisted.python import log
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request, Site

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.http import HttpRequest
from hubbub.message import is_utf8
from hubbub.transports.http.known_heads import KnownHeads
from hubbub.transports.http.pages import plain
from hubbub.transports.http.wire import HttpWire, encode
from hubbub.transports.stream import Acquire, is_plain, reject
from hubbub.transports.tls import TlsTransport

Again = Callable[["HttpChannel", bytes], bool]
"""Channel, its first piece -> whether the connection has been upgraded, as others with that request were."""

Bound = Callable[[bytes], int | None]
"""Path -> bytes that the body may have; None: it is read and dropped, and the connection ends after it."""


Later = Callable[[Callable[[], object]], object]
"""Has a bounded piece of work done in a turn that has time for it."""


def at_once(work: Callable[[], object]) -> None:
    """Do it now."""
    work()


def no_bodies(path: bytes) -> int | None:
    """Look at no body."""
    return None


def never(channel: HttpChannel, piece: bytes) -> bool:
    """Upgrade nothing."""
    return False


class HttpChannel(HTTPChannel):
    """An HTTP connection, whose deadlines don't move with every byte (slowloris).

    wire  carries its requests to their link, once there is one
    """

    site: Any  # an HttpSite; set by it
    transport: Any
    wire: HttpWire | None = None
    _release: Callable[[], object] | None = None
    _idle = False  # between two requests
    _refusal: Refusal | None = None  # that is yet to be told
    _rejected = False
    piece = b""  # what has come, while it is looked at, where a request begins with it
    _begun = False  # something has come
    _held: bytes | None = None  # what has come before the answer to a request that needed no parsing
    _done: Request | None = None  # it has its answer, and others wait behind it
    _heads: KnownHeads

    def connectionMade(self) -> None:
        super().connectionMade()
        self._heads = KnownHeads()
        acquire = self.site.acquire
        if acquire is not None:
            try:
                self._release = acquire(str(getattr(self.transport.getPeer(), "host", "")))
            except Refusal as refusal:
                self._rejected = True
                self._refusal = refusal
                self.site.refusing += 1
                self.setTimeout(limits.REFUSING_SECONDS)
                if self.site.refusing > limits.REFUSING:
                    self._refuse(b"")

    def dataReceived(self, data: bytes) -> None:
        if self._held is not None:
            self._held += data
            if len(self._held) > _EARLY_BYTES:
                self._networkProducer.pauseProducing()
        elif not self._rejected:
            wire, fresh = self.wire, self._idle and not self._buffer
            unit = self._heads.read(data, self.site.resource) if fresh and wire is not None else None
            if unit is not None and wire is not None:
                super().resetTimeout()
                self._held = b""
                wire.ask(None, unit)
                return
            first, self._begun = not self._begun, True
            if first and self.site.again(self, data):
                return
            self.piece = data if fresh or first else b""
            super().dataReceived(data)
            self.piece = b""
        elif self._refusal is not None:
            self._refuse(data)

    def _refuse(self, data: bytes) -> None:
        """Say that there is no room; not to an EventSource, which ends for good on 503, and else tries again."""
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            self.site.refusing -= 1
            self.setTimeout(None)
            if _STREAM in data:
                self.transport.abortConnection()
            else:
                reject(self.transport, _UNAVAILABLE % (len(refusal.reason) + 1, refusal.reason.encode()))

    def connectionLost(self, reason: Any = None) -> None:
        if self._refusal is not None:
            self.site.refusing -= 1
            self._refusal = None
        self.release()
        self.drop_link()
        self._held = None
        if self._done is not None:
            self.requests.remove(self._done)
            self._done = None
        super().connectionLost(reason)

    def drop_link(self) -> None:
        """Let the link go, as the connection has gone or has switched to another protocol."""
        wire, self.wire = self.wire, None
        self._heads.forget()
        if wire is not None:
            wire.stream_lost()

    def isSecure(self) -> bool:
        """Tell whether its client came over TLS."""
        return type(self.transport) is TlsTransport

    def learn(self, unit: HttpRequest) -> None:
        """That is what this connection's link was asked: a request of the same bytes needs no parsing."""
        if self.piece:
            self._heads.learn(self.piece, unit, self.site.resource)

    def answered(self) -> None:
        """A request that needed no parsing has its answer."""
        if self._held:
            self.site.later(self._read_held)
        else:
            self._held = None

    def _read_held(self) -> None:
        """Go on with what has come before that answer."""
        held, self._held = self._held, None
        if held:
            if len(held) > _EARLY_BYTES:
                self._networkProducer.resumeProducing()
            self._try(partial(self.dataReceived, held))

    def release(self) -> None:
        """Count it no longer, as it has gone or has a link, which is counted anew."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def resetTimeout(self) -> None:
        if self._idle:
            self._idle = False
            self.setTimeout(self.site.timeOut)

    def rawDataReceived(self, data: bytes) -> None:
        super().rawDataReceived(data)
        self._bound_input()

    def allContentReceived(self) -> None:
        super().allContentReceived()
        self._bound_input()

    def _bound_input(self) -> None:
        """Keep little of what comes before the answer is written.

        twisted.web keeps all if the client reads no answers, and with each pipelined request it reads once more.
        """
        if self._handlingRequest and (self._waitingForTransport or sum(map(len, self._dataBuffer)) > _EARLY_BYTES):
            self._networkProducer.pauseProducing()

    def requestDone(self, request: Request) -> None:
        """Wait for the next request, or go on with it in a later turn: hundreds may have come at once."""
        self._idle = not any(self._dataBuffer)
        self._savedTimeOut = limits.KEEP_ALIVE_SECONDS if self._idle else self.site.timeOut
        if self._idle or not self.persistent:
            super().requestDone(request)
        else:
            self._done = request
            self.site.later(self._go_on)

    def _go_on(self) -> None:
        request, self._done = self._done, None
        if request is not None:
            self._try(partial(super().requestDone, request))

    def _try(self, reading: Callable[[], object]) -> None:
        """Read requests; what fails ends this connection, as within Twisted's own reading."""
        try:
            reading()
        except Exception:  # noqa: BLE001  what reads may be a plugin
            log.err()
            self.forceAbortClient()

    def loseConnection(self) -> None:
        """Close, and not wait for ever: over TLS for the client to close too, or for it to read a long page."""
        super().loseConnection()
        self.setTimeout(limits.CLOSE_SECONDS)

    @property
    def early(self) -> bool:
        """Whether more has come than the request."""
        return bool(self._dataBuffer or self.clearLineBuffer())

    def timeoutConnection(self) -> None:
        if self._refusal is not None:
            self._refuse(b"")
            return
        if self._idle:
            self.loseConnection()
            self._idle = False
            return
        self.site.slow()
        self.forceAbortClient()  # at once: before the end of a TLS handshake no answer can be sent

    def checkPersistence(self, request: Request, version: bytes) -> bool:
        if self.bound() is None:
            request.responseHeaders.setRawHeaders(b"connection", [b"close"])
            return False
        return bool(super().checkPersistence(request, version))

    def bound(self) -> int | None:
        """Return how many bytes the body of this request may have, see Bound."""
        most: int | None = self.site.bound(self._path.partition(b"?")[0])
        return most

    def allHeadersReceived(self) -> None:
        absolute = _ABSOLUTE.fullmatch(self._path)
        headers = self.requests[-1].requestHeaders
        if absolute is not None and len(headers.getRawHeaders("host", ())) <= 1:
            headers.setRawHeaders("host", [absolute[1]])
            self._path = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
        super().allHeadersReceived()
        if self.length != 0 and self.bound() is not None and not self._rejected:
            self.setTimeout(limits.BODY_SECONDS)

    def _send100Continue(self) -> None:
        if not self._rejected:
            super()._send100Continue()

    def refuse_body(self, most: int) -> None:
        """Answer a request whose body is too long at once, and read nothing of it.

        On plain TCP our side closes first: a socket that is closed with unread input resets the connection, and the
        client may never see why.
        """
        self._rejected = True
        answer = HttpRequest.made("", b"").refuse(Refusal("too-long", f"a body has at most {most} bytes here"))
        answer.headers = (*answer.headers, ("Connection", "close"))
        self.transport.write(encode(answer))
        if is_plain(self.transport):
            self.transport.unregisterProducer()
            self.transport.loseWriteConnection()
            self.setTimeout(limits.CLOSE_SECONDS)
        else:
            self.loseConnection()

    @property
    def rejected(self) -> bool:
        """Whether nothing of it is looked at any more."""
        return self._rejected


_ABSOLUTE = re.compile(rb"https?://([^/?@]+)(.*)", re.IGNORECASE)  # its host counts, not Host (RFC 9112 section 3.2.2)
_STREAM = b"text/event-stream"  # what an EventSource accepts
_EARLY_BYTES = HTTPChannel._optimisticEagerReadSize  # of further requests, before an answer is written
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 60\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b\n"
)


class BoundedRequest(Request):
    """A request whose body is bounded, or dropped: twisted.web would keep any in a file."""

    channel: Any  # an HttpChannel
    content: Any
    transport: Any
    _most: int | None = None  # bytes of its body

    def process(self) -> None:
        """Refuse what isn't text before anybody reads it: twisted.web decodes a header when it is asked for."""
        if self.channel.rejected:
            return
        headers = self.requestHeaders
        codings = [value.strip().lower() for value in headers.getRawHeaders("transfer-encoding", ())]
        if not all(map(is_utf8, chain(*(values for _, values in headers.getAllRawHeaders())))):
            self._refuse("A header isn't UTF-8.")
        elif not self._names_its_host():
            self._refuse("A request has one Host (RFC 9112 section 3.2).")
        elif codings and (codings != ["chunked"] or headers.hasHeader("content-length")):
            self._refuse("A request has Content-Length, or Transfer-Encoding with chunked alone (RFC 9112 section 6).")
        else:
            super().process()

    def _names_its_host(self) -> bool:
        """Tell whether it has one Host, which HTTP/1.0 may leave out."""
        hosts = len(self.requestHeaders.getRawHeaders("host", ()))
        return hosts == 1 or (not hosts and self.clientproto == b"HTTP/1.0")

    def _refuse(self, why: str) -> None:
        """Refuse a request, and read nothing behind it: a proxy may have read it in another way."""
        self.channel.persistent = False
        self.setHeader("connection", "close")
        body = plain(self, 400, why)
        self.setHeader("content-length", str(len(body)))
        self.write(body)
        self.finish()

    def render(self, resrc: Any) -> None:
        """Answer HEAD without a body; twisted.web would write a line into the log for each."""
        answer = resrc.render(self) if self.method == b"HEAD" else None
        if answer is None:
            super().render(resrc)
        elif answer != NOT_DONE_YET:
            self.setHeader("content-length", str(len(answer)))
            self.write(b"")
            self.finish()

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()
        self._most = self.channel.bound()
        if self._most is not None and (length or 0) > self._most:
            self.channel.refuse_body(self._most)

    def handleContentChunk(self, data: bytes) -> None:
        if self._most is None or self.channel.rejected:
            return
        if self.content.tell() + len(data) > self._most:
            self.channel.refuse_body(self._most)
        else:
            self.content.write(data)


class HttpSite(Site):
    """A site of such connections.

    acquire  counts connections, or None; slow: called when one is cut because its time is over
    bound    tells how much a request may say
    again    upgrades what is known
    later    reads the second of several requests that came together, and those behind it
    """

    noisy = False
    protocol = HttpChannel  # type: ignore[assignment]  # Twisted wraps its own to speak HTTP/2
    displayTracebacks = False
    again: Again = staticmethod(never)
    later: Later = staticmethod(at_once)

    def __init__(
        self,
        resource: IResource,
        reactor: Any,
        seconds: float = limits.HANDSHAKE_SECONDS,
        acquire: Acquire | None = None,
        slow: Callable[[], object] = lambda: None,
        bound: Bound = no_bodies,
    ) -> None:
        super().__init__(
            resource, requestFactory=BoundedRequest, parsePOSTFormSubmission=False, timeout=seconds, reactor=reactor
        )
        self.bound = bound
        self.acquire = acquire
        self.refusing = 0  # connections that there is no room for, and that haven't said what they want
        self.slow = slow

    def log(self, request: object) -> None:
        """Write no line for each request: any client could fill the disk."""
