"""What both sides of MQTT say: messages as each subscription wants them, acknowledgements, a DISCONNECT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubbub import Ack, Close, DialectContext, Event, Message, QosPublish, Refusal, Release, Sender, Subscribe
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.aliases import Aliases
from hubbub_plugins.mqtt.hearing import Hearing
from hubbub_plugins.mqtt.packets import V5, Reason
from hubbub_plugins.mqtt.properties import DISCONNECT, PUBACK, PUBCOMP, PUBREC, PUBREL
from hubbub_plugins.mqtt.wire import Malformed
from hubbub_plugins.mqtt.words import (
    NOBODY,
    RECEIVE_MAXIMUM,
    TOO_LARGE,
    TOPIC_INVALID,
    UNKNOWN_ID,
    encode_publish,
    own,
    taken,
)


class Speaking(Hearing):
    """Words what the hub says to the other side. Base of both sides."""

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._most: int | None = None  # bytes of the longest packet that the other side takes
        self._numbers: Aliases | None = None  # of topics on their way out
        self._explains = False  # whether the other side wants sentences in answers (MQTT-3.1.2-29)

    # The end

    def bad(self, refusal: Malformed, code: str = "bad-command") -> Close:
        self._closed = True
        return Close(
            refusal.reason,
            self.last_word(refusal),
            Refusal("too-long" if refusal.code == TOO_LARGE else code, refusal.reason),
        )

    def last_word(self, refusal: Malformed) -> bytes:
        """Tell the other side what it has done, where its version has words for it."""
        return self.disconnect(refusal.code, refusal.reason) if self._version == V5 else b""

    def disconnect(self, code: int, why: str) -> bytes:
        """Write a DISCONNECT of version 5; empty where not even that fits (MQTT-3.14.2-3)."""
        for properties in ({"reason_string": why}, {}):
            data = Reason(kind=DISCONNECT, code=code, properties=properties).encode(V5)
            if self.fits(data):
                return data
        return b""

    def fits(self, data: bytes) -> bool:
        """Whether the other side takes a packet of that length."""
        return self._most is None or len(data) <= self._most

    # Answers

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        if isinstance(event, QosPublish) and event.qos and event.tag is not None:
            return self._received(event, result)
        if isinstance(event, Release):
            return self._said(PUBCOMP, event.dedup_id, 0 if result is True else UNKNOWN_ID)
        if isinstance(event, Ack) and event.stage == "received":
            return self._said(PUBREL, event.id, 0 if result is True else UNKNOWN_ID)
        return b""

    def _received(self, event: QosPublish, result: Any) -> bytes | Close:
        """Word what becomes of a PUBLISH of quality 1 or 2. 3.1.1 has no word for no: it counts as had, and is lost."""
        code, why = 0, ""
        if isinstance(result, Refusal):
            code, why = taken(result), result.reason
            if result.limit == "flight" or code == TOPIC_INVALID:
                refusal = Malformed(result.reason, RECEIVE_MAXIMUM if result.limit == "flight" else code)
                return self.bad(refusal, result.code)
        elif not result:
            code = NOBODY
        return self._said(PUBACK if event.qos == 1 else PUBREC, event.tag, code, why)

    def _said(self, kind: int, id: int, code: int, why: str = "") -> bytes:
        if not code:
            return bytes((kind << 4 | 2 * (kind == PUBREL), 2, id >> 8, id & 0xFF))  # what nearly all are
        if why and self._explains:
            data = packets.Ack(kind=kind, id=id, code=code, properties={"reason_string": why}).encode(self._version)
            if self.fits(data):
                return data
        return packets.Ack(kind=kind, id=id, code=code).encode(self._version)

    # Messages

    def form(self, subscription: Subscribe) -> tuple[bool, int, bool, tuple[int, ...], int | None]:
        """Tell what makes units differ: version, quality, retain as published, identifiers, the longest packet."""
        options: Any = subscription.options or (False, ())
        return (self._version == V5, subscription.qos, *options, self._most)

    @classmethod
    def encode(cls, message: Message, form: Any) -> bytes | None:
        five, qos, keeps_retain, identifiers, most = form
        qos = min(qos, message.qos) if isinstance(message, QosPublish) else 0
        unit = encode_publish(message, five, qos, keeps_retain, identifiers)
        return unit if unit is None or most is None or len(unit) <= most else None  # MQTT-3.1.2-24

    def frames_per_link(self) -> bool:
        return self._numbers is not None

    def frame_for_link(self, frame: bytes, message: Message, subscription: Subscribe) -> bytes:
        if self._numbers is None or message.retained:  # retained ones have a topic each
            return frame
        return self._numbers.shorten(frame, message.topic)

    def frame_qos(self, frame: bytes, message: Message, id: int, again: bool) -> bytes:
        if self._numbers is not None and not message.retained:
            frame = self._numbers.shorten(frame, message.topic)
        return own(frame, id, again)

    def encode_pubrel(self, id: int) -> bytes:
        return self._said(PUBREL, id, 0)

    @classmethod
    def merge(cls, wishes: Sequence[Subscribe]) -> Subscribe | None:
        """One copy, at the highest quality (MQTT-3.3.4-2), with all identifiers (MQTT-3.3.4-4)."""
        options: list[Any] = [one.options or (False, ()) for one in wishes]
        identifiers = tuple(sorted({number for _, numbers in options for number in numbers}))
        both = (any(kept for kept, _ in options), identifiers)
        echo, qos = any(one.echo for one in wishes), max(one.qos for one in wishes)
        return Subscribe(wishes[0].filter, echo, options=both, qos=qos)
