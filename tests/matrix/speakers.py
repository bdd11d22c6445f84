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
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from hubbub.dialect import Dialect
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.dialects.raw import Raw
from hubbub.option import configure
from hubbub.service.plugins.discovery import Plugins
from hubbub.testing import World
from hubbub_plugins.mqtt import Mqtt, packets
from hubbub_plugins.mqtt.codes import REASONS
from hubbub_plugins.mqtt.packets import V5, V311
from hubbub_plugins.mqtt.reader import Reader

TRANSPORTS = ("tcp", "udp", "websocket")
COMMANDING = [f"{transport}-{dialect}" for transport in TRANSPORTS for dialect in ("lines", "json")]
RAW = [f"{transport}-raw" for transport in TRANSPORTS]
MQTT = [f"{transport}-mqtt" for transport in Mqtt.transports]
EVERY = [*COMMANDING, *RAW, *MQTT]
ANSWERED = [*COMMANDING, *MQTT]  # whose clients learn what became of a command
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
        assert self.door.context.dialect_context.topic.text == topic
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


class MqttSpeaker(Speaker):
    """It publishes at QoS 1, so that it learns of refusals, and subscribes at 0 unless told otherwise.

    What went well is told of a SUBSCRIBE alone, as in other dialects.
    """

    dialect = Mqtt
    version: ClassVar[int] = V5

    def __init__(self, world: World, transport: str, **keys: Any) -> None:
        connect = {name: keys.pop(name) for name in ("client", "clean", "properties") if name in keys}
        super().__init__(world, transport, **keys)
        self._reader = Reader(10_000_000)
        self._next = 0
        self._wishes: dict[int, str] = {}  # filters, by packet identifier
        self._asked: dict[bytes, str] = {}  # reply topics, by correlation
        self.send(packets.Connect(version=self.version, **connect))
        self.connack, *self.first = self.told()

    def send(self, packet: Any) -> None:
        self.tell(packet.encode(self.version))

    def id(self) -> int:
        self._next = self._next % 65_535 + 1
        return self._next

    def subscribe(self, filter: str, **more: Any) -> None:
        number = self.id()
        self._wishes[number] = filter
        self.send(packets.Subscribe(id=number, subscriptions=[packets.Subscription(filter=filter, **more)]))

    def unsubscribe(self, filter: str) -> None:
        number = self.id()
        self._wishes[number] = filter
        self.send(packets.Unsubscribe(id=number, filters=[filter]))

    def publish(self, topic: str, payload: bytes, retain: bool = False, qos: int = 1, **properties: Any) -> None:
        number = self.id() if qos else 0
        said = packets.Publish(topic=topic, payload=payload, qos=qos, id=number, retain=retain, properties=properties)
        self.send(said)

    def request(self, topic: str, payload: bytes, back: str = "back") -> None:
        """Ask as MQTT 5 does (section 4.10): who asks has subscribed to `back`."""
        about = b"%d" % len(self._asked)
        self._asked[about] = back
        self.publish(topic, payload, response_topic=back, correlation_data=about)

    def told(self) -> list[Any]:
        """The packets that have come."""
        self.world.turn()
        return self.units()

    def units(self) -> list[Any]:
        received = self.client.received()
        found, wrong = self._reader.feed(received if isinstance(received, bytes) else b"".join(received))
        assert wrong is None
        return [packets.decode(first, body, self.version) for first, body in found]

    def heard(self) -> list[Heard]:
        return [one for one in super().heard() if one]

    def framed(self, unit: bytes) -> bytes:
        return unit

    def read(self, packet: Any) -> Heard:
        if isinstance(packet, packets.Publish):
            back = self._asked.get(packet.properties.get("correlation_data", b""))
            return ("reply", packet.payload) if packet.topic == back else ("message", packet.topic, packet.payload)
        if isinstance(packet, packets.Suback | packets.Unsuback):
            filter = self._wishes.pop(packet.id)
            (code,) = packet.codes
            if code >= 0x80:
                return ("error", _CODES[code])
            return ("subscribed" if isinstance(packet, packets.Suback) else "unsubscribed", filter)
        if isinstance(packet, packets.Disconnect):
            return ("error", _CODES.get(packet.code, "bye"))
        assert isinstance(packet, packets.Ack), packet
        return ("error", _CODES[packet.code]) if packet.code >= 0x80 else ()


class Mqtt311Speaker(MqttSpeaker):
    version = V311


_CODES = {code: name for name, code in REASONS.items()}


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
}  # fmt: skip


def seat(world: World, name: str, hears: str | None = None, talks: str | None = None, **keys: Any) -> Any:
    """Seat a speaker, as in "tcp-lines". It gets what matches `hears`; one of raw publishes on `talks`."""
    transport, _, dialect = name.partition("-")
    if dialect == "raw" or dialect in SAYS:
        keys |= {"topic": talks} if talks is not None else {}
        keys |= {"subscribe": hears} if hears is not None else {}
    if dialect in SAYS:
        speaker: Any = DeviceSpeaker(world, transport, dialect, **keys)
    else:
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
