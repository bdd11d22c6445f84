"""mqtt: MQTT 3.1, 3.1.1 and 5.0, the server's side.

--tcp tcp:1883:dialect=mqtt        or without `dialect=`: a CONNECT tells it
--websocket tcp:8083               the subprotocols mqtt and mqttv3.1; packets may span frames (section 6)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from hubbub import (
    Ack,
    Answer,
    Close,
    Dialect,
    Event,
    Fault,
    Letter,
    Message,
    Open,
    Publish,
    Refusal,
    Release,
    Sender,
    Setting,
    Several,
    Subscribe,
    Unsubscribe,
    limits,
)
from hubbub.errors import BadTopic
from hubbub.topics import check_topic
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import UNSUPPORTED_VERSION, V5, V31, Connack, Granted, Reason
from hubbub_plugins.mqtt.properties import (
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
)
from hubbub_plugins.mqtt.reader import Reader
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed
from hubbub_plugins.mqtt.words import (
    ALIAS_INVALID,
    NO_SHARED,
    RECEIVE_MAXIMUM,
    TOPIC_INVALID,
    UNAVAILABLE,
    encode_publish,
    own,
    publish,
    reason,
    return_code,
)  # fmt: skip

_NEVER = 0xFFFFFFFF  # a session expiry interval without an end (section 3.1.2.11.2)
_BAD_CLIENT, _BAD_LOGIN, _BAD_METHOD = 0x85, 0x86, 0x8C
_SHUTTING_DOWN, _KEEP_ALIVE, _TAKEN_OVER, _BY_OPERATOR = 0x8B, 0x8D, 0x8E, 0x98
_NO_SUBSCRIPTION, _NOBODY, _UNKNOWN_ID = 0x11, 0x10, 0x92
_PINGRESP = bytes((PINGRESP << 4, 0))
_HANDLING = ("always", "new", "never")
_WITH_WILL = 4  # a DISCONNECT that has the will published


class Mqtt(Dialect):
    """MQTT 3.1, 3.1.1 and 5.0: quality 0, 1 and 2, retained messages, wills, sessions."""

    transports: ClassVar[Sequence[str]] = ("tcp", "websocket")
    subprotocols: ClassVar[Sequence[str]] = ("mqtt", "mqttv3.1")
    priority = 20

    def __init__(self, setting: Setting, peer: Sender) -> None:
        super().__init__(setting, peer)
        self._reader = Reader(self.max_unit(setting))
        self._version = 0  # until CONNECT
        self._closed = False
        self._begun = False
        self._patience = 0.0  # seconds without a packet, from the keep alive
        self._most: int | None = None  # bytes of the longest packet that the client takes
        self._kept = False  # whether the session outlives the link
        self._topics: dict[bytes, str] = {}
        self._aliases: dict[int, str] = {}

    @classmethod
    def max_unit(cls, setting: Setting) -> int:
        """A payload, a topic and properties, or a CONNECT: what is longer is too long."""
        return setting.max_message + 4 * limits.LINE_SLACK

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
        self.deadline = now + self.setting.handshake
        return []

    # What comes in

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        if self._closed:
            return []
        if text:
            return [self._bad(Malformed("MQTT goes in binary messages"))]  # MQTT-6.0.0-1
        if not self._begun and data:
            self._begun = True
            if data[0] != 0x10:
                return [self._bad(Malformed("the first packet isn't CONNECT", PROTOCOL_ERROR))]  # MQTT-3.1.0-1
        found: list[Event | Message] = []
        frames, wrong = self._reader.feed(data)
        try:
            for first, body in frames:
                self._packet(first, body, found)
                if self._closed:
                    return found
        except Malformed as no:
            wrong = no
        if wrong is not None:
            found.append(self._bad(wrong))
        elif self._patience:
            self.deadline = now + self._patience
        elif self._version:
            self.deadline = None
        return found

    def timeout(self, now: float) -> list[Event | Message]:
        why = "the keep alive has passed" if self._version else "no CONNECT in time"
        return [] if self._closed else [self._bad(Malformed(why, _KEEP_ALIVE), "timeout")]  # MQTT-3.1.2-22

    def held(self) -> str:
        return self._reader.held()

    def _packet(self, first: int, body: bytes, found: list[Event | Message]) -> None:
        """Turn one packet into events. Raises Malformed."""
        version = self._version
        if first == 0x30 and version:
            plain = self._plain(body)
            if plain is not None:
                found.append(plain)
                return
        if not version and first != 0x10:
            raise Malformed("the first packet isn't CONNECT", PROTOCOL_ERROR)  # MQTT-3.1.0-1
        packet = packets.decode(first, body, version)
        act = self._ACTIONS.get(type(packet))
        if act is None:
            raise Malformed("only a server sends that packet", PROTOCOL_ERROR)
        act(self, packet, found)

    def _plain(self, body: bytes) -> Publish | None:
        """Read a PUBLISH of quality 0 without properties. None: it isn't such. Raises Malformed."""
        at = 2 + int.from_bytes(body[:2], "big")
        raw = body[2:at]
        if len(body) < at:
            return None
        topic = self._topics.get(raw)
        if topic is None:
            if not raw:
                return None
            topic = self._topic(raw)
        if self._version == V5:
            if body[at : at + 1] != b"\0":
                return None
            at += 1
        payload = body[at:]
        self._check_size(payload)
        return Publish(topic, payload)

    def _topic(self, raw: bytes) -> str:
        """Read a topic, and remember it. Raises Malformed."""
        try:
            topic = _checked(raw.decode())
        except UnicodeDecodeError:
            raise Malformed("a topic isn't UTF-8") from None
        if len(raw) <= limits.TOPIC_TABLE_BYTES:
            if len(self._topics) >= limits.TOPIC_TABLE:
                self._topics.clear()
            self._topics[raw] = topic
        return topic

    def _check_size(self, payload: bytes) -> None:
        if len(payload) > self.setting.max_message:
            raise Malformed(f"a payload has more than {self.setting.max_message} bytes", 0x95)

    def _on_connect(self, packet: packets.Connect, found: list[Event | Message]) -> None:
        if self._version:
            raise Malformed("a second CONNECT", PROTOCOL_ERROR)  # MQTT-3.1.0-2
        self._version = version = packet.version
        properties = packet.properties
        if packet.keep_alive:
            self._patience = 1.5 * packet.keep_alive  # MQTT-3.1.2-22
        self._most = properties.get("maximum_packet_size")
        if "authentication_method" in properties:
            raise _Refused("no authentication method is known here", _BAD_METHOD)
        if "authentication_data" in properties:
            raise _Refused("authentication data without a method", PROTOCOL_ERROR)
        client = packet.client
        if len(client) > limits.NAME_CHARACTERS:
            raise _Refused(f"a client identifier has at most {limits.NAME_CHARACTERS} characters", _BAD_CLIENT)
        if not client and (version == V31 or (version != V5 and not packet.clean)):  # MQTT-3.1.3-8 of 3.1.1
            raise _Refused("a session that is to be kept needs a client identifier", _BAD_CLIENT)
        interval = properties.get("session_expiry_interval", 0) if version == V5 else _NEVER * (not packet.clean)
        self._kept = interval > 0
        found.append(self._open(packet, math.inf if interval == _NEVER else float(interval)))

    def _open(self, packet: packets.Connect, expiry: float) -> Open:
        password, token = None, None
        try:
            password = packet.password.decode() if packet.password is not None else None
        except UnicodeDecodeError:
            raise _Refused("a password is UTF-8 here", _BAD_LOGIN) from None
        if packet.user is None and password is not None:
            password, token = None, password
        will, delay = None, 0
        if packet.will is not None:
            said = packet.will
            try:
                will = publish(_checked(said.topic), said.payload, said.qos, said.retain, 0, said.properties)
            except Malformed as no:
                raise _Refused(no.reason, no.code) from None
            self._check_size(said.payload)
            will.once = None  # type: ignore[attr-defined]
            delay = said.properties.get("will_delay_interval", 0)
        return Open(
            packet.client,
            packet.user,
            password if password is not None or packet.user is None else "",
            token,
            packet,
            packet.clean,
            expiry,
            will,
            delay,
            packet.properties.get("receive_maximum", 65_535),
        )

    def _on_publish(self, packet: packets.Publish, found: list[Event | Message]) -> None:
        topic = self._aliased(packet)
        self._check_size(packet.payload)
        if "subscription_identifier" in packet.properties:
            raise Malformed("a client sends no subscription identifier", PROTOCOL_ERROR)  # MQTT-3.3.4-6
        tag = packet if packet.qos else None
        found.append(publish(topic, packet.payload, packet.qos, packet.retain, packet.id, packet.properties, tag))

    def _aliased(self, packet: packets.Publish) -> str:
        """Tell the topic of a PUBLISH (section 3.3.2.3.4). Raises Malformed."""
        alias = packet.properties.get("topic_alias")
        if alias is not None and not 0 < alias <= limits.TOPIC_ALIASES:
            raise Malformed(f"a topic alias is 1 to {limits.TOPIC_ALIASES} here", ALIAS_INVALID)  # MQTT-3.3.2-8, -9
        if packet.topic:
            topic = _checked(packet.topic)
            if alias is not None:
                self._aliases[alias] = topic
            return topic
        if alias is None:
            return _checked("")
        if alias not in self._aliases:
            raise Malformed("a topic alias that stands for no topic", PROTOCOL_ERROR)
        return self._aliases[alias]

    def _on_ack(self, packet: packets.Ack, found: list[Event | Message]) -> None:
        if packet.kind == PUBREL:
            found.append(Release(packet.id, packet))
        elif packet.kind == PUBREC and packet.code < 0x80:
            found.append(Ack(packet.id, "received", packet))
        else:
            found.append(Ack(packet.id, "failed" if packet.code >= 0x80 else "done", packet))

    def _on_subscribe(self, packet: packets.Subscribe, found: list[Event | Message]) -> None:
        identifier = packet.properties.get("subscription_identifier")
        if identifier == 0:
            raise Malformed("a subscription identifier of 0", PROTOCOL_ERROR)
        wishes: list[Any] = []
        for wish in packet.wishes:
            if wish.filter.startswith("$share/"):
                wishes.append(Fault(Refusal("unavailable", "there are no shared subscriptions here")))
                continue
            options = (wish.retain_as_published, (identifier,) if identifier is not None else ())
            kept = _HANDLING[wish.handling]
            wishes.append(Subscribe(wish.filter, not wish.no_local, options=options, qos=wish.qos, retained=kept))
        found.append(Several(wishes, packet))

    def _on_unsubscribe(self, packet: packets.Unsubscribe, found: list[Event | Message]) -> None:
        found.append(Several([Unsubscribe(name) for name in packet.filters], packet))

    def _on_ping(self, packet: packets.Ping, found: list[Event | Message]) -> None:
        if packet.kind != PINGREQ:
            raise Malformed("only a server sends PINGRESP", PROTOCOL_ERROR)
        found.append(Answer(_PINGRESP))

    def _on_reason(self, packet: Reason, found: list[Event | Message]) -> None:
        if packet.kind != DISCONNECT:
            raise Malformed("AUTH without a method", PROTOCOL_ERROR)
        interval = packet.properties.get("session_expiry_interval")
        if interval and not self._kept:
            raise Malformed("a session that ends with its link can't be kept later", PROTOCOL_ERROR)  # MQTT-3.14.2-2
        expiry = None if interval is None else math.inf if interval == _NEVER else float(interval)
        self._closed = True
        found.append(Close("the client says goodbye", will=packet.code == _WITH_WILL, expiry=expiry))

    _ACTIONS: ClassVar[dict[type, Any]] = {
        packets.Connect: _on_connect,
        packets.Publish: _on_publish,
        packets.Ack: _on_ack,
        packets.Subscribe: _on_subscribe,
        packets.Unsubscribe: _on_unsubscribe,
        packets.Ping: _on_ping,
        Reason: _on_reason,
    }

    def _bad(self, no: Malformed, code: str = "bad-command") -> Close:
        """End a link whose client breaks the rules: with the reason code, where the version has words for it."""
        self._closed = True
        data = b""
        if isinstance(no, _Refused) or no.code == UNSUPPORTED_VERSION:
            data = self._turned_away(no.code, no.reason)
        elif self._version == V5:
            data = self._disconnect(no.code, no.reason)
        return Close(no.reason, data, Refusal("too-long" if no.code == 0x95 else code, no.reason))

    def _disconnect(self, code: int, why: str) -> bytes:
        return self._fit(Reason(kind=DISCONNECT, code=code, properties={"reason_string": why}), code)

    def _fit(self, packet: Reason, code: int) -> bytes:
        data = packet.encode(V5)
        if self._most is not None and len(data) > self._most:  # MQTT-3.14.2-3
            data = Reason(kind=DISCONNECT, code=code).encode(V5)
        return data if self._most is None or len(data) <= self._most else b""

    def _turned_away(self, code: int, why: str) -> bytes:
        """Word a CONNACK that says no."""
        version = self._version
        if version == V5:
            data = Connack(code=code, properties={"reason_string": why}).encode(V5)
            return data if self._most is None or len(data) <= self._most else Connack(code=code).encode(V5)
        returned = return_code(code)
        return Connack(code=returned).encode(version or packets.V311) if returned else b""

    # What goes out

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, Open):
            return self._connack(event, result)
        if isinstance(event, Several):
            return self._granted(event, result)
        if isinstance(event, Letter) and event.qos and event.tag is not None:
            return self._received(event, result)
        if isinstance(event, Release):
            return self._said(PUBCOMP, event.once, 0 if result is True else _UNKNOWN_ID)
        if isinstance(event, Ack):
            return self._said(PUBREL, event.id, 0 if result is True else _UNKNOWN_ID) * (event.stage == "received")
        if isinstance(result, Refusal) and self._version == V5 and isinstance(event, Fault):
            self._closed = True
            return Close(result.reason, self._disconnect(reason(result), result.reason))
        return b""

    def _connack(self, event: Open, result: Any) -> bytes | Close:
        if isinstance(result, Refusal):
            self._closed = True
            code = reason(result) if result.code in ("not-authorized", "quota", "rate-limited") else UNAVAILABLE
            return Close(result.reason, self._turned_away(code, result.reason))
        packet = event.tag
        properties: dict[str, Any] = {}
        if self._version == V5:
            properties = {
                "receive_maximum": limits.FLIGHT,
                "maximum_packet_size": self._reader.most,
                "topic_alias_maximum": limits.TOPIC_ALIASES,
                "shared_subscription_available": 0,
                "assigned_client_identifier": event.client if not getattr(packet, "client", None) else None,
            }
            if event.expiry > limits.SESSION_SECONDS:
                properties["session_expiry_interval"] = int(limits.SESSION_SECONDS)
        return Connack(present=event.present, properties=properties).encode(self._version)

    def _granted(self, event: Several, results: Any) -> bytes:
        packet, five, codes = event.tag, self._version == V5, []
        if isinstance(results, Refusal):
            results = [results] * len(event.events)
        for one, result in zip(event.events, results, strict=True):
            if isinstance(result, Refusal):
                code = NO_SHARED if isinstance(one, Fault) else reason(result)
                codes.append(code if five else 0x80)
            elif isinstance(one, Subscribe):
                codes.append(one.qos)
            else:
                codes.append(0 if result else _NO_SUBSCRIPTION)
        kind = SUBACK if isinstance(packet, packets.Subscribe) else UNSUBACK
        return Granted(kind=kind, id=packet.id, codes=codes).encode(self._version)

    def _received(self, event: Letter, result: Any) -> bytes | Close:
        """Word what becomes of a PUBLISH of quality 1 or 2. 3.1.1 has no word for no: it counts as had, and is lost."""
        code = 0
        if isinstance(result, Refusal):
            code = reason(result)
            if result.limit == "flight" or code == TOPIC_INVALID:
                no = Malformed(result.reason, RECEIVE_MAXIMUM if result.limit == "flight" else code)
                return self._bad(no, result.code)
        elif not result:
            code = _NOBODY
        return self._said(PUBACK if event.qos == 1 else PUBREC, event.tag.id, code)

    def _said(self, kind: int, id: int, code: int) -> bytes:
        return packets.Ack(kind=kind, id=id, code=code).encode(self._version)

    def form(self, subscription: Subscribe) -> tuple[bool, int, bool, tuple[int, ...], int | None]:
        """Tell what makes units differ: version, quality, retain as published, identifiers, the client's maximum."""
        options: Any = subscription.options or (False, ())
        return (self._version == V5, subscription.qos, *options, self._most)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        five, qos, keeps_retain, identifiers, most = form
        qos = min(qos, message.qos) if isinstance(message, Letter) else 0
        unit = encode_publish(message, five, qos, keeps_retain, identifiers)
        return unit if unit is None or most is None or len(unit) <= most else None  # MQTT-3.1.2-24

    def assure(self, frame: bytes, message: Message, id: int, again: bool) -> bytes:
        return own(frame, id, again)

    def completing(self, id: int) -> bytes:
        return self._said(PUBREL, id, 0)

    @classmethod
    def merge(cls, wishes: Sequence[Subscribe]) -> Subscribe | None:
        """One copy, at the highest quality (MQTT-3.3.4-2), with all identifiers (MQTT-3.3.4-4)."""
        options: list[Any] = [one.options or (False, ()) for one in wishes]
        identifiers = tuple(sorted({number for _, numbers in options for number in numbers}))
        both = (any(kept for kept, _ in options), identifiers)
        echo, qos = any(one.echo for one in wishes), max(one.qos for one in wishes)
        return Subscribe(wishes[0].filter, echo, options=both, qos=qos)

    def closing(self, reason: str) -> bytes:
        if self._version != V5 or self._closed:
            return b""
        code = _TAKEN_OVER if reason == "taken over" else _SHUTTING_DOWN if "shut" in reason else _BY_OPERATOR
        return self._disconnect(code, reason)


class _Refused(Malformed):
    """What is refused in CONNECT, and so with a CONNACK."""


def _checked(topic: str) -> str:
    if "\0" in topic:
        raise Malformed("a string contains U+0000")  # MQTT-1.5.4-2
    try:
        return check_topic(topic)
    except BadTopic as no:
        raise Malformed(f"a topic: {no.reason}", TOPIC_INVALID) from None
