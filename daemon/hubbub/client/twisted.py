"""A client of hubbub for programs with Twisted: what it returns is awaited, in coroutines of `ensureDeferred`.

from hubbub.client.twisted import Client

async def main(reactor):
    async with Client("ws://127.0.0.1:8999") as client:
        async for message in client.subscribe("plant/#"):
            print(message.topic, message.text)

task.react(lambda reactor: ensureDeferred(main(reactor)))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.client.address import SECURE, Address
from hubbub.client.client import BaseClient, Connection, Timer
from hubbub.client.errors import ClientError, Lost
from hubbub.errors import ConfigError


class _Waiter:
    def __init__(self) -> None:
        self._deferred: Deferred[Any] = Deferred()

    def done(self, value: Any) -> None:
        self._deferred.callback(value)

    def fail(self, error: ClientError) -> None:
        self._deferred.errback(error)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._deferred.__await__()


class _Loop:
    def __init__(self) -> None:
        from twisted.internet import reactor

        self._reactor: Any = reactor

    def waiter(self) -> _Waiter:
        return _Waiter()

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer: Timer = _Timer(self._reactor.callLater(seconds, call))
        return timer

    def dial(self, address: Address, connection: Connection) -> None:
        endpoint: Any = HostnameEndpoint(self._reactor, address.host, address.port, limits.CONNECT_SECONDS)
        if address.scheme in SECURE:
            try:
                address.tls()  # its files may have changed
                endpoint = wrapClientTLS(_tls(address), endpoint)
            except (OSError, ConfigError) as error:
                connection.lost(Lost(f"{address}: {error}"))
                return
        connectProtocol(endpoint, _Protocol(address, connection)).addErrback(
            lambda failure: connection.lost(Lost(f"{address}: {failure.value}"))
        )


class _Timer:
    def __init__(self, call: Any) -> None:
        self._call = call

    def cancel(self) -> None:
        if self._call.active():
            self._call.cancel()


class _Protocol(Protocol):  # and the producer of its transport, an IPushProducer
    transport: Any

    def __init__(self, address: Address, connection: Connection) -> None:
        self._address = address
        self._connection = connection

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._connection.made(_Transport(self.transport))

    def pauseProducing(self) -> None:
        self._connection.full = True

    def resumeProducing(self) -> None:
        self._connection.full = False

    def stopProducing(self) -> None:
        """The transport has gone."""

    def dataReceived(self, data: bytes) -> None:
        self._connection.receive(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._connection.lost(Lost(f"{self._address}: {reason.value}"))


class _Transport:
    def __init__(self, transport: Any) -> None:
        self.write = transport.write
        self.abort = transport.abortConnection
        self._transport = transport

    def close(self) -> None:
        self._transport.unregisterProducer()  # it would be waited for
        self._transport.loseConnection()


class Client(BaseClient):
    """A client of one hub; see BaseClient."""

    loop = _Loop


def _tls(address: Address) -> Any:
    trusted = None if address.ca is None else ssl.trustRootFromCertificates(_certificates(address.ca))
    mine: dict[str, Any] = {}
    if address.cert is not None:
        own, *chain = _certificates(address.cert)
        private = ssl.PrivateCertificate.loadPEM(own.dumpPEM() + Path(address.key or address.cert).read_bytes())
        mine = {
            "certificate": private.original,
            "privateKey": private.privateKey.original.to_cryptography_key(),
            "extraCertChain": [one.original for one in chain],
        }
    return ssl.optionsForClientTLS(address.host, trusted, extraCertificateOptions=mine)


def _certificates(file: str) -> list[Any]:
    return [ssl.Certificate.loadPEM(one) for one in _CERTIFICATE.findall(Path(file).read_bytes())]


_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
