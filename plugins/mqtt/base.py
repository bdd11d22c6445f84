"""What the server's and the client's side of MQTT share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

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
from hubbub_plugins.mqtt.fast_path import FastPath
from hubbub_plugins.mqtt.inbound import Inbound
from hubbub_plugins.mqtt.keep_alive import KeepAlive, PingTimer
from hubbub_plugins.mqtt.messages import encode_publish, with_packet_id
from hubbub_plugins.mqtt.outbound import Outbound
from hubbub_plugins.mqtt.packets import V5
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed


class MqttBase(Dialect):
    """Base of Mqtt and MqttClient.

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
        self._fast_path: FastPath | None = None
        self._inbound = Inbound(kind, kind_name, self.max_unit(context), context.max_message)
        self._outbound = Outbound()
        self._timer = timer

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return context.max_message + 4 * limits.LINE_SLACK  # the properties of a PUBLISH or a CONNECT

    def held(self) -> str:
        return self._inbound.held()

    # Inbound

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        closed = self._closed
        if closed:
            return []
        events: list[Event | Message] = []
        units, error = self._inbound.read(data, text)
        try:
            for first, body in units:
                fast_path = self._fast_path
                event = None if fast_path is None else fast_path.read(first, body)
                if event is not None:
                    events.append(event)
                    continue
                self.handle(first, body, events)
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
        if isinstance(event, Release):
            return self._outbound.ack(PUBCOMP, event.dedup_id, 0 if result is True else PACKET_IDENTIFIER_NOT_FOUND)
        if isinstance(event, Ack) and isinstance(result, Refusal):
            return self.fail(Malformed(result.reason, PROTOCOL_ERROR))  # MQTT-4.3.2-3, MQTT-4.3.3-3, MQTT-4.3.3-5
        if isinstance(event, Ack) and event.stage == "received":
            return self._outbound.ack(PUBREL, event.id, 0 if result is True else PACKET_IDENTIFIER_NOT_FOUND)
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
        """Return version, QoS, retain as published, subscription identifiers, and bytes of the longest packet."""
        options: Any = subscription.options or (False, ())
        return (self._outbound.version == V5, subscription.qos, *options, self._outbound.max_packet)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        v5, qos, retain_as_published, identifiers, max_packet = form
        qos = min(qos, message.qos) if isinstance(message, QosPublish) else 0
        frame = encode_publish(message, v5, qos, retain_as_published, identifiers)
        return frame if frame is None or max_packet is None or len(frame) <= max_packet else None  # MQTT-3.1.2-24

    def frames_per_link(self) -> bool:
        return self._aliases is not None

    def frame_for_link(self, frame: bytes, message: Message, subscription: Subscribe) -> bytes:
        if self._aliases is None or message.retained:  # retained messages have a topic each
            return frame
        return self._aliases.shorten(frame, message.topic)

    def frame_qos(self, frame: bytes, message: Message, id: int, again: bool) -> bytes:
        if self._aliases is not None and not message.retained:
            frame = self._aliases.shorten(frame, message.topic)
        return with_packet_id(frame, id, again)

    def encode_pubrel(self, id: int) -> bytes:
        return self._outbound.ack(PUBREL, id)

    @classmethod
    def merge(cls, wishes: Sequence[Subscribe]) -> Subscribe | None:
        """One copy, at the highest QoS (MQTT-3.3.4-2), with all subscription identifiers (MQTT-3.3.4-4)."""
        options: list[Any] = [one.options or (False, ()) for one in wishes]
        identifiers = tuple(sorted({number for _, numbers in options for number in numbers}))
        retain_as_published = any(one for one, _ in options)
        echo, qos = any(one.echo for one in wishes), max(one.qos for one in wishes)
        return Subscribe(wishes[0].filter, echo, options=(retain_as_published, identifiers), qos=qos)
