"""What both sides of MQTT hear: packets cut and read, messages with their topics and aliases, acknowledgements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from hubbub import Ack, Close, Dialect, DialectContext, Event, Message, Publish, Release, Sender, limits
from hubbub.errors import BadTopic
from hubbub.topics import check_topic
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.properties import PUBREC, PUBREL
from hubbub_plugins.mqtt.reader import Reader
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed
from hubbub_plugins.mqtt.words import ALIAS_INVALID, TOO_LARGE, TOPIC_INVALID, publish


class Hearing(Dialect):
    """Turns packets into events. Base of Speaking.

    A side says what its first packet is, and in ACTIONS what it takes; whatever is not there only the other side sends.
    """

    transports: ClassVar[Sequence[str]] = ("tcp", "websocket")
    subprotocols: ClassVar[Sequence[str]] = ("mqtt", "mqttv3.1")
    first: ClassVar[int]  # the first byte of the packet that comes first
    name = "mqtt"
    first_name: ClassVar[str]
    ACTIONS: ClassVar[dict[type, Any]]

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._reader = Reader(self.max_unit(context))
        self._version = 0  # until it is known
        self._closed = False
        self._begun = False
        self._only: frozenset[int] | None = None  # the packets that may come now; None: all
        self._aliases: dict[int, str] = {}

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """A payload, a topic and properties, or a CONNECT: what is longer is too long."""
        return context.max_message + 4 * limits.LINE_SLACK

    def held(self) -> str:
        return self._reader.held()

    def bad(self, refusal: Malformed, code: str = "bad-command") -> Close:
        """End a link whose other side breaks the rules; `code` is that of the Refusal."""
        raise NotImplementedError

    def heard(self, now: float) -> None:
        """Something has come, and is in order."""

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        if self._closed:
            return []
        if text:
            return [self.bad(Malformed("MQTT goes in binary messages"))]  # MQTT-6.0.0-1
        if not self._begun and data:
            self._begun = True
            if data[0] != self.first:
                return [self.bad(self._not_the_first())]
        found: list[Event | Message] = []
        frames, wrong = self._reader.feed(data)
        try:
            for first, body in frames:
                if self._only is not None and first >> 4 not in self._only:
                    raise Malformed("not that packet before the login is over", PROTOCOL_ERROR)  # MQTT-3.1.2-30
                self._packet(first, body, found)
                if self._closed:
                    return found
        except Malformed as refusal:
            wrong = refusal
        if wrong is not None:
            found.append(self.bad(wrong))
        else:
            self.heard(now)
        return found

    def _not_the_first(self) -> Malformed:
        return Malformed(f"the first packet isn't {self.first_name}", PROTOCOL_ERROR)  # MQTT-3.1.0-1, MQTT-3.2.0-1

    def _packet(self, first: int, body: bytes, found: list[Event | Message]) -> None:
        """Turn one packet into events. Raises Malformed."""
        version = self._version
        if version:
            event = self.quick(first, body)
            if event is not None:
                found.append(event)
                return
        if not version and first != self.first:
            raise self._not_the_first()
        packet = packets.decode(first, body, version)
        act = self.ACTIONS.get(type(packet))
        if act is None:
            raise Malformed("only the other side sends that packet", PROTOCOL_ERROR)
        act(self, packet, found)

    def quick(self, first: int, body: bytes) -> Event | Publish | None:
        """Read what comes often in one go. None: it isn't such. Raises Malformed."""
        return None

    def check_size(self, payload: bytes) -> None:
        """Raise Malformed for a payload that is too long."""
        if len(payload) > self.context.max_message:
            raise Malformed(f"a payload has more than {self.context.max_message} bytes", TOO_LARGE)

    def on_publish(self, packet: packets.Publish, found: list[Event | Message]) -> None:
        """A message, but for those that `quick` reads."""
        topic = self._aliased(packet)
        self.check_size(packet.payload)
        tag = packet.id if packet.qos else None
        found.append(publish(topic, packet.payload, packet.qos, packet.retain, packet.id, packet.properties, tag))

    def _aliased(self, packet: packets.Publish) -> str:
        """Tell the topic of a PUBLISH (section 3.3.2.3.4). Raises Malformed."""
        alias = packet.properties.get("topic_alias")
        if alias is not None and not 0 < alias <= limits.TOPIC_ALIASES:
            raise Malformed(f"a topic alias is 1 to {limits.TOPIC_ALIASES} here", ALIAS_INVALID)  # MQTT-3.3.2-8, -9
        if packet.topic:
            topic = checked(packet.topic)
            if alias is not None:
                self._aliases[alias] = topic
            return topic
        if alias is None:
            raise Malformed("neither a topic nor an alias", PROTOCOL_ERROR)  # section 3.3.2.1
        if alias not in self._aliases:
            raise Malformed("a topic alias that stands for no topic", PROTOCOL_ERROR)
        return self._aliases[alias]

    def on_ack(self, packet: packets.Ack, found: list[Event | Message]) -> None:
        """PUBACK, PUBREC, PUBREL or PUBCOMP."""
        if packet.kind == PUBREL:
            found.append(Release(packet.id, packet))
        elif packet.kind == PUBREC and packet.code < 0x80:
            found.append(Ack(packet.id, "received", packet))
        else:
            found.append(Ack(packet.id, "failed" if packet.code >= 0x80 else "done", packet))


def checked(topic: str) -> str:
    """Return a topic that may be published to. Raises Malformed."""
    if "\0" in topic:
        raise Malformed("a string contains U+0000")  # MQTT-1.5.4-2
    try:
        return check_topic(topic)
    except BadTopic as refusal:
        raise Malformed(f"a topic: {refusal.reason}", TOPIC_INVALID) from None
