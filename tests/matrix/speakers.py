"""How a client of each dialect says what it wants, and what it heard: so that each behaviour is written down once.

    page = seat(world, "websocket-json")
    page.subscribe("a/#")
    page.output()             ->  [("subscribed", "a/#")]
    sensor.publish("a/b", b"1")
    page.output()             ->  [("message", "a/b", b"1")]

A seat is named by its transport and dialect.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

from hubbub.dialect import Dialect
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.dialects.raw import Raw
from hubbub.option import configure
from hubbub.service.plugins.discovery import Plugins
from hubbub.testing import World
from hubbub_plugins.mqtt import Mqtt
from hubbub_plugins.nats import Nats
from hubbub_plugins.stomp import Stomp
from hubbub_plugins.wamp import Wamp
from matrix.mqtt_speaker import Mqtt311Speaker, MqttSpeaker
from matrix.nats_speaker import NatsSpeaker
from matrix.speaker import TRANSPORTS, Output, Speaker
from matrix.stomp_speaker import StompSpeaker
from matrix.wamp_speaker import WampSpeaker

COMMANDING = [f"{transport}-{dialect}" for transport in TRANSPORTS for dialect in ("lines", "json")]
RAW = [f"{transport}-raw" for transport in TRANSPORTS]
MQTT = [f"{transport}-mqtt" for transport in Mqtt.transports]
NATS = [f"{transport}-nats" for transport in Nats.transports]
STOMP = [f"{transport}-stomp" for transport in Stomp.transports]
WAMP = [f"{transport}-wamp" for transport in Wamp.transports]
EVERY = [*COMMANDING, *RAW, *MQTT, *NATS, *STOMP, *WAMP]
ANSWERED = [*COMMANDING, *MQTT, *NATS, *STOMP, *WAMP]  # whose clients learn what became of a command
STREAMS = [name for name in COMMANDING if not name.startswith("udp")]


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

    def read(self, unit: bytes) -> Output:
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

    def read(self, unit: bytes) -> Output:
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

    def reported(self) -> list[dict[str, Any]]:
        """What has come, with everything that it says."""
        self.world.turn()
        return [json.loads(unit) for unit in self.units()]


class RawSpeaker(Speaker):
    """Over a stream each frame stands behind its length, so that any bytes can be said."""

    dialect = Raw

    def kind(self) -> type[Dialect]:
        return configure(Raw, {"length": "u32be"} if self.transport == "tcp" else {})

    def publish(self, topic: str, payload: bytes) -> None:
        assert self.listener.context.dialect_context.topic.text == topic
        self.tell(payload)

    def message(self, topic: str, payload: bytes) -> Output:
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

    def read(self, unit: bytes) -> Output:
        return ("message", None, unit)


SAYS = {  # devices that only send
    "gelf": b'{"version":"1.1","host":"host","short_message":"hello"}\n',
    "graphite": b"hello 1 1700000000\n",
    "influx": b"hello world=1\n",
    "nmea": b"$GPGLL,4916.45,N,12311.12,W,225444,A*31\r\n",
    "statsd": b"hello:1|c\n",
    "syslog": b"<13>1 2026-11-22T10:00:00Z host app - - - hello\n",
}
DEVICES = [f"{transport}-{dialect}" for transport in TRANSPORTS for dialect in SAYS]


class DeviceSpeaker(Speaker):
    """One that only sends, always the same."""

    def kind(self) -> type[Dialect]:
        kind: Any = _SHIPPED[self.name].load()
        return kind

    def __init__(self, world: World, transport: str, name: str, **keys: Any) -> None:
        self.name = name
        super().__init__(world, transport, **keys)

    def speak(self) -> None:
        self.tell(SAYS[self.name])

    def framed(self, unit: bytes) -> bytes:
        return unit if self.transport == "tcp" else unit.strip()


_SHIPPED = {one.name: one for one in Plugins() if one.kind == "dialect"}


def shipped() -> Iterator[str]:
    """Every transport with every dialect that is shipped and goes over it; `auto` is whichever of them it finds."""
    for name in sorted(set(_SHIPPED) - {"auto"}):
        kind: Any = _SHIPPED[name].load()
        yield from (f"{transport}-{name}" for transport in kind.transports)


_SPEAKERS = {
    "lines": LinesSpeaker, "json": JsonSpeaker, "raw": RawSpeaker, "mqtt": MqttSpeaker, "mqtt311": Mqtt311Speaker,
    "nats": NatsSpeaker, "stomp": StompSpeaker, "wamp": WampSpeaker,
}  # fmt: skip


def seat(world: World, name: str, subscribes: str | None = None, publishes: str | None = None, **keys: Any) -> Any:
    """Seat a speaker, as in "tcp-lines". It gets what matches `hears`; one of raw publishes on `talks`."""
    transport, _, dialect = name.partition("-")
    if dialect == "raw" or dialect in SAYS:
        keys |= {"topic": publishes} if publishes is not None else {}
        keys |= {"subscribe": subscribes} if subscribes is not None else {}
    if dialect in SAYS:
        speaker: Any = DeviceSpeaker(world, transport, dialect, **keys)
    else:
        speaker = _SPEAKERS[dialect](world, transport, **keys)
    if subscribes is not None and dialect != "raw":
        speaker.subscribe(subscribes)
        assert speaker.output() == [("subscribed", subscribes)]
    if subscribes is not None and name == "udp-raw":
        speaker.tell(b"")  # nobody knows it before its first datagram
        world.turn()
    return speaker


_CONTROL = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f]")


def _name(text: str) -> bytes:
    return quote(text, safe="/+#$é").encode()


def _printable(payload: bytes) -> bool:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(text) is None


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
