"""The NATS clients that people have, each behind the same few methods."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path
from typing import Any, NamedTuple

import nats
from nats.errors import NoRespondersError

from interop.commonjs import Page, bundle
from interop.mqtt.asyncio_clients import run
from interop.mqtt.base import At, Closing, Mailbox
from interop.mqtt.javascript import Node, coded, decoded

FOLDER = Path(sys.prefix) / "node-nats" / "node_modules"  # where tools/node-packages puts them
DRIVER = Path(__file__).with_name("driver.js")
SCHEMES = {"tcp": "nats", "tls": "tls", "websocket": "ws", "wss": "wss"}

PACKAGES = ("@nats-io/nats-core", "@nats-io/nkeys", "@nats-io/nuid", "tweetnacl")

Pairs = list[tuple[str, str]]


def scripts() -> list[str]:
    """Return what a page runs."""
    return [bundle(FOLDER, *PACKAGES), DRIVER.read_text(), "libraries = load('@nats-io/nats-core');"]


class Output(NamedTuple):
    """A message that a client was given."""

    subject: str
    payload: bytes
    reply: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class NatsPy(Mailbox, Closing):
    """nats-py."""

    def __init__(self, at: At, tls_first: bool = False, **login: str) -> None:
        super().__init__()
        self.events: asyncio.Queue[str] = asyncio.Queue()
        run(self._connect(at, tls_first, login))

    async def _connect(self, at: At, tls_first: bool, login: dict[str, str]) -> None:
        async def reconnected() -> None:
            self.events.put_nowait("reconnect")

        self.client = await nats.connect(
            f"{SCHEMES[at.carrier]}://{at.host}:{at.port}",
            tls=at.context(),
            tls_handshake_first=tls_first,
            reconnect_time_wait=0.05,
            max_reconnect_attempts=-1,
            reconnected_cb=reconnected,
            **({"password" if name == "pass" else name: value for name, value in login.items()}),
        )

    def subscribe(self, subject: str, queue: str = "", max: int = 0) -> None:
        async def receive(message: Any) -> None:
            headers = tuple((message.headers or {}).items())
            self.queue.put(Output(message.subject, message.data, message.reply, headers))

        async def work() -> None:
            subscription = await self.client.subscribe(subject, queue, cb=receive)
            if max:
                await subscription.unsubscribe(max)
            await self.client.flush()

        run(work())

    def publish(self, subject: str, *payloads: bytes, reply: str = "", headers: Pairs | None = None) -> None:
        async def work() -> None:
            for payload in payloads:
                await self.client.publish(subject, payload, reply, dict(headers) if headers else None)
            await self.client.flush()

        run(work())

    def request(self, subject: str, payload: bytes) -> bytes | None:
        """Return the reply; None: there are no responders."""
        try:
            return run(self.client.request(subject, payload, timeout=10)).data
        except NoRespondersError:
            return None

    def drain(self) -> None:
        run(self.client.drain())

    def left(self) -> list[Output]:
        return [self.queue.get_nowait() for _ in range(self.queue.qsize())]

    def reconnected(self) -> None:
        """Wait until it has reconnected."""
        assert run(self.events.get()) == "reconnect"

    def _end(self, politely: bool) -> None:
        run(self.client.close())


class NatsJs(Closing):
    """A client in Node or a page: `library` is "transport" (@nats-io/transport-node), "nats", or "web" (wsconnect)."""

    _numbers = itertools.count()

    def __init__(self, engine: Node | Page, library: str, at: At, tls_first: bool = False, **login: str) -> None:
        self._engine = engine
        self._number = next(self._numbers)
        more = {"tls": {"caFile": str(at.trust), "handshakeFirst": tls_first}} if at.carrier == "tls" else {}
        server = f"{SCHEMES[at.carrier]}://{at.host}:{at.port}" if at.web else f"{at.host}:{at.port}"
        if isinstance(engine, Page):
            engine.go(at.host, at.port)
        self._act("open", library, {"servers": server, **more, **login})

    def _act(self, action: str, *said: Any) -> Any:
        return self._engine.act(action, self._number, *said)

    def subscribe(self, subject: str, queue: str = "", max: int = 0) -> None:
        self._act("subscribe", subject, {"queue": queue} if queue else {"max": max} if max else {})

    def publish(self, subject: str, *payloads: bytes, reply: str = "", headers: Pairs | None = None) -> None:
        self._act("publish", subject, [coded(one) for one in payloads], reply, headers or [])

    def request(self, subject: str, payload: bytes) -> bytes | None:
        """Return the reply; None: there are no responders."""
        found = self._act("request", subject, coded(payload))
        return None if found is None else decoded(found)

    def next(self) -> Output:
        return self._output(self._act("next"))

    def drain(self) -> None:
        self._act("drain")

    def left(self) -> list[Output]:
        return [self._output(one) for one in self._act("left")]

    def reconnected(self) -> None:
        """Wait until it has reconnected."""
        self._act("state", "reconnect")

    def _output(self, said: Any) -> Output:
        pairs = tuple((name, value) for name, value in said["headers"])
        return Output(said["subject"], decoded(said["payload"]), said["reply"], pairs)

    def _end(self, politely: bool) -> None:
        self._act("end")
