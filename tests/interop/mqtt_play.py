"""Plays a script of raw packets to a broker, and writes down what comes back.

A step sends, and then waits until nothing more can come of it: a PINGREQ on each connection that has had its CONNACK is
answered after everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import (
    V5,
    Ack,
    Connack,
    Connect,
    Disconnect,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
)
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL
from hubbub_plugins.mqtt.reader import Reader
from hubbub_plugins.mqtt.wire import Malformed

PINGREQ = b"\xc0\0"
SILENCE = 20  # seconds after which a connection without a CONNACK is one that stays open
END = 25  # seconds for an end that has to come
KINDS = {PUBACK: "PUBACK", PUBREC: "PUBREC", PUBREL: "PUBREL", PUBCOMP: "PUBCOMP"}
OWN = ("topic_alias", "message_expiry_interval")  # properties that are a server's, or change as time passes

Script = Callable[["Scene"], Awaitable[None]]


class Connection:
    """One client. `flight` are the messages that it hasn't acknowledged."""

    def __init__(self, scene: Scene, name: str, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.scene = scene
        self.name = name
        self.open = True
        self.welcome = False
        self.flight: list[Publish] = []
        self._reader, self._writer = streams
        self._packets = Reader(10_000_000)

    async def send(self, *said: Any) -> None:
        """Send packets, and wait until nothing more comes of it anywhere."""
        data = b"".join(one if isinstance(one, bytes) else one.encode(self.scene.version) for one in said)
        self.write(data)
        await self.scene.settle(self)

    def write(self, data: bytes) -> None:
        if self.open:
            self._writer.write(data)

    async def ack(self, kind: int = PUBACK, code: int = 0) -> None:
        """Acknowledge the oldest message."""
        one = self.flight[0] if kind == PUBREC else self.flight.pop(0)
        await self.send(Ack(kind=kind, id=one.id, code=code))

    async def vanish(self) -> None:
        self.open = False
        self._writer.transport.abort()
        for _ in range(3):  # a broker hears of it somewhere among its other sockets
            await self.scene.settle(self)

    async def ends(self) -> None:
        """Wait for the broker to close."""
        await self._read(lambda found: False, END)

    async def settle(self) -> None:
        if not self.open:
            return
        if self.welcome:
            self._writer.write(PINGREQ)
            await self._read(lambda found: isinstance(found, Pingresp), END)
        else:
            await self._read(lambda found: isinstance(found, Connack), SILENCE)
            if self.welcome:
                await self.settle()

    async def _read(self, enough: Callable[[Any], bool], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while self.open and not await self._some(enough):
                    pass
        except TimeoutError:
            self._note("stays open")

    async def _some(self, enough: Callable[[Any], bool]) -> bool:
        try:
            data = await self._reader.read(65_536)
        except ConnectionError:
            data = b""
        if not data:
            self.open = self.welcome = False
            self._note("closed")
            return True
        frames, wrong = self._packets.feed(data)
        found = [self._decode(first, body) for first, body in frames]
        if wrong is not None:
            self._note(f"no packet: {wrong}")
        return any(enough(one) for one in found)

    def _decode(self, first: int, body: bytes) -> Any:
        try:
            old = first == 0x20 and len(body) == 2  # a CONNACK of 3.1.1, to who may not speak version 5
            found = packets.decode(first, body, packets.V311 if old else self.scene.version)
        except Malformed as refusal:
            self._note(f"no packet {first:02X}: {refusal}")
            return None
        if isinstance(found, Connack) and found.code == 0:
            self.welcome = True
        if isinstance(found, Publish) and found.qos:
            self.flight.append(found)
        if not isinstance(found, Pingresp):
            self._note(self.scene.words(found))
        return found

    def _note(self, words: str) -> None:
        self.scene.lines.append(f"{self.name}: {words}")

    def end(self) -> None:
        self._writer.transport.abort()


class Scene:
    """One script at one broker. `t("a")` is a topic of its own. `lines`: what came back."""

    def __init__(self, name: str, version: int, port: int) -> None:
        self.name = name
        self.version = version
        self.lines: list[str] = []
        self._port = port
        self._connections: list[Connection] = []

    def t(self, topic: str) -> str:
        return f"{self.name}/{topic}"

    async def connection(self, name: str) -> Connection:
        found = Connection(self, name, await asyncio.open_connection("127.0.0.1", self._port))
        self._connections.append(found)
        return found

    async def client(self, name: str = "c", **more: Any) -> Connection:
        """A client that has sent its CONNECT."""
        found = await self.connection(name)
        if self.version != V5:
            more.pop("properties", None)
        await found.send(Connect(version=self.version, client=more.pop("client", f"{self.name}-{name}"), **more))
        return found

    async def ear(self, *wishes: Any, name: str = "ear", **more: Any) -> Connection:
        """A client that listens; with qos 2 to everything of this script."""
        found = await self.client(name, **more)
        wishes = wishes or (packets.Subscription(filter=self.t("#"), qos=2),)
        await found.send(Subscribe(id=1, subscriptions=wishes))
        return found

    async def settle(self, first: Connection) -> None:
        await first.settle()
        for one in self._connections:
            if one is not first:
                await one.settle()

    def words(self, found: Any) -> str:
        """What there is to say of a packet, without what is a server's own choice."""
        if isinstance(found, Connack):
            return f"CONNACK 0x{found.code:02X}" + " present" * found.present
        if isinstance(found, Publish):
            more = {key: value for key, value in found.properties.items() if key not in OWN}
            flags = f"qos {found.qos}" + " retain" * found.retain + " dup" * found.dup
            topic = found.topic.removeprefix(f"{self.name}/")
            return f"PUBLISH {topic} {found.payload!r} {flags}" + f" {dict(sorted(more.items()))}" * bool(more)
        if isinstance(found, Suback | Unsuback):
            return f"{type(found).__name__.upper()} {found.id} [{' '.join(f'0x{code:02X}' for code in found.codes)}]"
        if isinstance(found, Ack):
            number = "" if found.kind == PUBREL else f" {found.id}"
            return f"{KINDS[found.kind]}{number} 0x{found.code:02X}"
        assert isinstance(found, Disconnect), found
        return f"DISCONNECT 0x{found.code:02X}"

    def end(self) -> None:
        for one in self._connections:
            one.end()


async def play(name: str, version: int, port: int, script: Script) -> list[str]:
    scene = Scene(name, version, port)
    try:
        await script(scene)
    except ConnectionError as error:
        scene.lines.append(f"{type(error).__name__}")
    finally:
        scene.end()
    return sorted(scene.lines, key=lambda line: line.partition(":")[0])  # each connection for itself
