"""The wire of a link whose units are requests and responses: it writes them as HTTP/1.1 does (RFC 9112)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Any

from twisted.web.http import datetimeToString

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.http import Headers, HttpRequest, HttpResponse, phrase
from hubbub.transports.stream import Stream

_CLOSE = ("Connection", "close")
_BODILESS = frozenset((HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED))


def encode(unit: bytes) -> bytes:
    """Encode a response; what else a stream has to say is sent as it is, until the connection ends."""
    return _whole(unit, b"") if isinstance(unit, HttpResponse) else unit


def encode_chunked(unit: bytes) -> bytes:
    """Encode a response; what else a stream has to say is sent as chunks (RFC 9112 section 7.1)."""
    if isinstance(unit, HttpResponse):
        return _whole(unit, b"Transfer-Encoding: chunked\r\n")
    return b"%x\r\n%b\r\n" % (len(unit), unit)


def _whole(response: HttpResponse, streaming: bytes) -> bytes:
    head = _head(response.status, response.headers, int(time()))
    if response.stream:
        # Nothing follows a stream, and its client is not to try.
        close = b"" if _CLOSE in response.headers else b"Connection: close\r\n"
        begins = bytes(response)
        return b"".join((head, close, streaming, b"\r\n", encode_chunked(begins) if streaming and begins else begins))
    length = b"" if response.status in _BODILESS else b"Content-Length: %d\r\n" % len(response)
    return b"%b%b\r\n%b" % (head, length, b"" if response.silent else response)


@lru_cache(limits.KNOWN_HEADS)
def _head(status: int, headers: Headers, seconds: int) -> bytes:
    fields = (("Date", datetimeToString(seconds).decode()), *headers)
    lines = [f"HTTP/1.1 {int(status)} {phrase(status)}", *(f"{name}: {value}" for name, value in fields), ""]
    return "\r\n".join(lines).encode()


class HttpWire(Stream):
    """Carries requests of one connection, and of one user, to their link, one at a time.

    channel  a transports.http.channel.HttpChannel
    key      tells whose requests these are
    """

    def __init__(self, channel: Any, key: object) -> None:
        self.key = key
        self.transport = channel.transport
        self._channel = channel
        self._asked: Any = None  # the twisted.web Request that waits for its answer
        self._unit: HttpRequest | None = None
        self._chunked = True

    def ask(self, request: Any, unit: HttpRequest) -> None:
        """Let the link have a request. Its answer ends the request, unless it is a stream.

        request  the twisted.web Request, or None: it needed no parsing
        """
        assert self.link is not None
        self._asked, self._unit = request, unit
        self.link.receive(unit)

    def expect(self, request: Any) -> None:
        """Speak as the client of that request does, from before there is a link."""
        self._chunked = request.clientproto == b"HTTP/1.1"

    # The wire

    def wrapper(self, dialect: type[Dialect]) -> Callable[[bytes], bytes]:
        """Units become responses, or chunks of one."""
        return encode_chunked if self._chunked else encode

    def write(self, data: bytes) -> None:
        """Send what there is; one response ends its request, and the connection is free for the next."""
        super().write(data)
        request, unit = self._asked, self._unit
        if unit is None or unit.stream:
            return
        self._asked = self._unit = None
        if request is None:
            self._channel.answered()
        else:
            finish(request)

    def reject(self, last: bytes, refusal: Refusal) -> None:
        """There is no room for a link: the caller answers the request."""

    def close(self, reason: str, refusal: Refusal | None) -> None:
        """End the stream, if it is one, and close once everything is sent."""
        if self._closing:
            return
        self._closing = True
        if self._unit is not None and self._unit.stream and self._chunked:
            super().write(b"0\r\n\r\n")
        self._channel.loseConnection()

    # The channel has a say in reading too

    def pauseProducing(self) -> None:
        super().pauseProducing()
        self._channel.pauseProducing()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self._channel.resumeProducing()


def finish(request: Any) -> None:
    """Tell twisted.web that its Request has been answered."""
    request.startedWriting = 1
    request.finish()
