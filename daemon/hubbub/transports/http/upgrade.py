"""The upgrade of a connection to WebSocket: a protocol of Autobahn's goes on with it, and answers the handshake."""

from __future__ import annotations

import re
from typing import Any

from twisted.web.server import Request

from hubbub import limits
from hubbub.identity import Identity
from hubbub.transports.forwarded import Address
from hubbub.transports.websocket import WebSocketFactory

_END = b"\r\n\r\n"
_KEY = re.compile(rb"\r\nsec-websocket-key:[ \t]*([0-9A-Za-z+/]{22}==)[ \t]*\r\n", re.IGNORECASE)
_KEY_LINE = b"\r\nSec-WebSocket-Key: "
_OF_HANDSHAKES = (
    b"Host", b"Upgrade", b"Connection", b"Origin", b"Sec-WebSocket-Key", b"Sec-WebSocket-Version",
    b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions",
)  # fmt: skip


def handshake(request: Request) -> bytes:
    """Return what Autobahn needs of a request.

    Nothing else: it ends a line at a vertical tab too, for one, and so may take a header apart into several.
    """
    lines = [b"%b %b HTTP/1.1" % (request.method, request.uri)]
    for name in _OF_HANDSHAKES:
        values = request.requestHeaders.getRawHeaders(name)
        if values:
            lines.append(name + b": " + b",".join(values))
    return b"\r\n".join(lines) + _END


def upgrade(channel: Any, head: bytes, factory: WebSocketFactory, identity: Identity | None, client: Address) -> bool:
    """Upgrade a connection; tell whether the handshake is complete, and not refused.

    channel   a transports.http.channel.HttpChannel, which lets go of it
    head      of `handshake`
    identity  whose it is, where that is known; client: where it comes from
    """
    transport, channel.transport = channel.transport, None
    protocol: Any = factory.buildProtocol(transport.getPeer())
    protocol.identity, protocol.client, protocol.release = identity, client, channel.release
    transport.protocol = protocol
    protocol.makeConnection(transport)
    transport.resumeProducing()
    protocol.dataReceived(head)
    return bool(protocol.state == protocol.STATE_OPEN)


class KnownHandshakes:
    """Requests that have been upgraded: what comes again, but for its key, means the same again.

    The clients of one program send one head. Only twisted.web parses heads; this repeats what came of it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], tuple[bytes, bytes, str]] = {}

    def learn(self, piece: bytes, head: bytes, forwarded: str) -> None:
        """Remember an upgrade, where its request came in one piece.

        head       what Autobahn got; forwarded: X-Forwarded-For
        """
        key = _KEY.search(piece)
        if key is None or len(piece) > limits.KNOWN_HEAD_BYTES or piece.find(_END) != len(piece) - len(_END):
            return
        if b"\nexpect:" in piece.lower():
            return
        if len(self._known) >= limits.KNOWN_HEADS:
            self._known.clear()
        before, _, behind = head.partition(_KEY_LINE + key[1])
        self._known[piece[: key.start(1)], piece[key.end(1) :]] = before + _KEY_LINE, behind, forwarded

    def read(self, piece: bytes) -> tuple[bytes, str] | None:
        """Return what Autobahn gets and X-Forwarded-For, or None: the request has to be parsed."""
        key = _KEY.search(piece) if len(piece) <= limits.KNOWN_HEAD_BYTES else None
        known = None if key is None else self._known.get((piece[: key.start(1)], piece[key.end(1) :]))
        if key is None or known is None:
            return None
        before, behind, forwarded = known
        return before + key[1] + behind, forwarded
