"""Frequent packets read in one step: a PUBLISH without properties, acknowledgements without a reason code.

Every other packet, and each error in these, is left to `packets.decode`.
"""

from __future__ import annotations

from hubbub import Ack, Event, Publish, QosPublish, Release, limits
from hubbub_plugins.mqtt.messages import checked_topic, too_large
from hubbub_plugins.mqtt.packets import V5
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL
from hubbub_plugins.mqtt.wire import Malformed

_QOS = {PUBLISH << 4 | qos << 1: qos for qos in range(3)}  # by the first byte, with neither DUP nor RETAIN
_STAGES = {PUBACK << 4: "acknowledged", PUBREC << 4: "received", PUBCOMP << 4: "completed"}
_PUBREL = PUBREL << 4 | 2


class FastPath:
    """The frequent packets of one connection, which speaks `version`. `max_message`: bytes of the longest payload."""

    __slots__ = ("_max_message", "_topics", "_v5")

    def __init__(self, version: int, max_message: int) -> None:
        self._v5 = version == V5
        self._max_message = max_message
        self._topics: dict[bytes, str] = {}

    def read(self, first: int, body: bytes) -> Event | Publish | None:
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


def _acknowledgement(first: int, body: bytes) -> Event | None:
    id = body[0] << 8 | body[1]
    stage = _STAGES.get(first)
    if not id or (stage is None and first != _PUBREL):
        return None
    return Ack(id, stage) if stage is not None else Release(id)
