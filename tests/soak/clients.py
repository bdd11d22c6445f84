"""Clients of a soak, each of its kind: it comes, subscribes to a topic of its own, talks to itself, and goes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

_SERIAL = itertools.count()
_LIVES = itertools.count()
_TOPICS = 1_000  # names of devices don't end, but they repeat: the hub remembers up to limits.MATCH_CACHE topics
_PATIENCE = 20.0  # seconds until a message that hasn't come back counts as lost
_OPENING = 60.0  # seconds: who comes while a daemon drains waits for the next one, and is in a crowd then


@dataclass
class Tally:
    """What a soak has seen.

    sent, heard  messages of clients to themselves; lives: how many of each kind; faults: what went wrong
    """

    sent: int = 0
    output: int = 0
    lives: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class Client:
    """One life. Kinds say how they `open`, `say` a message, and `hear` the next one, as text."""

    def __init__(self, where: dict[str, Any], rate: float) -> None:
        self.where = where
        self.rate = rate
        self.topic = f"soak/{next(_LIVES) % _TOPICS}"

    async def open(self) -> None: ...
    async def say(self, payload: str) -> None: ...
    async def receive(self) -> str: ...
    async def close(self) -> None: ...

    async def live(self, going: Callable[[], bool], tally: Tally) -> bool:
        """Send to itself about `rate` messages a second while it is `going`, and hear each one; tell whether it did."""
        name, doing = type(self).__name__, "opening"
        try:
            await asyncio.wait_for(self.open(), _OPENING)
            doing = "talking"
            while going():
                payload = f"{next(_SERIAL)} " + "x" * random.choice((0, 20, 100, 2_000))
                tally.sent += 1
                await self.say(payload)
                while payload not in await asyncio.wait_for(self.receive(), _PATIENCE):
                    pass
                tally.output += 1
                await asyncio.sleep(random.expovariate(self.rate))
            tally.lives[name] += 1
            return True
        except (OSError, EOFError, TimeoutError, WebSocketException) as error:
            tally.faults[f"{name} {doing}: {type(error).__name__} {error}"] += 1
            return False
        finally:
            with contextlib.suppress(OSError, EOFError, TimeoutError, WebSocketException):
                await asyncio.wait_for(self.close(), _PATIENCE)


def expect(answer: str, wanted: str) -> None:
    """Count another answer among the faults."""
    if wanted not in answer:
        raise ConnectionError(f"{answer[:100]!r} instead of {wanted}")


class Lines(Client):
    """lines over TCP; some quit, some end their input, some vanish."""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.where["tcp"])

    async def open(self) -> None:
        self.reader, self.writer = await self.connect()
        self.writer.write(f"SUB {self.topic}\n".encode())
        expect(await self.receive(), "OK SUB")

    async def say(self, payload: str) -> None:
        self.writer.write(f"{random.choice(('PUB', 'PUB', 'PUB!'))} {self.topic} {payload}\n".encode())

    async def receive(self) -> str:
        line = await self.reader.readuntil(b"\n")
        return line.decode().rstrip("\n")

    async def close(self) -> None:
        if not hasattr(self, "writer"):
            return
        if random.random() < 0.1:
            self.writer.transport.abort()
            return
        if random.random() < 0.5:
            self.writer.write(f"PUB! {self.topic} \nQUIT\n".encode())  # an empty one takes the retained message away
        else:
            self.writer.write(f"PUB! {self.topic} \nUNSUB {self.topic}\n".encode())
            self.writer.write_eof()
        await self.reader.read()
        self.writer.close()
        await self.writer.wait_closed()


class Unix(Lines):
    """lines over a Unix socket."""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.where["unix"])


class Json(Lines):
    """json over TCP."""

    async def open(self) -> None:
        self.reader, self.writer = await self.connect()
        self.writer.write(json.dumps({"op": "subscribe", "topic": self.topic, "id": 1}).encode() + b"\n")
        expect(await self.receive(), '"subscribed"')

    async def say(self, payload: str) -> None:
        self.writer.write(json.dumps({"op": "publish", "topic": self.topic, "data": payload}).encode() + b"\n")

    async def close(self) -> None:
        if hasattr(self, "writer"):
            self.writer.close()
            await self.writer.wait_closed()


class Raw(Lines):
    """raw over TCP: what it sends comes back on the raw listener of somebody else, which is itself a second time."""

    async def open(self) -> None:
        self.reader, self.other = await asyncio.open_connection(*self.where["raw"])
        _, self.writer = await asyncio.open_connection(*self.where["raw"])
        # A raw link isn't told when it is subscribed: ask until it hears.
        while True:
            await self.say("hello")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.receive(), 1)
                return

    async def say(self, payload: str) -> None:
        self.writer.write(payload.encode() + b"\n")

    async def close(self) -> None:
        for writer in (getattr(self, "writer", None), getattr(self, "other", None)):
            if writer is not None:
                writer.close()
                await writer.wait_closed()


class Web(Client):
    """json over WebSocket, with a client that shares no code with hubbub."""

    async def open(self) -> None:
        host, port = self.where["websocket"]
        self.web = await connect(f"ws://{host}:{port}/", compression=None, max_size=2**22, open_timeout=_OPENING)
        await self.web.send(json.dumps({"op": "subscribe", "topic": self.topic, "id": 1}))
        expect(await self.receive(), '"subscribed"')

    async def say(self, payload: str) -> None:
        await self.web.send(json.dumps({"op": "publish", "topic": self.topic, "data": payload}))

    async def receive(self) -> str:
        return str(await self.web.recv())

    async def close(self) -> None:
        if not hasattr(self, "web"):
            return
        if random.random() < 0.1:
            self.web.transport.abort()
        else:
            await self.web.close()


class Datagrams(Client):
    """lines over UDP, with a lease that its own messages renew; loopback is vouched for."""

    async def open(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        inbox = self.inbox

        class Protocol(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                inbox.put_nowait(data)

        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(Protocol, remote_addr=self.where["udp"])
        self.transport.sendto(f"SUB {self.topic}".encode())
        while not (await self.receive()).startswith(f"OK SUB {self.topic}"):
            pass  # what the kernel held for somebody who had this port before

    async def say(self, payload: str) -> None:
        self.transport.sendto(f"PUB {self.topic} {payload}".encode())

    async def receive(self) -> str:
        data = await self.inbox.get()
        if data == b"BYE":
            raise EOFError("its lease has ended")
        return data.decode()

    async def close(self) -> None:
        if hasattr(self, "transport"):
            if random.random() < 0.5:
                self.transport.sendto(f"UNSUB {self.topic}".encode())
            self.transport.close()


class Stalled(Lines):
    """Subscribes to everything and reads nothing until it goes."""

    async def live(self, going: Callable[[], bool], tally: Tally) -> bool:
        try:
            self.reader, self.writer = await self.connect()
            self.writer.transport.pause_reading()
            self.writer.write(b"SUB soak/#\n")
            while going():
                await asyncio.sleep(0.2)
            tally.lives["Stalled"] += 1
            return True
        except OSError as error:
            tally.faults[f"Stalled: {error}"] += 1
            return False
        finally:
            if hasattr(self, "writer"):
                self.writer.transport.abort()


KINDS: tuple[type[Client], ...] = (Lines, Unix, Json, Raw, Web, Datagrams, Lines, Web, Stalled)
