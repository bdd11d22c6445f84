"""A client of MQTT; see matrix.speakers."""

from __future__ import annotations

from typing import Any, ClassVar

from hubbub.testing import World
from hubbub_plugins.mqtt import Mqtt, packets
from hubbub_plugins.mqtt.codes import REASONS
from hubbub_plugins.mqtt.packets import V5, V311
from hubbub_plugins.mqtt.reader import Reader
from matrix.speaker import Output, Speaker


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
        self.connack, *self.first = self.reported()

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

    def reported(self) -> list[Any]:
        """The packets that have come."""
        self.world.turn()
        return self.units()

    def units(self) -> list[Any]:
        received = self.client.received()
        found, wrong = self._reader.feed(received if isinstance(received, bytes) else b"".join(received))
        assert wrong is None
        return [packets.decode(first, body, self.version) for first, body in found]

    def output(self) -> list[Output]:
        return [one for one in super().output() if one]

    def framed(self, unit: bytes) -> bytes:
        return unit

    def read(self, packet: Any) -> Output:
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
