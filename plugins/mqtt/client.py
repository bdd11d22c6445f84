"""mqtt, the client's side: a bridge to another broker, in version 5 or 3.1.1.

--connect tcp:old-broker:1883:dialect=mqtt:pull=sensors/#:push=cmd/#
--connect wss://broker.example.org/mqtt:dialect=mqtt:pull=#:user=hub:password-file=/etc/hubbub/broker.password

The bridge subscribes at the server to `pull=`, and publishes here what arrives. It publishes there what `push=` matches
here. Both keep QoS, retain flag and, in version 5, properties. Messages of QoS 1 and 2 wait in the session of the side
that sends them while there is no connection. hubbub.loop_prevention keeps them from going round.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from typing import Any, ClassVar

from hubbub import (
    Answer,
    Close,
    Connect,
    DialectContext,
    Event,
    Fault,
    Message,
    Notice,
    QosPublish,
    Refusal,
    Release,
    Sender,
    Subscribe,
    choice,
    flag,
    limits,
    option,
    secret,
)
from hubbub.loop_prevention import NODE, Echoes, LoopPrevention, path_of, with_hop
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.base import MqttBase
from hubbub_plugins.mqtt.codes import KEEP_ALIVE_TIMEOUT, publish_reason_code
from hubbub_plugins.mqtt.handshake import NAMES, VERSIONS, Handshake
from hubbub_plugins.mqtt.inflight import Inflight
from hubbub_plugins.mqtt.keep_alive import PingTimer, keep_alive_seconds
from hubbub_plugins.mqtt.messages import LOCAL_LIMITS, encode_publish, topic_of
from hubbub_plugins.mqtt.packets import V5, V311
from hubbub_plugins.mqtt.properties import CONNACK, PINGREQ, PUBACK, PUBCOMP, PUBREC
from hubbub_plugins.mqtt.reason_texts import reason_text
from hubbub_plugins.mqtt.remote_subscriptions import RemoteSubscriptions
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, TEXT_BYTES, Malformed

_PINGREQ = bytes((PINGREQ << 4, 0))


def _qos(raw: object) -> int:
    return int(choice("0", "1", "2")(str(raw)))


class MqttClient(MqttBase):
    """A bridge to another broker."""

    roles = ("client",)
    can_pull = True
    has_sessions = True
    subprotocols: ClassVar[Sequence[str]] = ("mqtt",)

    version = option("auto", choice("auto", *VERSIONS), "5 or 3.1.1; auto: 5, and 3.1.1 where the server has no 5")
    client = option("", str, "the client identifier; without one it is made of the machine's name and the id=")
    user = option("", str, "the user's name there")
    password_file = option("", secret, "the file with the password, or in version 5 without user= with the token")
    qos = option(2, _qos, "the highest quality of service, both ways")
    clean = option(False, flag, "whether neither side keeps anything while there is no connection")
    keep_alive = option(60, keep_alive_seconds, "seconds after which each side finds that the other is lost")

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        timer = PingTimer(limits.CONNECT_SECONDS)
        super().__init__(context, peer, CONNACK, "CONNACK", timer)
        self._handshake = Handshake(self.version, context.memory)
        self._inflight = Inflight()
        self._ping_timer = timer
        self._loops = LoopPrevention(context.node, f"{context.node}.{peer.listener}")
        self._retain_available = True
        self._subscriptions = RemoteSubscriptions(context.pull, self.qos, context.memory)

    @classmethod
    def persistent_session(cls, context: DialectContext, name: str) -> tuple[Connect, Sequence[Subscribe]] | None:
        return None if cls.clean else (Connect(cls._identifier(name)), cls._pushed(context))

    @classmethod
    def _identifier(cls, name: str) -> str:
        return cls.client or f"{platform.node()}.{name}"

    @classmethod
    def _pushed(cls, context: DialectContext, retained: str = "never") -> list[Subscribe]:
        options = (True, ())  # retain as published, no subscription identifiers
        return [Subscribe(one, False, options=options, qos=cls.qos, retained=retained) for one in context.push]

    # CONNECT and CONNACK

    def opened(self, now: float) -> list[Event | Message]:
        self.deadline = self._ping_timer.begin(now + self.context.handshake)
        version = self._handshake.choose()
        connect = packets.Connect(
            version=version,
            clean=self.clean,
            keep_alive=self.keep_alive,
            client=self._identifier(self.peer.listener),
        )
        if self.password_file:
            connect.password = self.password_file.encode()
            self.secrets = (connect.password,)
        if self.user or (self.password_file and version != V5):  # MQTT-3.1.2-22 of 3.1.1
            connect.user = self.user
        if version == V5:
            connect.properties = {
                "session_expiry_interval": 0 if self.clean else int(limits.SESSION_SECONDS),
                "receive_maximum": limits.INFLIGHT_MESSAGES,
                "maximum_packet_size": self._reader.max_size,
                "topic_alias_maximum": limits.TOPIC_ALIASES,
                "user_property": [(NODE, self.context.node)],
            }
        return [Answer(connect.encode(version))]

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        events = super().receive(data, now, text)
        self._loops.now(now)
        return events

    def handle(self, first: int, body: bytes, events: list[Event | Message]) -> None:
        if self._outbound.version:
            super().handle(first, body, events)
            return
        try:
            packet = self._handshake.read(body)
        except Refusal as refusal:
            events.append(self._give_up(refusal))
        else:
            self._on_connack(packet, events)

    def _on_connack(self, packet: packets.Connack, events: list[Event | Message]) -> None:
        """Send what waits for the server, and subscribe there."""
        version, properties, context = self._handshake.version, packet.properties, self.context
        self.agree(version, properties.get("maximum_packet_size"), properties.get("topic_alias_maximum", 0))
        self.max_qos = properties.get("maximum_qos", 2)
        self._retain_available = bool(properties.get("retain_available", 1))
        self._ping_timer.agree(properties.get("server_keep_alive", self.keep_alive) or self.keep_alive)
        remote = dict(properties.get("user_property", ())).get(NODE, self._loops.remote)
        echoes = context.memory.setdefault("echoes", Echoes()) if version == V311 and context.push else None
        self._loops = LoopPrevention(context.node, remote, echoes)
        if not self.max_qos and self.qos and context.push:
            events.append(self._give_up(Refusal("unavailable", "it accepts QoS 0 alone: give qos=0")))
            return
        events += [Notice(NAMES[version]), self._session(packet)]
        events += self._pushed(context, "new" if packet.present else "always")
        events += self._subscriptions.subscribe(version, packet)

    def _session(self, packet: packets.Connack) -> Connect:
        """Return the event that begins or resumes the session with the server."""
        window = limits.INFLIGHT_UNANNOUNCED
        if self._outbound.version == V5:
            window = packet.properties.get("receive_maximum", TEXT_BYTES)
        return Connect(
            self._identifier(self.peer.listener),
            clean_start=self.clean,
            session_expiry=0.0 if self.clean else math.inf,
            receive_maximum=window,
            resend_as_new=not packet.present,
        )

    def _release(self, event: Connect) -> bytes:
        """Release what the server has of a session that this hub has forgotten with an earlier process."""
        if event.session_present or event.resend_as_new or self.clean or not self.context.push or self.qos < 2:
            return b""
        return self._inflight.release(limits.CONNECTOR_IDS, self._outbound)

    def _give_up(self, refusal: Refusal) -> Close:
        self._closed = True
        return Close(refusal.reason, b"", refusal)

    # Inbound

    def _on_publish(self, packet: packets.Publish, events: list[Event | Message]) -> None:
        topic = self._inbound.topic(packet)
        try:
            event = self._message(topic, packet)
        except Refusal as refusal:
            events.append(Fault(refusal))
            event = None
        if event is not None:
            events.append(event)
        elif packet.qos:
            events.append(Answer(self._outbound.ack(PUBACK if packet.qos == 1 else PUBREC, packet.id)))

    def _message(self, topic: str, packet: packets.Publish) -> QosPublish | None:
        """Return the event of a PUBLISH; None: it went round. Raises Refusal, Malformed."""
        if not self._subscriptions.match(topic):
            raise Refusal("not-authorized", "it sends what no filter of pull= matches")
        try:
            event = self._inbound.publish(topic, packet)
        except Malformed as error:
            if error.code in LOCAL_LIMITS:  # closing would only let the server send it again
                raise Refusal("too-long", error.reason) from None
            raise
        return event if self._loops.arrived(event) else None

    def _on_ack(self, packet: packets.Ack, events: list[Event | Message]) -> None:
        events += self._inflight.acknowledged(packet)

    def _on_suback(self, packet: packets.Suback, events: list[Event | Message]) -> None:
        events += self._subscriptions.acknowledged(packet)

    def _on_pingresp(self, packet: packets.Pingresp, events: list[Event | Message]) -> None:
        """It has reset the timer, like every packet."""

    def _on_disconnect(self, packet: packets.Disconnect, events: list[Event | Message]) -> None:
        if self._outbound.version != V5:
            raise Malformed("only a client sends DISCONNECT before version 5", PROTOCOL_ERROR)
        why = reason_text(packet.code, packet.properties)
        events.append(self._give_up(Refusal("unavailable", f"it disconnects: {why}")))

    def timeout(self, now: float) -> list[Event | Message]:
        timer = self._ping_timer
        if self._closed:
            return []
        if not timer.running:
            return [self._give_up(Refusal("unavailable", f"no CONNACK within {self.context.handshake:g} s"))]
        if timer.unanswered(now):
            why = f"no answer to PINGREQ within {limits.CONNECT_SECONDS:g} s"
            return [self.fail(Malformed(why, KEEP_ALIVE_TIMEOUT), "timeout")]
        events: list[Event | Message] = [Answer(_PINGREQ)] if timer.ping(now) else []
        self.deadline = timer.deadline()
        return events

    # Outbound

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, Release):
            return self._outbound.ack(PUBCOMP, event.dedup_id)
        if isinstance(result, Refusal):
            if isinstance(event, QosPublish) and event.tag is not None and result.limit != "flight":
                return self._outbound.ack(PUBACK if event.qos == 1 else PUBREC, event.tag, publish_reason_code(result))
            if isinstance(event, Connect | Subscribe):
                name = f"push={event.filter}: " if isinstance(event, Subscribe) else ""
                return self._give_up(Refusal("unavailable", name + result.reason))
        return self._release(event) if isinstance(event, Connect) else super().outcome(event, result)

    def form(self, subscription: Subscribe) -> Any:
        v5, qos, _, identifiers, max_packet, _ = super().form(subscription)
        qos = min(qos, self.max_qos)
        return (v5, qos, self._retain_available, identifiers, max_packet, False, self._loops.node, self._loops.remote)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        *rest, node, remote = form
        v5, _, retain_available, *_ = rest
        path = path_of(message)
        if remote in path or len(path) >= limits.HOPS:
            return None
        copy = message.on(message.topic)
        copy.retained = retain_available and message.retained
        if v5:
            copy.properties = with_hop(message, node)
        return encode_publish(copy, rest)

    def frames_per_link(self, subscription: Subscribe) -> bool:
        return self._loops.per_link or super().frames_per_link(subscription)

    def frame_for_link(self, frame: bytes, message: Message, subscription: Subscribe) -> bytes:
        self._sent(topic_of(frame), message)
        return super().frame_for_link(frame, message, subscription)

    def frame_qos(self, frame: bytes, message: Message, id: int, again: bool) -> bytes:
        self._begun(frame, message, id, again)
        return super().frame_qos(frame, message, id, again)

    def pieces_qos(self, frame: bytes, message: Message, id: int, again: bool) -> Sequence[bytes]:
        self._begun(frame, message, id, again)
        return super().pieces_qos(frame, message, id, again)

    def _begun(self, frame: bytes, message: Message, id: int, again: bool) -> None:
        """A message is on its way to the server."""
        topic = topic_of(frame)
        self._inflight.sent(id, topic)
        if not again:
            self._sent(topic, message)

    def _sent(self, topic: str, message: Message) -> None:
        if self._loops.per_link and self._subscriptions.match(topic):
            self._loops.sent(topic, message.payload)

    def encode_close(self, reason: str) -> bytes:
        version = self._outbound.version
        return b"" if self._closed or not version else packets.Disconnect().encode(version)


MqttClient.ACTIONS = {
    packets.Publish: MqttClient._on_publish,
    packets.Ack: MqttClient._on_ack,
    packets.Suback: MqttClient._on_suback,
    packets.Pingresp: MqttClient._on_pingresp,
    packets.Disconnect: MqttClient._on_disconnect,
}
