"""mqtt, the client's side: a bridge to another broker, in version 5 or 3.1.1.

--connect tcp:old-broker:1883:dialect=mqtt:pull=sensors/#:push=cmd/#
--connect wss://broker.example.org/mqtt:dialect=mqtt:pull=#:user=hub:password-file=/etc/hubbub/broker.password

What `pull=` names is asked for and published here; what is published here and `push=` names goes there. Both have the
quality, the retain flag and, in version 5, the properties that they were published with. What is pushed at quality 1
and 2 waits for the server while it is away, and what is pulled waits there. Why nothing goes round: client_loops.py.
"""

from __future__ import annotations

import math
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
    limits,
)
from hubbub.topics import is_wildcard, matches, unshared
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.aliases import Aliases
from hubbub_plugins.mqtt.client_begin import NAMES, Beginning
from hubbub_plugins.mqtt.client_codes import says
from hubbub_plugins.mqtt.client_loops import Echoes, by_way_of, path_of
from hubbub_plugins.mqtt.packets import V5, V311, Reason, Wish
from hubbub_plugins.mqtt.properties import DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBREC, SUBACK
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, TEXT_BYTES, Malformed
from hubbub_plugins.mqtt.words import IMPLEMENTATION, KEEP_ALIVE, NODE, QUOTA, TOO_LARGE, publish, taken

_PINGREQ = bytes((PINGREQ << 4, 0))
_MORE_THAN_FITS = (IMPLEMENTATION, QUOTA, TOO_LARGE)  # legal, and more than a message may have here


class MqttClient(Beginning):
    """A bridge to another broker."""

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._echoes: Echoes | None = None  # in version 3.1.1
        self._flying: dict[int, str] = {}  # topics, by packet identifier
        self._highest = 2  # quality
        self._keeps_retained = True
        self._patience = 0.75 * self.keep_alive
        self._ping_at: float | None = None
        self._silent: float | None = None  # since when an answer is awaited
        self._released: set[int] = set()  # identifiers of an older process
        self._remote = f"{context.node}.{peer.listener}"
        self._wishes: dict[int, str] = {}  # filters whose SUBACK is awaited
        self._wanted: dict[str, bool] = {}  # topics that were looked at

    def _welcomed(self, packet: packets.Connack, found: list[Event | Message]) -> None:
        """Begin: what waits for the server goes on its way, what it has is asked for."""
        said, context = packet.properties, self.context
        self._most = said.get("maximum_packet_size")
        self._highest = said.get("maximum_qos", 2)
        self._keeps_retained = bool(said.get("retain_available", 1))
        self._patience = 0.75 * (said.get("server_keep_alive", self.keep_alive) or self.keep_alive)
        if numbers := said.get("topic_alias_maximum", 0):
            self._numbers = Aliases(numbers, self._most)
        self._remote = dict(said.get("user_property", ())).get(NODE, self._remote)
        if self._version == V311 and context.push:
            self._echoes = context.memory.setdefault("echoes", Echoes())
        if not self._highest and self.qos and context.push:
            found.append(self._turned_away("it takes messages of quality 0 alone: give qos=0"))
            return
        expiry = 0.0 if self.clean else math.inf
        window = said.get("receive_maximum", TEXT_BYTES) if self._version == V5 else limits.FLIGHT_UNTOLD
        client, anew = self._identifier(self.peer.listener), not packet.present
        found += [Notice(NAMES[self._version]), *self._release_all(packet.present)]
        found.append(
            Connect(client, clean_start=self.clean, session_expiry=expiry, receive_maximum=window, resend_as_new=anew)
        )
        found += self._pushed(context, "always" if anew else "new")
        found += self._pull(packet)

    def _release_all(self, present: bool) -> list[Event | Message]:
        """Release what the server holds by identifiers of a process that has ended, or it would take new for old."""
        again = self.context.memory.get("begun")
        self.context.memory["begun"] = True
        if again or not present or self.clean or not self.context.push or self.qos < 2:
            return []
        self._released = set(range(1, limits.CONNECTOR_IDS + 1))
        return [Answer(b"".join(map(self.encode_pubrel, sorted(self._released))))]

    # What it is asked for

    def _pull(self, packet: packets.Connack) -> list[Event | Message]:
        memory, found = self.context.memory, list[Event | Message]()
        has = memory.setdefault("pulled", set())
        if not packet.present:
            has.clear()
        no_wildcards = not packet.properties.get("wildcard_subscription_available", 1)
        for id, filter in zip(range(TEXT_BYTES, 0, -1), self.context.pull, strict=False):
            if filter in has and self._version != V5:
                continue  # it would send all retained messages again
            if no_wildcards and is_wildcard(filter):
                found += self._pull_refused(filter, 0xA2, packets.Granted(kind=SUBACK, id=id))
                continue
            self._wishes[id] = filter
            five, shared = self._version == V5, filter.startswith("$share/")  # MQTT-3.8.3-4
            wish = Wish(
                filter=filter,
                qos=self.qos,
                no_local=five and not shared,
                retain_as_published=five,
                handling=1 if five else 0,
            )
            found.append(Answer(packets.Subscribe(id=id, wishes=[wish]).encode(self._version)))
        return found

    def _on_granted(self, packet: packets.Granted, found: list[Event | Message]) -> None:
        filter = self._wishes.pop(packet.id, None)
        if packet.kind != SUBACK or filter is None or len(packet.codes) != 1:
            raise Malformed("an answer to what it wasn't asked for", PROTOCOL_ERROR)
        code = packet.codes[0]
        if code >= 0x80:
            found += self._pull_refused(filter, code, packet)
        elif code > 2:
            raise Malformed("a SUBACK of unknown quality", PROTOCOL_ERROR)
        else:
            self.context.memory["pulled"].add(filter)

    def _pull_refused(self, filter: str, code: int, packet: packets.Granted) -> list[Event | Message]:
        why = f"pull={filter} is refused: {says(code, packet.properties)}"
        return [Notice(why), Fault(Refusal("unavailable", why))]

    # What comes in

    def _on_publish(self, packet: packets.Publish, found: list[Event | Message]) -> None:
        topic = self._aliased(packet)
        try:
            event = self._message(topic, packet)
        except Refusal as refusal:
            found.append(Fault(refusal))
            event = None
        if event is not None:
            found.append(event)
        elif packet.qos:
            found.append(Answer(self._said(PUBACK if packet.qos == 1 else PUBREC, packet.id, 0)))

    def _message(self, topic: str, packet: packets.Publish) -> QosPublish | None:
        """Make the event; None: it has been here. Raises Refusal, Malformed."""
        if not self._asked_for(topic):
            raise Refusal("not-authorized", "it sends what it wasn't asked for")
        try:
            self.check_size(packet.payload)
            tag = packet.id if packet.qos else None
            event = publish(topic, packet.payload, packet.qos, packet.retain, packet.id, packet.properties, tag)
        except Malformed as refusal:
            if refusal.code in _MORE_THAN_FITS:  # to end the link for it would have it sent again for ever
                raise Refusal("too-long", refusal.reason) from None
            raise
        path = path_of(event)
        if self.context.node in path or len(path) >= limits.HOPS:
            return None
        if self._echoes is not None and self._echoes.is_one(topic, packet.payload):
            return None
        event.properties = by_way_of(event, self._remote)
        return event

    def _asked_for(self, topic: str) -> bool:
        found = self._wanted.get(topic)
        if found is None:
            if len(self._wanted) >= limits.TOPIC_TABLE:
                self._wanted.clear()
            found = self._wanted[topic] = any(matches(unshared(one), topic) for one in self.context.pull)
        return found

    def _on_ack(self, packet: packets.Ack, found: list[Event | Message]) -> None:
        if packet.kind == PUBCOMP and packet.id in self._released:
            self._released.discard(packet.id)
            return
        if packet.code >= 0x80 and packet.kind in (PUBACK, PUBREC):
            topic = self._flying.get(packet.id, "")
            why = f"what is pushed to {topic} is refused: {says(packet.code, packet.properties)}"
            found += [Notice(why), Fault(Refusal("unavailable", why))]
        if packet.kind in (PUBACK, PUBCOMP) or packet.code >= 0x80:
            self._flying.pop(packet.id, None)
        self.on_ack(packet, found)

    def _on_ping(self, packet: packets.Ping, found: list[Event | Message]) -> None:
        if packet.kind != PINGRESP:
            raise Malformed("only a client sends PINGREQ", PROTOCOL_ERROR)

    def _on_reason(self, packet: Reason, found: list[Event | Message]) -> None:
        if packet.kind != DISCONNECT or self._version != V5:
            raise Malformed("only a client sends that packet", PROTOCOL_ERROR)
        found.append(self._turned_away(f"it closes: {says(packet.code, packet.properties)}"))

    ACTIONS: ClassVar[dict[type, Any]] = {
        packets.Publish: _on_publish,
        packets.Ack: _on_ack,
        packets.Granted: _on_granted,
        packets.Ping: _on_ping,
        Reason: _on_reason,
    }

    # Time

    def heard(self, now: float) -> None:
        if self._echoes is not None:
            self._echoes.now = now
        if self._version:
            self._silent = None
            self._ping_at = self._ping_at or now + self._patience
            self.deadline = self._ping_at

    def timeout(self, now: float) -> list[Event | Message]:
        if self._closed:
            return []
        if self._ping_at is None:
            self.context.memory.pop("unanswered", None)
            return [self._turned_away(f"no CONNACK within {self.context.handshake:g} s")]
        patience = limits.CONNECT_SECONDS
        if self._silent is not None and now >= self._silent + patience:
            return [self.bad(Malformed(f"no answer to PINGREQ within {patience:g} s", KEEP_ALIVE), "timeout")]
        found: list[Event | Message] = []
        if now >= self._ping_at:
            self._ping_at = now + self._patience
            self._silent = now if self._silent is None else self._silent
            found.append(Answer(_PINGREQ))
        self.deadline = self._ping_at if self._silent is None else min(self._ping_at, self._silent + patience)
        return found

    # What goes out

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, Release):
            return self._said(PUBCOMP, event.dedup_id, 0)
        if isinstance(result, Refusal):
            if isinstance(event, QosPublish) and event.tag is not None and result.limit != "flight":
                return self._said(PUBACK if event.qos == 1 else PUBREC, event.tag, taken(result))
            if isinstance(event, Connect | Subscribe):
                name = f"push={event.filter}: " if isinstance(event, Subscribe) else ""
                return self._turned_away(name + result.reason)
        return super().outcome(event, result)

    def form(self, subscription: Subscribe) -> Any:
        _, qos, _, identifiers, most = super().form(subscription)
        kept = self._keeps_retained
        return (self._version == V5, min(qos, self._highest), kept, identifiers, most, self.context.node, self._remote)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        *rest, node, remote = form
        five, _, kept, *_ = rest
        path = path_of(message)
        if remote in path or len(path) >= limits.HOPS:
            return None
        shown = message.on(message.topic)
        shown.retained = kept and message.retained
        if five:
            shown.properties = by_way_of(message, node)
        return super().encode(shown, tuple(rest))

    def frames_per_link(self) -> bool:
        return self._echoes is not None or super().frames_per_link()

    def frame_for_link(self, frame: bytes, message: Message, subscription: Subscribe) -> bytes:
        self._expect(_topic_of(frame), message)
        return super().frame_for_link(frame, message, subscription)

    def frame_qos(self, frame: bytes, message: Message, id: int, again: bool) -> bytes:
        self._flying[id] = topic = _topic_of(frame)
        if not again:
            self._expect(topic, message)
        return super().frame_qos(frame, message, id, again)

    def _expect(self, topic: str, message: Message) -> None:
        if self._echoes is not None and self._asked_for(topic):
            self._echoes.expect(topic, message.payload)

    def encode_close(self, reason: str) -> bytes:
        return b"" if self._closed or not self._version else Reason(kind=DISCONNECT).encode(self._version)


def _topic_of(frame: bytes) -> str:
    at = 1
    while frame[at] >= 0x80:
        at += 1
    size = int.from_bytes(frame[at + 1 : at + 3], "big")
    return frame[at + 3 : at + 3 + size].decode()
