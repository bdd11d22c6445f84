"""The upgrade of a connection to WebSocket: a protocol of Autobahn's goes on with it, and answers the handshake."""

from __future__ import annotations

from typing import Any

from twisted.web.server import Request

from hubbub.identity import Identity
from hubbub.transports.forwarded import Address
from hubbub.transports.websocket import WebSocketFactory

_END = b"\r\n\r\n"
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


def upgrade(channel: Any, head: bytes, factory: WebSocketFactory, identity: Identity | None, client: Address) -> None:
    """Upgrade a connection.

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
