"""TLS of listeners: two connections that share their BIOs, whose records are cut, delayed, spoiled and interleaved.

Their sockets may be full.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from certificates import Authority
from fuzz.tls_socket import ROOM, Socket
from hubbub.service.links.tls import Certificates, Spec
from hubbub.transports.tls import TlsFactory, TlsTransport

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


class Server(Protocol):
    """What is above TLS: keeps what comes, and counts its end."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.ends = self.losses = 0

    def dataReceived(self, data: bytes) -> None:
        assert not self.ends
        assert not self.losses
        self.got += data

    def readConnectionLost(self) -> None:
        self.ends += 1

    def connectionLost(self, reason: Any = None) -> None:
        self.losses += 1

    def pauseProducing(self) -> None:
        pass

    resumeProducing = pauseProducing


@cache
def certificates() -> Certificates:
    """Certificates of two names, so that one is chosen."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        authority.issue("names/a.pem", "a", ("a.example",))
        names = authority.issue("names/b.pem", "b", ("b.example",)).parent
        return Certificates(Spec.of({"path": str(names)}, None))


class Pair:
    """One connection: its client, its server, and what is under way between them."""

    def __init__(self, factory: TlsFactory, version: ssl.TLSVersion) -> None:
        self.socket, self.server = Socket(), Server()
        tls = factory.buildProtocol(None)
        assert isinstance(tls, TlsTransport)
        self.tls: Any = tls
        self.tls.makeConnection(self.socket)
        self.tls._send_now = self.socket.send  # as where `is_plain` says so
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self._in, self._out, server_hostname="b.example")
        self.up = bytearray()  # what the client has sent, and isn't there yet
        self.said, self.reported, self.read = bytearray(), bytearray(), bytearray()
        self.spoiled = self.shut = self.ended = self.lost = False
        self.shaken = False
        self.shake()

    def shake(self) -> None:
        if not self.shaken:
            with suppress(ssl.SSLError):
                self.client.do_handshake()
                self.shaken = True
        self.up += self._out.read()

    def say(self, size: int) -> None:
        if self.shaken and not self.shut:
            data = bytes([len(self.said) % 251]) * size
            with suppress(ssl.SSLError):
                self.client.write(data)
                self.said += data
        self.up += self._out.read()

    def close(self) -> None:
        if self.shaken and not self.shut:
            self.shut = True
            with suppress(ssl.SSLError):
                self.client.unwrap()
        self.up += self._out.read()

    def take(self) -> None:
        """The client reads what the server has sent."""
        self.socket.room = ROOM
        self.socket.flush()
        self._in.write(bytes(self.socket.down))
        self.socket.down.clear()
        self.shake()
        if self.shaken and not self.shut:
            with suppress(ssl.SSLError):
                while piece := self.client.read(16_384):
                    self.read += piece
        self.up += self._out.read()

    def deliver(self, size: int) -> None:
        if self.gone:
            return
        data = bytes(self.up[:size])
        del self.up[:size]
        if data:
            self.tls.dataReceived(data)

    def tell(self, size: int) -> None:
        if not self.gone:
            open_ = self.tls._state < 2 and not (self.tls.disconnecting and self.tls._producer is None)
            data = bytes([len(self.reported) % 241]) * size
            self.tls.write(data)
            if open_:
                self.reported += data

    def spoil(self, at: int) -> None:
        if self.up:
            self.spoiled = True
            self.up[at % len(self.up)] ^= 1 + at

    def end(self) -> None:
        if not self.gone and not self.ended:
            self.ended = True
            self.tls.readConnectionLost()

    def lose(self) -> None:
        if not self.lost:
            self.lost = True
            self.socket.unregisterProducer()
            self.tls.connectionLost(None)
            assert self.server.losses == 1

    @property
    def gone(self) -> bool:
        return self.lost or self.socket.aborted

    def check(self) -> None:
        assert self.said.startswith(self.server.got)
        assert self.reported.startswith(self.read)
        assert self.server.ends <= (self.shut and (self.spoiled or self.server.got == self.said))


def play(data: bytes) -> None:
    """Each byte is a step of one of two connections."""
    servers: list[Server] = []

    class Made(Factory):
        def buildProtocol(self, addr: Any) -> Server:
            servers.append(Server())
            return servers[-1]

    factory = TlsFactory(certificates(), Made(), lambda host: b"")
    pairs = [Pair(factory, VERSIONS[number & (data[0] if data else 1)]) for number in (0, 1)]
    for pair, server in zip(pairs, servers, strict=True):
        pair.server = server
    for step in data[1:]:
        pair, size = pairs[step & 1], 1 + 7 * (step >> 4) ** 3
        steps: tuple[Callable[[], object], ...] = (
            lambda: pair.say(size),  # noqa: B023
            lambda: pair.deliver(size),  # noqa: B023
            lambda: (pair.deliver(len(pair.up)), pair.take(), pair.deliver(len(pair.up)), pair.take()),  # noqa: B023
            lambda: pair.tell(4 * size),  # noqa: B023  more than is sealed at once, too
            pair.take,
            lambda: pair.tls.registerProducer(pair.server, True),  # noqa: B023
            pair.tls.unregisterProducer,
            lambda: _end(pair, step >> 4),  # noqa: B023
        )
        if not pair.gone:
            steps[step >> 1 & 7]()
        assert not factory.incoming.pending
        assert not factory.outgoing.pending
        for one in pairs:
            one.check()
    for pair in pairs:
        for _ in range(4):
            pair.deliver(len(pair.up))
            pair.take()
        pair.check()
        whole = not (pair.spoiled or pair.gone or pair.ended or pair.tls.disconnecting or pair.shut)
        assert not whole or (pair.server.got, pair.read) == (pair.said, pair.reported)
        pair.lose()


def _end(pair: Pair, which: int) -> None:
    if which < 4:
        pair.close()
    elif which < 7:
        pair.spoil(which * 5)
    elif which < 9:
        pair.end()
    elif which < 11:
        pair.tls.loseConnection()
    elif which < 12:
        pair.tls.abortConnection()
    elif which < 13:
        pair.lose()
    else:
        pair.socket.room = (which - 13) * 40
