"""The STOMP clients that people have, each behind the same few methods."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiostomp
import stomp
import stompman
from stomp.adapter.ws import WSStompConnection
from stompman.connection_ws import WebSocketConnection

from interop.commonjs import Page, bundle
from interop.mqtt.asyncio_clients import run
from interop.mqtt.base import At, Closing, Mailbox
from interop.mqtt.javascript import Node, coded, decoded

FOLDER = Path(sys.prefix) / "node-stomp" / "node_modules"  # where tools/node-packages puts them
DRIVER = Path(__file__).with_name("driver.js")


class Output(NamedTuple):
    """A message that a client was given. `token`: by what it acknowledges."""

    destination: str
    body: bytes
    headers: dict[str, str]
    token: Any = None


def named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): text for name, text in headers.items()}


class StompPy(Mailbox, Closing):
    """stomp-py, of a version of STOMP."""

    KINDS = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}

    def __init__(self, at: At, version: str = "1.2", **login: str) -> None:
        super().__init__()
        kind = WSStompConnection if at.web else self.KINDS[version]
        self.version = version
        self._subscriptions = itertools.count()
        self.client = kind([(at.host, at.port)], reconnect_attempts_max=1)
        if at.secure:
            self.client.set_ssl([(at.host, at.port)], ca_certs=str(at.trust))
        self.client.set_listener("", self)
        self.client.connect(login.get("user", ""), login.get("password", ""), wait=True)

    def on_message(self, frame: Any) -> None:
        body = frame.body.encode() if isinstance(frame.body, str) else frame.body
        self.queue.put(Output(frame.headers["destination"], body, frame.headers, frame.headers))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):  # what else a listener may hear
            return lambda *_: None
        raise AttributeError(name)

    def subscribe(self, destination: str, ack: str = "auto") -> None:
        self.client.subscribe(destination, id=str(next(self._subscriptions)), ack=ack)

    def publish(self, destination: str, *bodies: bytes, **headers: str) -> None:
        for body in bodies:
            self.client.send(
                destination, body, headers={name.replace("_", "-"): text for name, text in headers.items()}
            )

    def ack(self, token: Any) -> None:
        self._answer(self.client.ack, token)

    def nack(self, token: Any) -> None:
        self._answer(self.client.nack, token)

    def _answer(self, call: Any, headers: dict[str, str]) -> None:
        if self.version == "1.2":
            call(headers["ack"])
        elif self.version == "1.0":
            call(headers["message-id"])
        else:
            call(headers["message-id"], headers["subscription"])

    def _end(self, politely: bool) -> None:
        if politely:
            self.client.disconnect(receipt="bye")
            return
        self.client.transport.running = False  # over WebSocket its thread would try to read for ever
        end = self.client.transport.socket
        getattr(end, "sock", end).shutdown(socket.SHUT_RDWR)


class Stompman(Mailbox, Closing):
    """stompman, which reconnects by itself."""

    def __init__(self, at: At, **login: str) -> None:
        super().__init__()
        run(self._connect(at, login))

    async def _connect(self, at: At, login: dict[str, str]) -> None:
        where = stompman.ConnectionParameters(
            at.host,
            at.port,
            login.get("user", ""),
            login.get("password", ""),
            **({"ws_uri_path": "/"} if at.web else {}),
        )
        more = {"connection_class": WebSocketConnection} if at.web else {}
        self.client = stompman.Client([where], ssl=at.context(), connect_retry_attempts=50, **more)
        self._open, self._over_now = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._live())
        opened = asyncio.create_task(self._open.wait())
        await asyncio.wait((self._task, opened), return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()

    async def _live(self) -> None:
        with suppress(_Bye):
            async with self.client:
                self._open.set()
                await self._over_now.wait()
                raise _Bye

    def subscribe(self, destination: str, ack: str = "auto") -> None:
        async def receive(frame: Any) -> None:
            self.queue.put(Output(frame.headers["destination"], frame.body, dict(frame.headers), frame))

        if ack == "auto":
            run(self.client.subscribe(destination, receive, ack=ack, on_suppressed_exception=print))
        else:
            run(self.client.subscribe_with_manual_ack(destination, receive, ack=ack))

    def publish(self, destination: str, *bodies: bytes, **headers: str) -> None:
        async def work() -> None:
            for body in bodies:
                await self.client.send(body, destination, headers=named(headers))

        run(work())

    def ack(self, frame: Any) -> None:
        run(frame.ack())

    def nack(self, frame: Any) -> None:
        run(frame.nack())

    def _end(self, politely: bool) -> None:
        async def work() -> None:
            if politely:
                self._over_now.set()
                await self._task
            else:
                self._task.cancel()
                with suppress(asyncio.CancelledError):
                    await self._task

        run(work())


class _Bye(Exception):
    """Leaves a client of stompman, which otherwise waits until it has no subscriptions."""


class Aiostomp(Mailbox, Closing):
    """aiostomp, which speaks 1.1 and reconnects by itself."""

    def __init__(self, at: At, **login: str) -> None:
        super().__init__()
        run(self._connect(at, login))

    async def _connect(self, at: At, login: dict[str, str]) -> None:
        self.client = aiostomp.AioStomp(at.host, at.port, ssl_context=at.context())
        await self.client.connect(login.get("user"), login.get("password"))

    def subscribe(self, destination: str, ack: str = "auto") -> None:
        async def receive(frame: Any, message: Any) -> bool:
            body = message.encode() if isinstance(message, str) else bytes(message or b"")
            self.queue.put(Output(frame.headers["destination"], body, frame.headers, frame))
            return True

        async def work() -> None:
            self.client.subscribe(destination, ack=ack, handler=receive, auto_ack=False)

        run(work())

    def publish(self, destination: str, *bodies: bytes, **headers: str) -> None:
        async def work() -> None:
            for body in bodies:
                self.client.send(destination, body, named(headers))

        run(work())

    def ack(self, frame: Any) -> None:
        self._call(self.client.ack, frame)

    def nack(self, frame: Any) -> None:
        self._call(self.client.nack, frame)

    def _call(self, call: Any, *said: Any) -> None:
        async def work() -> None:
            call(*said)

        run(work())

    def _end(self, politely: bool) -> None:
        self._call(self.client.close)


def scripts() -> list[str]:
    """Return what a page runs."""
    libraries = "libraries = { stompjs: load('@stomp/stompjs'), webstomp: load('webstomp-client') };"
    return [bundle(FOLDER, "@stomp/stompjs", "webstomp-client"), DRIVER.read_text(), libraries]


class JavaScript(Closing):
    """A client in Node or a page: `library` is "stompjs", "stompit" or "webstomp"."""

    _numbers = itertools.count()

    def __init__(self, engine: Node | Page, library: str, at: At, **login: str) -> None:
        self._engine = engine
        self._number = next(self._numbers)
        where = {"host": at.host, "port": at.port, "carrier": at.carrier, "trust": str(at.trust)}
        if isinstance(engine, Page):
            engine.go(at.host, at.port)
        self._act("open", library, where, login)

    def _act(self, action: str, *said: Any) -> Any:
        return self._engine.act(action, self._number, *said)

    def subscribe(self, destination: str, ack: str = "auto") -> None:
        self._act("subscribe", destination, ack)

    def publish(self, destination: str, *bodies: bytes, **headers: str) -> None:
        self._act("publish", destination, [coded(body) for body in bodies], named(headers))

    def next(self) -> Output:
        said = self._act("next")
        return Output(said["headers"]["destination"], decoded(said["body"]), said["headers"], said["token"])

    def ack(self, token: int) -> None:
        self._act("ack", token)

    def nack(self, token: int) -> None:
        self._act("nack", token)

    def _end(self, politely: bool) -> None:
        self._act("end" if politely else "die")
