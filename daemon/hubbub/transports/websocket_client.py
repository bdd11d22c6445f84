"""The client's side of WebSocket (RFC 6455): the wire of a connector that dials a URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.dialect import Dialect, Text
from hubbub.transports.dial import Lost
from hubbub.transports.frames import BINARY, TEXT, masked_frame
from hubbub.transports.stream import MakeLink
from hubbub.transports.websocket import WebSocketWire

_TELLS_LITTLE = (ConnectionDone, ConnectionLost, ConnectionAborted)  # Autobahn knows better what went wrong


def masked_text_frame(data: bytes) -> bytes:
    """Put a client's frame around a text message."""
    return masked_frame(data, TEXT, os.urandom(4))


def masked_kind_frame(data: bytes) -> bytes:
    """A text message where the dialect says so, else a binary one."""
    return masked_frame(data, TEXT if isinstance(data, Text) else BINARY, os.urandom(4))


class _Silent:
    """Takes what Autobahn would log of each attempt; the connector logs it once."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **more: None


class DialledWebSocket(WebSocketWire, WebSocketClientProtocol):  # type: ignore[misc]  # Autobahn's bases disagree
    """One WebSocket connection that was dialled."""

    log = _Silent()
    _why = ""

    def dataReceived(self, data: bytes) -> None:
        """Autobahn would keep all of an answer that has no end."""
        autobahn: Any = self  # its hints know less than it does
        if autobahn.state == self.STATE_CONNECTING and len(autobahn.data) + len(data) > limits.LINE_SLACK:
            self._why = f"its answer to the handshake has more than {limits.LINE_SLACK} bytes"
            self.abort()
        else:
            super().dataReceived(data)

    def onOpenHandshakeTimeout(self) -> None:
        """Autobahn looks after some seconds whether it is open."""
        autobahn: Any = self
        if autobahn.state == self.STATE_CONNECTING:
            self._why = f"no answer to the handshake within {limits.HANDSHAKE_SECONDS:g} s"
        super().onOpenHandshakeTimeout()

    def onOpen(self) -> None:
        self.open_stream(self.factory.make_link)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if wasClean:
            self._why = f"it has closed: {code or ''} {reason or ''}".rstrip(": ")
        else:
            self._why = self._why or self.wasNotCleanReason or ""
        super().onClose(wasClean, code, reason)

    def connectionLost(self, reason: Any = None) -> None:
        self._connectionLost(reason)  # Autobahn's own would log each failure of TLS
        explained = isinstance(reason, Failure) and reason.check(*_TELLS_LITTLE) is None
        self.factory.lost(reason.value if explained else self._why or "it has closed the connection")

    def wrapper(self, dialect: type[Dialect]) -> Callable[[bytes], bytes] | None:
        """The frame that goes around a unit; a client masks its frames (section 5.3)."""
        return masked_text_frame if dialect.text else masked_kind_frame


class DialledWebSocketFactory(WebSocketClientFactory):
    """Makes the protocol of one attempt: the first of a host's addresses that answers has it.

    make_link  wire, host, port -> link; lost: called once, when an established connection has gone
    longest    bytes of the longest message that the dialect takes
    """

    protocol = DialledWebSocket
    noisy = False

    def __init__(
        self, url: str, subprotocols: Sequence[str], longest: int, make_link: MakeLink, lost: Lost, reactor: Any
    ) -> None:
        super().__init__(url, protocols=list(subprotocols), useragent="hubbub", reactor=reactor)
        self.make_link = make_link
        self.lost = lost
        self.longest = longest
        self.made: DialledWebSocket | None = None
        self.setProtocolOptions(
            maxFramePayloadSize=longest + 1,
            maxMessagePayloadSize=longest + 1,
            utf8validateIncoming=True,
            acceptMaskedServerFrames=False,
            maskClientFrames=True,
            failByDrop=False,
            openHandshakeTimeout=limits.HANDSHAKE_SECONDS,
            closeHandshakeTimeout=limits.CLOSE_SECONDS,
            serverConnectionDropTimeout=limits.CLOSE_SECONDS,
            tcpNoDelay=True,
            autoPingInterval=0,  # one sweep over all links asks, not a timer for each
            perMessageCompressionOffers=[],
        )

    def buildProtocol(self, addr: IAddress | None) -> DialledWebSocket | None:
        if self.made is not None:
            return None
        self.made = self.protocol()
        self.made.factory = self
        return self.made

    def abort(self) -> None:
        """Cut what there is."""
        if self.made is not None:
            self.made.abort()
