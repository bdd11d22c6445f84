"""mqtt: MQTT 3.1, 3.1.1 and 5.0, the server's side.

--tcp tcp:1883:dialect=mqtt        or without `dialect=`: a CONNECT tells it
--websocket tcp:8083               the subprotocols mqtt and mqttv3.1; packets may span frames (section 6)
"""

from __future__ import annotations

from typing import Any, ClassVar

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
    Message,
    QosPublish,
    Refusal,
    Release,
    Sender,
    Subscribe,
    SubscriptionBatch,
    Unsubscribe,
)
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.aliases import Aliases
from hubbub_plugins.mqtt.connect import (
    Refused,
    expiry,
    keep_alive,
    opening,
    refusal_code,
    session_seconds,
    turned_away,
    welcome,
)
from hubbub_plugins.mqtt.packets import V5, Granted, Reason
from hubbub_plugins.mqtt.properties import AUTH, CONNECT, DISCONNECT, PINGREQ, PINGRESP, SUBACK, UNSUBACK
from hubbub_plugins.mqtt.quick import Quick
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed
from hubbub_plugins.mqtt.words import (
    BY_OPERATOR,
    KEEP_ALIVE,
    NO_SUBSCRIPTION,
    SHUTTING_DOWN,
    TAKEN_OVER,
    TOO_LARGE,
)
from hubbub_plugins.mqtt.words import reason as reason_of

_ENDS = {"taken over": TAKEN_OVER, "shutdown": SHUTTING_DOWN}
_CONTINUE, _AGAIN = 0x18, 0x19  # of AUTH (section 3.15.2.1)
_COMMON = (QosPublish, Ack, Release)
_ENTERING = frozenset({AUTH, DISCONNECT})
_PINGRESP = bytes((PINGRESP << 4, 0))
_HANDLING = ("always", "new", "never")
_TOO_LONG = "an answer is longer than the client takes"


class Mqtt(Quick):
    """MQTT 3.1, 3.1.1 and 5.0: quality 0, 1 and 2, retained messages, wills, sessions."""

    roles = ("server", "client")
    priority = 20
    first = CONNECT << 4
    first_name = "CONNECT"

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._patience = 0.0  # seconds without a packet, from the keep alive
        self._method: str | None = None  # of authentication
        self._again = False  # whether it proves anew who it is
        self._kept = False  # whether the session outlives the link

    @classmethod
    def for_role(cls, role: str) -> type[Dialect]:
        if role == "server":
            return cls
        from hubbub_plugins.mqtt.client import MqttClient  # which nobody needs who dials nobody

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
        self.deadline = now + self.context.handshake
        return []

    # What comes in

    def heard(self, now: float) -> None:
        if self._patience:
            self.deadline = now + self._patience
        elif self._version:
            self.deadline = None

    def timeout(self, now: float) -> list[Event | Message]:
        why = "the keep alive has passed" if self._version else "no CONNECT in time"
        return [] if self._closed else [self.bad(Malformed(why, KEEP_ALIVE), "timeout")]  # MQTT-3.1.2-22

    def _on_connect(self, packet: packets.Connect, found: list[Event | Message]) -> None:
        if self._version:
            raise Malformed("a second CONNECT", PROTOCOL_ERROR)  # MQTT-3.1.0-2
        self._version = packet.version
        self._patience = 1.5 * keep_alive(packet, self.context.idle)  # MQTT-3.1.2-22
        self._most = packet.properties.get("maximum_packet_size")
        self._explains = packet.version == V5 and packet.properties.get("request_problem_information", 1) == 1
        aliases = packet.properties.get("topic_alias_maximum", 0)
        self._numbers = Aliases(aliases, self._most) if aliases else None
        self._kept = expiry(packet) > 0
        self._method = packet.properties.get("authentication_method")
        found.append(opening(packet, self.check_size))
        self._only = _ENTERING if self._method is not None else None

    def _on_publish(self, packet: packets.Publish, found: list[Event | Message]) -> None:
        if "subscription_identifier" in packet.properties:
            raise Malformed("a client sends no subscription identifier", PROTOCOL_ERROR)  # MQTT-3.3.4-6
        self.on_publish(packet, found)

    def _on_subscribe(self, packet: packets.Subscribe, found: list[Event | Message]) -> None:
        identifier = packet.properties.get("subscription_identifier")
        wishes: list[Any] = []
        for wish in packet.wishes:
            options = (wish.retain_as_published, (identifier,) if identifier is not None else ())
            kept = _HANDLING[wish.handling]
            wishes.append(Subscribe(wish.filter, not wish.no_local, options=options, qos=wish.qos, retained=kept))
        found.append(SubscriptionBatch(wishes, packet))

    def _on_unsubscribe(self, packet: packets.Unsubscribe, found: list[Event | Message]) -> None:
        found.append(SubscriptionBatch([Unsubscribe(name) for name in packet.filters], packet))

    def _on_ping(self, packet: packets.Ping, found: list[Event | Message]) -> None:
        if packet.kind != PINGREQ:
            raise Malformed("only a server sends PINGRESP", PROTOCOL_ERROR)
        found.append(Answer(_PINGRESP))

    def _on_reason(self, packet: Reason, found: list[Event | Message]) -> None:
        if packet.kind != DISCONNECT:
            found.append(self._authenticated(packet))
            return
        interval = packet.properties.get("session_expiry_interval")
        if interval and not self._kept:
            raise Malformed("a session that ends with its link can't be kept later", PROTOCOL_ERROR)  # MQTT-3.14.2-2
        kept = None if interval is None else session_seconds(interval)
        self._closed = True
        found.append(Close("the client says goodbye", will=packet.code != 0, session_expiry=kept))

    def _authenticated(self, packet: Reason) -> Connect | AuthResponse:
        """Read an AUTH (section 4.12). Raises Malformed."""
        method, proof = (
            packet.properties.get("authentication_method"),
            packet.properties.get("authentication_data", b""),
        )
        if method is None or method != self._method:  # MQTT-4.12.0-5, MQTT-4.12.1-1
            raise Malformed("AUTH with another method than CONNECT", PROTOCOL_ERROR)
        asked = self._only is not None or self._again
        if packet.code == _AGAIN and not asked:
            self._again = True
            return Connect(tag=packet, auth_method=method, auth_data=proof, reauthenticate=True)
        if packet.code != _CONTINUE or not asked:
            raise Malformed("AUTH with a reason code that has no place here", PROTOCOL_ERROR)
        return AuthResponse(proof, packet)

    ACTIONS: ClassVar[dict[type, Any]] = {
        packets.Connect: _on_connect,
        packets.Publish: _on_publish,
        packets.Ack: Quick.on_ack,
        packets.Subscribe: _on_subscribe,
        packets.Unsubscribe: _on_unsubscribe,
        packets.Ping: _on_ping,
        Reason: _on_reason,
    }

    def last_word(self, refusal: Malformed) -> bytes:
        if isinstance(refusal, Refused) or not self._version or self._only is not None:  # MQTT-3.14.0-1
            return turned_away(refusal.code, refusal.reason, self._version or refusal.version, self._most)
        return super().last_word(refusal)

    # What goes out

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if type(event) in _COMMON:
            return super().outcome(event, result)
        if isinstance(event, Connect):
            return self._renewed(event, result) if event.reauthenticate else self._connack(event, result)
        if isinstance(event, AuthResponse):
            return self.bad(Malformed(result.reason, PROTOCOL_ERROR))
        if isinstance(event, SubscriptionBatch):
            return self._granted(event, result)
        if isinstance(result, Refusal) and self._version == V5 and isinstance(event, Fault):
            self._closed = True
            return Close(result.reason, self.disconnect(reason_of(result), result.reason))
        return b""

    def challenge(self, event: Connect, data: bytes) -> bytes:
        return self._auth(_CONTINUE, event.auth_method, data)

    def _auth(self, code: int, method: str | None, proof: bytes) -> bytes:
        properties = {"authentication_method": method, "authentication_data": proof}
        data = Reason(kind=AUTH, code=code, properties=properties).encode(V5)
        return data if self.fits(data) else b""

    def _renewed(self, event: Connect, result: Any) -> bytes | Close:
        """Word how a client that was known already has proven anew who it is (section 4.12.1)."""
        self._again = False
        if isinstance(result, Refusal):  # MQTT-4.12.1-2
            return self.bad(Malformed(result.reason, reason_of(result)), result.code)
        return self._auth(0, event.auth_method, event.server_data)

    def _connack(self, event: Connect, result: Any) -> bytes | Close:
        self._only = None
        if isinstance(result, Refusal):
            self._closed = True
            data = turned_away(refusal_code(result), result.reason, self._version, self._most)
            return Close(result.reason, data)
        data = welcome(event, self._version, self._reader.most, self.context.idle, self.context.node).encode(
            self._version
        )
        return data if self.fits(data) else self._too_long(turned_away(TOO_LARGE, _TOO_LONG, self._version, self._most))

    def _too_long(self, last: bytes) -> Close:
        """End a link whose client doesn't take what it has to be told (MQTT-3.1.2-24)."""
        self._closed = True
        return Close(_TOO_LONG, last)

    def _granted(self, event: SubscriptionBatch, results: Any) -> bytes | Close:
        packet, five, codes, why = event.tag, self._version == V5, [], ""
        if isinstance(results, Refusal):
            results = [results] * len(event.events)
        for one, result in zip(event.events, results, strict=True):
            if isinstance(result, Refusal):
                why = why or result.reason
                code = reason_of(result)
                codes.append(code if five else 0x80)
            elif isinstance(one, Subscribe):
                codes.append(one.qos)
            else:
                codes.append(0 if result else NO_SUBSCRIPTION)
        kind = SUBACK if isinstance(packet, packets.Subscribe) else UNSUBACK
        if why and self._explains:
            told = Granted(kind=kind, id=packet.id, codes=codes, properties={"reason_string": why}).encode(V5)
            if self.fits(told):
                return told
        data = Granted(kind=kind, id=packet.id, codes=codes).encode(self._version)
        return data if self.fits(data) else self._too_long(self.disconnect(TOO_LARGE, _TOO_LONG))

    def encode_close(self, reason: str) -> bytes:
        if self._version != V5 or self._closed:
            return b""
        return self.disconnect(_ENDS.get(reason, BY_OPERATOR), reason)

    def encode_disconnect(self, reason: str, refusal: Refusal) -> bytes:
        if self._version != V5 or self._closed:
            return b""
        return self.disconnect(BY_OPERATOR if reason == "kicked" else reason_of(refusal), refusal.reason)
