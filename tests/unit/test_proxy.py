"""transports/proxy.py on a real socket: once the header is read, nothing of it stands in the way."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hubbub.transports.forwarded import Trust
from hubbub.transports.proxy import ProxyFactory
from hubbub.transports.tcp import TCPFactory


class Link(SimpleNamespace):
    """What a stream needs of its link, and what it was told."""

    write_after_eof = False

    def start(self) -> None:
        pass

    def lost(self) -> None:
        pass

    def receive(self, data: bytes, text: bool | None = None) -> None:
        self.output.callback(data)


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_way_to_the_socket_stays_short(trusted: bool) -> None:
    from twisted.internet import reactor

    links: list[Link] = []

    def make_link(wire: object, host: str, port: int, *more: object) -> Link:
        links.append(Link(wire=wire, peer=(host, port), output=Deferred()))
        made.callback(None)
        return links[0]

    made: Deferred[None] = Deferred()
    trust = Trust([ip_network("127.0.0.0/8" if trusted else "192.0.2.0/24")])
    factory = ProxyFactory(TCPFactory(make_link), trust, lambda proxy, why: None, lambda: 10)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    client = await deferToThread(socket.create_connection, ("127.0.0.1", port.getHost().port))
    try:
        client.sendall(b"PROXY TCP4 192.0.2.9 192.0.2.1 5 6\r\nhello" if trusted else b"hello")
        await made
        assert await links[0].output == b"hello"
        assert links[0].peer == (("192.0.2.9", 5) if trusted else client.getsockname())
        assert links[0].wire._send_now == links[0].wire.transport.socket.send
        links[0].wire.write(b"back")
        assert await deferToThread(client.recv, 10) == b"back"
    finally:
        client.close()
        await port.stopListening()
