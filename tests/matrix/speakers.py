"""How a client of each dialect says what it wants, and what it heard: so that each behaviour is written down once.

    page = seat(world, "websocket-json")
    page.subscribe("a/#")
    page.heard()             ->  [("subscribed", "a/#")]
    sensor.publish("a/b", b"1")
    page.heard()             ->  [("message", "a/b", b"1")]

A seat is named by its transport and dialect.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from hubbub.dialect import Dialect
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.dialects.raw import Raw
from hubbub.option import configure
from hubbub.testing import World

TRANSPORTS = ("tcp", "udp", "websocket")
COMMANDING = [f"{transport}-{dialect}" for transport in TRANSPORTS for dialect in ("lines", "json")]
RAW = [f"{transport}-raw" for transport in TRANSPORTS]
EVERY = [*COMMANDING, *RAW]
STREAMS = [name for name in COMMANDING if not name.startswith("udp")]

Heard = tuple[Any, ...]


class Speaker:
    """One client of one dialect on a listener of its own.

    script  where set, what it says is collected there, as bytes of the wire, instead of being sent
    """

    dialect: ClassVar[type[Dialect]]

    def __init__(self, world: World, transport: str, **keys: Any) -> None:
        self.world = world
        self.transport = transport
        self.door = world.listen(transport, self.kind(), **keys)
        self.client = self.door.connect()
        self.script: list[bytes] | None = None

    def kind(self) -> type[Dialect]:
        return self.dialect

    def tell(self, unit: bytes) -> None:
        """Send one unit."""
        whole = self.framed(unit)
        if self.script is None:
            self.client.send(whole)
        else:
            self.script.append(self.client.encode(whole) if self.transport == "websocket" else whole)

    def heard(self) -> list[Heard]:
        """End the turn, and return what has come."""
        self.world.turn()
        return [self.read(unit) for unit in self.units()]

    def units(self) -> list[bytes]:
        received = self.client.received()
        if self.transport == "tcp":
            return self.split(received)
        return [unit.encode() if isinstance(unit, str) else unit for unit in received]

    def message(self, topic: str, payload: bytes) -> Heard:
        """What is heard of a message."""
        return ("message", topic, payload)

    def framed(self, unit: bytes) -> bytes | str:
        raise NotImplementedError

    def split(self, data: bytes) -> list[bytes]:
        raise NotImplementedError

    def read(self, unit: bytes) -> Heard:
        raise NotImplementedError


class _Texts(Speaker):
    """A dialect whose units are lines of text."""

    def framed(self, unit: bytes) -> bytes | str:
        if self.transport == "tcp":
            return unit + b"\n"
        try:
            return unit.decode() if self.transport == "websocket" else unit
        except UnicodeDecodeError:
            return unit  # which goes as a binary message

    def split(self, data: bytes) -> list[bytes]:
        assert data == b"" or data.endswith(b"\n")
        return data.split(b"\n")[:-1]


class LinesSpeaker(_Texts):
    dialect = Lines

    def subscribe(self, filter: str) -> None:
        self.tell(b"SUB " + _name(filter))

    def unsubscribe(self, filter: str) -> None:
        self.tell(b"UNSUB " + _name(filter))

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        mark = b"!" if retain else b""
        if _printable(payload):
            self.tell(b"PUB%b %b %b" % (mark, _name(topic), payload))
        else:
            self.tell(b"PUBB%b %b %b" % (mark, _name(topic), b64encode(payload)))

    def request(self, topic: str, payload: bytes) -> None:
        self.tell(b"REQ %b %b" % (_name(topic), payload))

    def garble(self) -> None:
        """Say something that isn't UTF-8."""
        self.tell(b"SUB \xff")

    def ping(self) -> None:
        self.tell(b"PING")

    def log_in(self) -> None:
        self.tell(b"AUTH ann a secret")

    def leave(self) -> None:
        self.tell(b"QUIT")

    def read(self, unit: bytes) -> Heard:
        word, _, rest = unit.partition(b" ")
        if word in (b"MSG", b"MSGB"):
            topic, space, payload = rest.partition(b" ")
            assert space
            return ("message", unquote(topic.decode()), payload if word == b"MSG" else b64decode(payload))
        if word in (b"REP", b"REPB"):
            return ("reply", rest if word == b"REP" else b64decode(rest))
        if word == b"OK":
            what, _, name = rest.partition(b" ")
            return ({b"SUB": "subscribed", b"UNSUB": "unsubscribed"}[what], unquote(name.decode()))
        if word == b"ERR":
            code, _, reason = rest.decode().partition(" ")
            assert reason
            return ("error", code)
        if word == b"GAP":
            return ("gap", int(rest))
        return ({b"PONG": "pong", b"BYE": "bye"}[word],)


class JsonSpeaker(_Texts):
    dialect = Json

    def op(self, op: str, **fields: Any) -> None:
        self.tell(json.dumps({"op": op, **fields}, ensure_ascii=False).encode())

    def subscribe(self, filter: str, **options: Any) -> None:
        self.op("subscribe", topic=filter, **options)

    def unsubscribe(self, filter: str) -> None:
        self.op("unsubscribe", topic=filter)

    def publish(self, topic: str, payload: bytes, retain: bool = False, **more: Any) -> None:
        self.op("publish", topic=topic, **_carried(payload), **({"retain": True} if retain else {}), **more)

    def request(self, topic: str, payload: bytes, **more: Any) -> None:
        self.op("request", topic=topic, **_carried(payload), **more)

    def garble(self) -> None:
        self.tell(b'{"op":"subscribe","topic":"\xff"}')

    def ping(self) -> None:
        self.op("ping")

    def log_in(self) -> None:
        self.op("auth", user="ann", password="a secret")

    def leave(self) -> None:
        self.op("bye")

    def read(self, unit: bytes) -> Heard:
        said = json.loads(unit)
        op = said["op"]
        if op == "message":
            return ("message", said["topic"], _payload(said))
        if op == "reply":
            return ("reply", _payload(said))
        if op == "error":
            assert said["reason"]
            return ("error", said["code"])
        if op == "gap":
            return ("gap", said["count"])
        return (op, said["topic"]) if "topic" in said else (op,)

    def told(self) -> list[dict[str, Any]]:
        """What has come, with everything that it says."""
        self.world.turn()
        return [json.loads(unit) for unit in self.units()]


class RawSpeaker(Speaker):
    """Over a stream each frame stands behind its length, so that any bytes can be said."""

    dialect = Raw

    def kind(self) -> type[Dialect]:
        return configure(Raw, {"length": "u32be"} if self.transport == "tcp" else {})

    def publish(self, topic: str, payload: bytes) -> None:
        assert self.door.place.setting.topic.text == topic
        self.tell(payload)

    def message(self, topic: str, payload: bytes) -> Heard:
        return ("message", None, payload)

    def framed(self, unit: bytes) -> bytes:
        return len(unit).to_bytes(4, "big") + unit if self.transport == "tcp" else unit

    def split(self, data: bytes) -> list[bytes]:
        units = []
        while data:
            size = int.from_bytes(data[:4], "big")
            units.append(data[4 : 4 + size])
            data = data[4 + size :]
        return units

    def read(self, unit: bytes) -> Heard:
        return ("message", None, unit)


_SPEAKERS = {"lines": LinesSpeaker, "json": JsonSpeaker, "raw": RawSpeaker}


def seat(world: World, name: str, hears: str | None = None, talks: str | None = None, **keys: Any) -> Any:
    """Seat a speaker, as in "tcp-lines". It gets what matches `hears`; one of raw publishes on `talks`."""
    transport, _, dialect = name.partition("-")
    if dialect == "raw":
        keys |= {"topic": talks} if talks is not None else {}
        keys |= {"subscribe": hears} if hears is not None else {}
    speaker = _SPEAKERS[dialect](world, transport, **keys)
    if hears is not None and dialect != "raw":
        speaker.subscribe(hears)
        assert speaker.heard() == [("subscribed", hears)]
    if hears is not None and name == "udp-raw":
        speaker.tell(b"")  # nobody knows it before its first datagram
        world.turn()
    return speaker


def _name(text: str) -> bytes:
    return quote(text, safe="/+#$é").encode()


def _printable(payload: bytes) -> bool:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return False
    return not any(character < " " or character == "\x7f" for character in text.replace("\t", ""))


def _carried(payload: bytes) -> dict[str, str]:
    try:
        return {"data": payload.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(payload).decode()}


def _payload(said: dict[str, Any]) -> bytes:
    if "base64" in said:
        return b64decode(said["base64"], validate=True)
    data = said["data"]
    return data.encode() if isinstance(data, str) else json.dumps(data, separators=(",", ":")).encode()
