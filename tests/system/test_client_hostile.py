"""hubbub.client and a server that pings and reads nothing: what waits for the server has a bound."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater

from hubbub.client import Client, Closed, Lost
from hubbub.client.twisted import Client as TwistedClient
from hubbub.transports.frames import TEXT

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PING, PONG = 9, 10
LONG = "x" * 16_000_000  # more than sockets hold: tcp_wmem is 4 MiB, and a window grows only as it is read


class Server:
    """Takes one client, and does one step each time that it is told to go on."""

    def __init__(self) -> None:
        self.pongs: list[bytes] = []
        self.go = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "ws://127.0.0.1:%d" % self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as client, client.makefile("rb") as said:
            client.settimeout(20)
            lines = list(iter(said.readline, b"\r\n"))
            (key,) = (one.split()[1] for one in lines if one.lower().startswith(b"sec-websocket-key"))
            accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
            head = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            client.sendall(head + frame(b'{"op":"pong","id":1}'))
            self.go.acquire()
            client.sendall(frame(b"early", PING) + frame(b'{"op":"message","topic":"a"}'))
            self.go.acquire()
            for first, payload in frames(said):
                if len(payload) >= len(LONG):
                    client.sendall(frame(b"late", PING))
                if first & 15 == PONG:
                    self.pongs.append(payload)
                    return

    def wait(self) -> None:
        self._thread.join(20)


def frame(data: bytes, opcode: int = TEXT & 15) -> bytes:
    return bytes((0x80 | opcode, len(data))) + data


def frames(said: Any) -> Iterator[tuple[int, bytes]]:
    """What a client says, unmasked."""
    while head := said.read(2):
        size = head[1] & 127
        if size > 125:
            size = int.from_bytes(said.read(2 if size == 126 else 8), "big")
        key = said.read(4)
        payload = said.read(size)
        yield head[0], payload if size > 125 else bytes(one ^ key[at % 4] for at, one in enumerate(payload))


async def play(
    client: Client | TwistedClient,
    server: Server,
    sleep: Callable[[float], Awaitable[None]],
    begin: Callable[[Any], Any],
) -> None:
    async with client:
        messages = client.subscribe("a")

        async def publish() -> None:
            with pytest.raises((Closed, Lost)):
                await client.publish("b", LONG, qos=0)

        publishing = begin(publish())
        connection = client._connection
        assert connection is not None
        while not connection.full:
            await sleep(0.01)
        server.go.release()
        await anext(messages)  # the ping before it has come
        server.go.release()
        while not server.pongs:
            await sleep(0.01)
        assert not connection.full
    await publishing
    server.wait()
    assert server.pongs == [b"late"]


def test_pings_are_not_answered_while_the_hub_reads_nothing_under_asyncio() -> None:
    async def main() -> None:
        server = Server()
        await play(Client(server.url), server, asyncio.sleep, asyncio.ensure_future)

    asyncio.run(asyncio.wait_for(main(), 20))


async def test_pings_are_not_answered_while_the_hub_reads_nothing_under_twisted() -> None:
    from twisted.internet import reactor

    async def sleep(seconds: float) -> None:
        await deferLater(reactor, seconds)

    def begin(coroutine: Any) -> Deferred[Any]:
        return ensureDeferred(coroutine)

    server = Server()
    await play(TwistedClient(server.url), server, sleep, begin)
