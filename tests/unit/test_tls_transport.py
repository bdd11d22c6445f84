"""transports/tls.py: what one connection leaves in the BIOs would reach another one."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol

from certificates import Authority
from hubbub.transports.tls import TlsFactory, TlsTransport


class Certificate:
    """What a listener knows of TLS."""

    protocols = ("lines",)

    def __init__(self, file: Path) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(file)

    def begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return self.context.wrap_bio(incoming, outgoing, server_side=True)

    def vouch(self, chain: object) -> bool:
        return True


class Socket:
    """The transport of a socket that takes everything."""

    dataBuffer = b""
    offset = 0
    _tempDataBuffer: tuple[bytes, ...] = ()
    _tempDataLen = 0

    def __init__(self) -> None:
        self.written = b""
        self.ends = False

    def write(self, data: bytes) -> None:
        self.written += data

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken, self.written = self.written, b""
        return taken

    def loseConnection(self) -> None:
        self.ends = True

    abortConnection = loseConnection

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 50_000)

    def setTcpNoDelay(self, enabled: bool) -> None: ...
    def unregisterProducer(self) -> None: ...


@pytest.fixture
def factory(tmp_path: Path) -> TlsFactory:
    file = Authority(tmp_path).issue("hub.pem", "hub", ("localhost",))
    return TlsFactory(Certificate(file), Factory.forProtocol(Protocol), lambda host: b"")


def connected(factory: TlsFactory) -> tuple[TlsTransport, Socket, ssl.SSLObject, ssl.MemoryBIO]:
    """A connection after its handshake, its socket, and the client's end with what it reads from."""
    made: Any = factory.buildProtocol(None)
    raw = Socket()
    made.makeConnection(raw)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reads, writes = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(reads, writes, server_hostname="localhost")
    for _ in range(3):
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
        if writes.pending:
            made.dataReceived(writes.read())
        reads.write(raw.take())
    return made, raw, client, reads


def test_a_write_that_fails_leaves_nothing_to_the_next_connection(factory: TlsFactory) -> None:
    broken, raw, *_ = connected(factory)
    other, other_raw, client, reads = connected(factory)
    with suppress(ssl.SSLError):
        broken._tls.unwrap()  # behind its back: from now on OpenSSL refuses to encrypt, and leaves an alert
    broken.write(b"never sent")
    assert raw.ends
    assert factory.outgoing.pending == 0
    other.write(b"hello")
    reads.write(other_raw.take())
    assert client.read(100) == b"hello"


def test_garbage_leaves_nothing_to_the_next_connection(factory: TlsFactory) -> None:
    broken, *_ = connected(factory)
    other, other_raw, client, reads = connected(factory)
    broken.dataReceived(b"\x17\x03\x03\x00\x05garbage and more of it")
    assert (factory.incoming.pending, factory.outgoing.pending) == (0, 0)
    other.write(b"hello")
    reads.write(other_raw.take())
    assert client.read(100) == b"hello"
