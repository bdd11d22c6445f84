"""What the server's and the client's side of MQTT share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from mypy_extensions import mypyc_attr

from hubbub import (
    Ack,
    Close,
    Dialect,
    DialectContext,
    Event,
    Message,
    QosPublish,
    Refusal,
    Release,
    Sender,
    Subscribe,
    limits,
)
from hubbub.dialect import IdForm
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.aliases import OutboundAliases
from hubbub_plugins.mqtt.codes import (
    NO_MATCHING_SUBSCRIBERS,
    PACKET_IDENTIFIER_NOT_FOUND,
    PACKET_TOO_LARGE,
    RECEIVE_MAXIMUM_EXCEEDED,
    TOPIC_NAME_INVALID,
    publish_reason_code,
)
from hubbub_plugins.mqtt.inbound import Inbound
from hubbub_plugins.mqtt.keep_alive import KeepAlive, PingTimer
from hubbub_plugins.mqtt.messages import encode_around, written_identifiers
from hubbub_plugins.mqtt.outbound import Outbound
from hubbub_plugins.mqtt.packets import V5
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL
from hubbub_plugins.mqtt.reader import Reader
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed


@mypyc_attr(allow_interpreted_subclasses=True)
class MqttBase(Dialect):
    """Base of Mqtt and MqttClient, which have `messages.encode_publish` in common.

    ACTIONS  what a side does with a packet, by its type; the other types only the other side sends
    """

    name = "mqtt"
    transports: ClassVar[Sequence[str]] = ("tcp", "websocket")
    subprotocols: ClassVar[Sequence[str]] = ("mqtt", "mqttv3.1")
    ACTIONS: ClassVar[dict[type, Any]] = {}

    def __init__(
        self, context: DialectContext, peer: Sender, kind: int, kind_name: str, timer: KeepAlive | PingTimer
    ) -> None:
        super().__init__(context, peer)
        self._aliases: OutboundAliases | None = None
        self._closed = False
        self._inbound = Inbound(context.max_message)
        self._outbound = Outbound()
        self._reader = Reader(self.max_unit(context), kind, kind_name)
        self._timer = timer

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return context.max_message + 4 * limits.LINE_SLACK  # the properties of a PUBLISH or a CONNECT

    def held(self) -> str:
        return self._reader.held()

    # Inbound

    def cut(self, data: bytes, most: int) -> int:
        return most  # units are pieces of a stream

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        closed = self._closed
        if closed:
            return []
        if text:
            return [self.fail(Malformed("MQTT needs binary messages"))]  # MQTT-6.0.0-1
        events: list[Event | Message] = []
        found, error = self._reader.feed(data)
        try:
            for one in found:
                if not isinstance(one, tuple):
                    events.append(one)
                    continue
                self.handle(*one, events)
                if self._closed:
                    return events
        except Malformed as malformed:
            error = malformed
        if error is None:
            self.deadline = self._timer.received(now)
        else:
            events.append(self.fail(error))
        return events

    def handle(self, first: int, body: bytes, events: list[Event | Message]) -> None:
        """Turn one packet into events. Raises Malformed."""
        packet = packets.decode(first, body, self._outbound.version)
        action = self.ACTIONS.get(type(packet))
        if action is None:
            raise Malformed("only the other side sends that packet", PROTOCOL_ERROR)
        action(self, packet, events)

    def fail(self, error: Malformed, code: str = "bad-command") -> Close:
        """End the connection because the other side broke the specification; `code` is that of the Refusal."""
        self._closed = True
        refusal = Refusal("too-long" if error.code == PACKET_TOO_LARGE else code, error.reason)
        return Close(error.reason, self.last_packet(error), refusal)

    def last_packet(self, error: Malformed) -> bytes:
        """Encode the packet that tells the other side what it did wrong; empty if its version has none."""
        return self._outbound.disconnect(error.code, error.reason)

    # Outbound

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, QosPublish):
            if isinstance(result, Refusal):
                return self._refused(event, result)
            if event.tag is None:  # QoS 0
                return b""
            code = 0 if result else NO_MATCHING_SUBSCRIBERS
            return self._outbound.ack(PUBACK if event.qos == 1 else PUBREC, event.tag, code)
        if isinstance(event, Ack):
            if isinstance(result, Refusal):
                return self.fail(Malformed(result.reason, PROTOCOL_ERROR))  # MQTT-4.3.2-3, MQTT-4.3.3-3, MQTT-4.3.3-5
            if event.stage == "received":
                return self._outbound.ack(PUBREL, event.id, 0 if result is True else PACKET_IDENTIFIER_NOT_FOUND)
        elif isinstance(event, Release):
            return self._outbound.ack(PUBCOMP, event.dedup_id, 0 if result is True else PACKET_IDENTIFIER_NOT_FOUND)
        return b""

    def _refused(self, event: QosPublish, refusal: Refusal) -> bytes | Close:
        """Answer a PUBLISH that the hub refused; 3.1.1 has no code for that, so it counts as accepted, and is lost.

        If the hub can't keep it for now, a client of 3.1.1 is disconnected instead, and will send it again.
        """
        if event.tag is None:
            return b""
        code = publish_reason_code(refusal)
        if refusal.limit == "flight":
            return self.fail(Malformed(refusal.reason, RECEIVE_MAXIMUM_EXCEEDED), refusal.code)
        again = refusal.code == "unavailable" and self._outbound.version != V5
        if code == TOPIC_NAME_INVALID or again:
            return self.fail(Malformed(refusal.reason, code), refusal.code)
        return self._outbound.ack(PUBACK if event.qos == 1 else PUBREC, event.tag, code, refusal.reason)

    def agree(self, version: int, max_packet: int | None, alias_maximum: int, explain: bool = False) -> None:
        """Take up what the other side said of itself in CONNECT or CONNACK."""
        self._outbound = Outbound(version, max_packet, explain)
        self._aliases = OutboundAliases(alias_maximum, max_packet) if alias_maximum else None

    def form(self, subscription: Subscribe) -> Any:
        """Return version, QoS, retain as published, identifiers, bytes of the longest packet, and if with positions.

        Identifiers may be what alone differs (dialect.IdForm); those of one length share the remaining length.
        """
        retain_as_published, identifiers, *positions = _options(subscription)
        v5, max_packet = self._outbound.version == V5, self._outbound.max_packet
        if not identifiers:
            return v5, subscription.qos, retain_as_published, b"", max_packet, bool(positions)
        written = written_identifiers(identifiers)
        return IdForm((v5, subscription.qos, retain_as_published, len(written), max_packet, bool(positions)), written)

    @classmethod
    def encode_around(cls, message: Message, shared: Any) -> tuple[bytes, bytes] | None:
        return encode_around(message, shared)

    def frames_per_link(self, subscription: Subscribe) -> bool:
        return self._aliases is not None

    def frame_for_link(self, frame: bytes, message: Message, subscription: Subscribe) -> bytes:
        if self._aliases is None or message.retained:  # retained messages have a topic each
            return frame
        return self._aliases.shorten(frame, message.topic)

    def frame_qos(self, frame: bytes, message: Message, id: int, again: bool) -> bytes:
        if self._aliases is not None and not message.retained:
            frame = self._aliases.shorten(frame, message.topic)
        return _owned(frame, id, again)

    def pieces_qos(self, frame: bytes, message: Message, id: int, again: bool) -> Sequence[bytes]:
        payload = message.payload
        return _owned(frame[: len(frame) - len(payload)], id, again), payload

    def encode_pubrel(self, id: int) -> bytes:
        return self._outbound.ack(PUBREL, id)

    @classmethod
    def merge(cls, wishes: Sequence[Subscribe]) -> Subscribe | None:
        """One copy, at the highest QoS (MQTT-3.3.4-2), with all subscription identifiers (MQTT-3.3.4-4)."""
        options: list[Any] = [
            one or _NO_OPTIONS for one in {one.options for one in wishes}
        ]  # a client may have 10,000 wishes
        identifiers = tuple(sorted({number for one in options for number in one[1]}))
        retain_as_published = any(one[0] for one in options)
        positions = (True,) * any(one[2:] for one in options)
        echo, qos = True in {one.echo for one in wishes}, max({one.qos for one in wishes})
        return Subscribe(wishes[0].filter, echo, options=(retain_as_published, identifiers, *positions), qos=qos)


def _owned(frame: bytes, id: int, again: bool) -> bytes:
    """Put packet identifier and DUP flag into a PUBLISH, or into what it has before its payload."""
    at = 1  # where the remaining length ends, then the topic
    while frame[at] >= 0x80:
        at += 1
    at += 3 + (frame[at + 1] << 8 | frame[at + 2])
    owned = frame[:at] + id.to_bytes(2, "big") + frame[at + 2 :]
    return bytes((frame[0] | 8,)) + owned[1:] if again else owned


def _options(subscription: Subscribe) -> Any:
    """Return retain as published, subscription identifiers, and True where messages have their position."""
    return subscription.options or _NO_OPTIONS


_NO_OPTIONS: Any = (False, ())
