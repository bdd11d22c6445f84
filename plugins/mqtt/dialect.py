"""mqtt: MQTT 3.1, 3.1.1 and 5.0, the server's side.

--tcp tcp:1883:dialect=mqtt        or without `dialect=`: CONNECT tells it
--websocket tcp:8083               the subprotocols mqtt and mqttv3.1; packets may span frames (section 6)

A stopping daemon closes its links without a DISCONNECT unless `disconnect=yes`: libmosquitto's loop ends on each of
them, so its programs wouldn't reconnect after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hubbub import (
    Ack,
    Answer,
    AuthResponse,
    Close,
    Connect,
    Dialect,
    DialectContext,
    Event,
    Fault,
    HistoryRequest,
    Message,
    QosPublish,
    Refusal,
    Release,
    Sender,
    Subscribe,
    SubscriptionBatch,
    Unsubscribe,
    flag,
    option,
)
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.authentication import EnhancedAuthentication, encode_auth
from hubbub_plugins.mqtt.base import MqttBase
from hubbub_plugins.mqtt.codes import (
    ADMINISTRATIVE_ACTION,
    CONTINUE_AUTHENTICATION,
    KEEP_ALIVE_TIMEOUT,
    NO_SUBSCRIPTION_EXISTED,
    PACKET_TOO_LARGE,
    SERVER_SHUTTING_DOWN,
    SESSION_TAKEN_OVER,
    reason_code,
)
from hubbub_plugins.mqtt.connect import (
    ConnectRefused,
    connack,
    connect_event,
    connect_reason_code,
    keep_alive,
    refused_connack,
    session_expiry,
    session_seconds,
)
from hubbub_plugins.mqtt.filters import MANY_BYTES, Filters
from hubbub_plugins.mqtt.history import INCOMPLETE, requested_history
from hubbub_plugins.mqtt.inbound import acknowledgement
from hubbub_plugins.mqtt.keep_alive import KeepAlive
from hubbub_plugins.mqtt.messages import checked_filter, encode_publish, encode_publishes
from hubbub_plugins.mqtt.packets import V5, Suback, Unsuback
from hubbub_plugins.mqtt.properties import AUTH, CONNECT, DISCONNECT, PINGRESP, Properties
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed

_CLOSE_CODES = {"taken over": SESSION_TAKEN_OVER, "shutdown": SERVER_SHUTTING_DOWN}
_MESSAGES = (QosPublish, Ack, Release)
_PINGRESP = bytes((PINGRESP << 4, 0))
_RETAINED = ("always", "new", "never")  # by retain handling
_TOO_LONG = "an answer is longer than the client accepts"


class Mqtt(MqttBase):
    """MQTT 3.1, 3.1.1 and 5.0: QoS 0, 1 and 2, retained messages, wills, sessions."""

    roles = ("server", "client")
    priority = 20
    alpn = ("mqtt", "x-amzn-mqtt-ca")  # as registered, and as clients of Amazon's brokers are configured
    encode = staticmethod(encode_publish)  # for all links with one form, whatever their class
    encode_all = staticmethod(encode_publishes)

    disconnect = option(False, flag, "whether clients of version 5 get DISCONNECT 0x8B when the daemon stops")

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        timer = KeepAlive()
        super().__init__(context, peer, CONNECT, "CONNECT", timer)
        self._authentication = EnhancedAuthentication()
        self._bridge = False
        self._keep_alive = timer
        self._session_expires = False  # with the connection

    @classmethod
    def for_role(cls, role: str) -> type[Dialect]:
        if role == "server":
            return cls
        from hubbub_plugins.mqtt.client import MqttClient  # only connectors need it

        return MqttClient

    @classmethod
    def claims(cls, head: bytes) -> bool | None:
        if head[:1] != b"\x10":
            return None if not head else False
        at = next((at for at in range(1, 5) if head[at : at + 1] and head[at] < 0x80), 0)
        if not at:
            return None if len(head) < 5 else False
        name = head[at + 1 : at + 9]
        known = (b"\0\4MQTT", b"\0\6MQIsdp")
        if any(name.startswith(one) for one in known):
            return True
        return None if any(one.startswith(name) for one in known) else False

    def opened(self, now: float) -> list[Event | Message]:
        self.deadline = self._keep_alive.begin(now + self.context.handshake)
        return []

    def timeout(self, now: float) -> list[Event | Message]:
        reason = "the keep alive has passed" if self._outbound.version else "no CONNECT in time"
        return [] if self._closed else [self.fail(Malformed(reason, KEEP_ALIVE_TIMEOUT), "timeout")]  # MQTT-3.1.2-22

    # Inbound

    def handle(self, first: int, body: bytes, events: list[Event | Message]) -> None:
        if self._authentication.pending and first >> 4 not in (AUTH, DISCONNECT):
            raise Malformed("not that packet before the login is over", PROTOCOL_ERROR)  # MQTT-3.1.2-30
        many = packets.begin(first, body, self._outbound.version) if len(body) > MANY_BYTES else None
        if many is None:
            super().handle(first, body, events)
        else:
            self.ACTIONS[type(many)](self, many, events)

    def _on_connect(self, packet: packets.Connect, events: list[Event | Message]) -> None:
        if self._outbound.version:
            raise Malformed("a second CONNECT", PROTOCOL_ERROR)  # MQTT-3.1.0-2
        properties = packet.properties
        explain = packet.version == V5 and properties.get("request_problem_information", 1) == 1
        max_packet, alias_maximum = properties.get("maximum_packet_size"), properties.get("topic_alias_maximum", 0)
        self.agree(packet.version, max_packet, alias_maximum, explain)
        self._bridge = packet.bridge
        self._keep_alive.agree(keep_alive(packet, self.context.idle))
        self._session_expires = session_expiry(packet) == 0
        events.append(connect_event(packet, self._inbound.check_size))
        method = properties.get("authentication_method")
        self._authentication = EnhancedAuthentication(method)
        if method is None:
            self._reader.read_frequent(packet.version, self.context.max_message)

    def _on_publish(self, packet: packets.Publish, events: list[Event | Message]) -> None:
        if "subscription_identifier" in packet.properties:
            raise Malformed("a client sends no subscription identifier", PROTOCOL_ERROR)  # MQTT-3.3.4-6
        events.append(self._inbound.publish_once(self._inbound.topic(packet), packet))

    def _on_ack(self, packet: packets.Ack, events: list[Event | Message]) -> None:
        events.append(acknowledgement(packet))

    def _on_subscribe(self, packet: packets.Subscribe, events: list[Event | Message]) -> None:
        identifier = packet.properties.get("subscription_identifier")
        identifiers = (identifier,) if identifier is not None else ()
        try:
            history = requested_history(packet.properties.get("user_property", ()))
        except Refusal as refusal:
            events.append(SubscriptionBatch([Fault(refusal) for _ in packet.subscriptions], packet))
            return
        wishes = self._wishes(packet, identifiers, history)
        events.append(SubscriptionBatch(_all_or_later(packet.subscriptions, wishes), packet))

    def _wishes(
        self, packet: packets.Subscribe, identifiers: tuple[int, ...], history: HistoryRequest | None
    ) -> Iterator[Subscribe]:
        for one in packet.subscriptions:
            filter = checked_filter(one.filter, self._outbound.version == V5)
            positions = (True,) * (history is not None)
            options = (one.retain_as_published or self._bridge, identifiers, *positions)
            echo, retained = not (one.no_local or self._bridge), _RETAINED[one.retain_handling]
            yield Subscribe(filter, echo, options=options, qos=one.qos, retained=retained, history=history)

    def _on_unsubscribe(self, packet: packets.Unsubscribe, events: list[Event | Message]) -> None:
        v5 = self._outbound.version == V5
        ends = (Unsubscribe(checked_filter(one, v5)) for one in packet.filters)
        events.append(SubscriptionBatch(_all_or_later(packet.filters, ends), packet))

    def _on_pingreq(self, packet: packets.Pingreq, events: list[Event | Message]) -> None:
        events.append(Answer(_PINGRESP))

    def _on_disconnect(self, packet: packets.Disconnect, events: list[Event | Message]) -> None:
        interval = packet.properties.get("session_expiry_interval")
        if interval and self._session_expires:  # MQTT-3.14.2-2
            raise Malformed("a session that ends with its connection can't be kept later", PROTOCOL_ERROR)
        expiry = None if interval is None else session_seconds(interval)
        self._closed = True
        events.append(Close("the client disconnects", will=packet.code != 0, session_expiry=expiry))

    def _on_auth(self, packet: packets.Auth, events: list[Event | Message]) -> None:
        events.append(self._authentication.receive(packet))

    def last_packet(self, error: Malformed) -> bytes:
        version = self._outbound.version
        refused = isinstance(error, ConnectRefused)
        if refused or not version or self._authentication.pending:  # MQTT-3.14.0-1: no DISCONNECT before CONNACK
            return refused_connack(error.code, error.reason, version or error.version, self._outbound.max_packet)
        return super().last_packet(error)

    # Outbound

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if type(event) in _MESSAGES:
            return super().outcome(event, result)
        if isinstance(event, Connect):
            return self._reauthenticated(event, result) if event.reauthenticate else self._connected(event, result)
        if isinstance(event, AuthResponse):
            return self.fail(Malformed(result.reason, PROTOCOL_ERROR))
        if isinstance(event, SubscriptionBatch):
            return self._subscribed(event, result)
        if isinstance(event, Fault) and isinstance(result, Refusal) and self._outbound.version == V5:
            self._closed = True
            return Close(result.reason, self._outbound.disconnect(reason_code(result), result.reason))
        return b""

    def challenge(self, event: Connect, data: bytes) -> bytes:
        return self._auth(CONTINUE_AUTHENTICATION, event.auth_method, data)

    def _auth(self, code: int, method: str | None, data: bytes) -> bytes:
        packet = encode_auth(code, method, data)
        return packet if self._outbound.fits(packet) else b""

    def _reauthenticated(self, event: Connect, result: Any) -> bytes | Close:
        """Answer an AUTH with which a client has authenticated again (section 4.12.1)."""
        self._authentication.finish()
        if isinstance(result, Refusal):  # MQTT-4.12.1-2
            return self.fail(Malformed(result.reason, reason_code(result)), result.code)
        return self._auth(0, event.auth_method, event.server_data)

    def _connected(self, event: Connect, result: Any) -> bytes | Close:
        self._authentication.finish()
        context, outbound = self.context, self._outbound
        if isinstance(result, Refusal):
            self._closed = True
            code = connect_reason_code(result)
            return Close(result.reason, refused_connack(code, result.reason, outbound.version, outbound.max_packet))
        self._reader.read_frequent(outbound.version, context.max_message)
        packet = connack(event, self._reader.max_size, context.idle, context.node).encode(outbound.version)
        if outbound.fits(packet):
            return packet
        return self._too_long(refused_connack(PACKET_TOO_LARGE, _TOO_LONG, outbound.version, outbound.max_packet))

    def _too_long(self, last_packet: bytes) -> Close:
        """End the connection: an answer that the client needs doesn't fit its maximum packet size (MQTT-3.1.2-24)."""
        self._closed = True
        return Close(_TOO_LONG, last_packet)

    def _subscribed(self, event: SubscriptionBatch, results: Any) -> bytes | Close:
        """Answer a SUBSCRIBE or UNSUBSCRIBE, with a reason code for each filter in order."""
        packet, outbound, codes, reason, lost = event.tag, self._outbound, list[int](), "", False
        if isinstance(event.events, Filters) and event.events.error is not None:
            return self.fail(event.events.error)
        if isinstance(results, Refusal):
            results = [results] * len(event.events)
        for one, result in zip(event.events, results, strict=True):
            if isinstance(result, Refusal):
                reason = reason or result.reason
                codes.append(reason_code(result) if outbound.version == V5 else 0x80)
            elif isinstance(one, Subscribe):
                codes.append(one.qos)
                lost |= one.history is not None and bool(one.history.lost)
            else:
                codes.append(0 if result else NO_SUBSCRIPTION_EXISTED)
        kind = Suback if isinstance(packet, packets.Subscribe) else Unsuback
        properties: Properties = {"user_property": [INCOMPLETE]} if lost else {}
        if reason and outbound.explain:
            data = kind(id=packet.id, codes=codes, properties={**properties, "reason_string": reason}).encode(V5)
            if outbound.fits(data):
                return data
        data = kind(id=packet.id, codes=codes, properties=properties).encode(outbound.version)
        return data if outbound.fits(data) else self._too_long(outbound.disconnect(PACKET_TOO_LARGE, _TOO_LONG))

    def encode_close(self, reason: str) -> bytes:
        if self._closed or (reason == "shutdown" and not self.disconnect):
            return b""
        return self._outbound.disconnect(_CLOSE_CODES.get(reason, ADMINISTRATIVE_ACTION), reason)

    def encode_disconnect(self, reason: str, refusal: Refusal) -> bytes:
        code = ADMINISTRATIVE_ACTION if reason == "kicked" else reason_code(refusal)
        return b"" if self._closed else self._outbound.disconnect(code, refusal.reason)


def _all_or_later(filters: Iterable[Any], events: Iterator[Any]) -> Sequence[Any]:
    """Return the events of filters that are decoded, or what decodes them as they are looked at."""
    return list(events) if isinstance(filters, list) else Filters(events)


Mqtt.ACTIONS = {
    packets.Connect: Mqtt._on_connect,
    packets.Publish: Mqtt._on_publish,
    packets.Ack: Mqtt._on_ack,
    packets.Subscribe: Mqtt._on_subscribe,
    packets.Unsubscribe: Mqtt._on_unsubscribe,
    packets.Pingreq: Mqtt._on_pingreq,
    packets.Disconnect: Mqtt._on_disconnect,
    packets.Auth: Mqtt._on_auth,
}
