"""Cuts a stream into control packets by their remaining length (MQTT 5.0 sections 2.1.4 and 1.5.5).

Frequent ones are read in the same step: a PUBLISH without properties, acknowledgements without a reason code. Every
other packet, and each error in these, is left to `packets.decode`.
"""

from __future__ import annotations

from hubbub import Ack, Event, Message, Publish, QosPublish, Release, limits
from hubbub.framing import cut_alike
from hubbub_plugins.mqtt.codes import PACKET_TOO_LARGE
from hubbub_plugins.mqtt.messages import checked_topic, too_large
from hubbub_plugins.mqtt.packets import V5
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed

Packet = tuple[int, bytes]
"""First byte and body."""

_QOS = {PUBLISH << 4 | qos << 1: qos for qos in range(3)}  # by the first byte, with neither DUP nor RETAIN
_STAGES = {PUBACK << 4: "acknowledged", PUBREC << 4: "received", PUBCOMP << 4: "completed"}
_QOS_0 = PUBLISH << 4
_PUBREL = PUBREL << 4 | 2


class Reader:
    """Reads one connection, and holds an incomplete packet between two calls.

    max_size  bytes of the longest body
    first     kind of the packet that has to come first, and its name; 0: any
    """

    __slots__ = ("max_size", "_first", "_max_message", "_name", "_need", "_rest", "_topics", "_v5")

    def __init__(self, max_size: int, first: int = 0, name: str = "") -> None:
        self.max_size = max_size
        self._first = first << 4
        self._max_message = -1  # bytes of the longest payload; below 0 no packet is read here
        self._name = name
        self._need = 2  # bytes until the packet can be complete
        self._rest = bytearray()
        self._topics: dict[bytes, str] = {}
        self._v5 = False

    def read_frequent(self, version: int, max_message: int) -> None:
        """From now on return frequent packets as events. `max_message`: bytes of the longest payload."""
        self._v5 = version == V5
        self._max_message = max_message

    def feed(self, data: bytes) -> tuple[list[Event | Message | Packet], Malformed | None]:
        """Return the packets that `data` completes, the frequent ones as events, and the error after them."""
        if self._first and data:
            if data[0] != self._first:  # MQTT-3.1.0-1, MQTT-3.2.0-1
                return [], Malformed(f"the first packet isn't {self._name}", PROTOCOL_ERROR)
            self._first = 0
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._need:
                return [], None
            data = bytes(rest)
            rest.clear()
        found: list[Event | Message | Packet] = []
        try:
            rest += data[self._cut(data, found) :]
        except Malformed as error:
            return found, error
        return found, None

    def _cut(self, data: bytes, found: list[Event | Message | Packet]) -> int:
        """Append what is complete in `data` to `found`, and return where the rest begins. Raises Malformed."""
        self._need = 2
        end, max_size, reads = len(data), self.max_size, self._max_message >= 0
        at = self._read_alike(data, found) if reads and end > 2 and data[0] == _QOS_0 else 0
        while end - at >= 2:
            size, body = data[at + 1], at + 2
            if size >= 0x80:
                size, body = self._length(data, at + 1)
                if not body:
                    break
            if size > max_size:
                raise Malformed(f"a packet has more than {max_size} bytes", PACKET_TOO_LARGE)
            if end - body < size:
                self._need = body - at + size
                break
            first, at = data[at], body + size
            packet = data[body:at]
            event = self._frequent(first, packet) if reads else None
            found.append((first, packet) if event is None else event)
        return at

    def _read_alike(self, data: bytes, found: list[Event | Message | Packet]) -> int:
        """Read packets of QoS 0 that differ in the payload alone: they are cut at once. Returns their end, or 0."""
        size, body = self._length(data, 1)
        whole = body + size  # bytes of each
        if not body or len(data) < 2 * whole:
            return 0
        start = body + 2 + (data[body] << 8 | data[body + 1])
        topic = self._topics.get(data[body + 2 : start])
        if self._v5:
            start += 1  # behind the length of the properties
        head, size = data[:start], whole - start
        if topic is None or not 0 <= size <= self._max_message or (self._v5 and head[-1]):
            return 0
        payloads = cut_alike(data, head, size)
        found += [Publish(topic, payload) for payload in payloads]
        return len(payloads) * whole

    def _length(self, data: bytes, at: int) -> tuple[int, int]:
        """Return a remaining length, and where the body begins, 0 if bytes are missing. Raises Malformed."""
        value = 0
        for width in range(4):
            if at + width >= len(data):
                return 0, 0
            byte = data[at + width]
            value |= (byte & 0x7F) << 7 * width
            if byte < 0x80:
                if width and not byte:
                    break
                return value, at + width + 1
        raise Malformed("the remaining length of a packet is malformed")

    def _frequent(self, first: int, body: bytes) -> Event | Publish | None:
        """Return the event of a packet, None if it isn't one of these. Raises Malformed."""
        qos = _QOS.get(first)
        if qos is None:
            return _acknowledgement(first, body) if len(body) == 2 else None
        if len(body) < 3:
            return None
        at = 2 + (body[0] << 8 | body[1])
        raw = body[2:at]
        start = at + 2 if qos else at
        if self._v5:
            if body[start : start + 1] != b"\0":
                return None
            start += 1
        if len(body) < start or not raw:
            return None
        topic = self._topics.get(raw) or self._topic(raw)
        payload = body[start:]
        if len(payload) > self._max_message:
            raise too_large(self._max_message)
        if not qos:
            return Publish(topic, payload)
        id = body[at] << 8 | body[at + 1]
        return QosPublish(topic, payload, qos, id if qos == 2 else None, tag=id) if id else None

    def _topic(self, raw: bytes) -> str:
        """Read a topic, and remember it if it isn't too long. Raises Malformed."""
        try:
            topic = checked_topic(raw.decode())
        except UnicodeDecodeError:
            raise Malformed("a topic isn't UTF-8") from None
        if len(raw) <= limits.TOPIC_TABLE_BYTES:
            if len(self._topics) >= limits.TOPIC_TABLE:
                self._topics.clear()
            self._topics[raw] = topic
        return topic

    def held(self) -> str:
        """Describe the incomplete packet; empty: there is none."""
        return f"{len(self._rest)} bytes of a packet held" if self._rest else ""


def _acknowledgement(first: int, body: bytes) -> Event | None:
    id = body[0] << 8 | body[1]
    stage = _STAGES.get(first)
    if not id or (stage is None and first != _PUBREL):
        return None
    return Ack(id, stage) if stage is not None else Release(id)
