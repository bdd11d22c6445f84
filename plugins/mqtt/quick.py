"""What comes often, read in one go: a PUBLISH without properties, and acknowledgements that say nothing but yes.

All else, and all that is wrong with these, is for `packets`.
"""

from __future__ import annotations

from hubbub import Ack, DialectContext, Event, Publish, QosPublish, Release, Sender, limits
from hubbub_plugins.mqtt.hearing import checked
from hubbub_plugins.mqtt.packets import V5
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL
from hubbub_plugins.mqtt.speaking import Speaking
from hubbub_plugins.mqtt.wire import Malformed

_QUALITIES = {PUBLISH << 4 | qos << 1: qos for qos in range(3)}  # by the first byte, with neither DUP nor RETAIN
_STAGES = {PUBACK << 4: "done", PUBREC << 4: "received", PUBCOMP << 4: "done"}
_PUBREL = PUBREL << 4 | 2


class Quick(Speaking):
    """The hot path of a server. Base of Mqtt."""

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._topics: dict[bytes, str] = {}

    def quick(self, first: int, body: bytes) -> Event | Publish | None:
        qos = _QUALITIES.get(first)
        if qos is None:
            return _short(first, body) if len(body) == 2 else None
        if len(body) < 3:
            return None
        at = 2 + (body[0] << 8 | body[1])
        raw = body[2:at]
        start = at + 2 if qos else at
        if self._version == V5:
            if body[start : start + 1] != b"\0":
                return None
            start += 1
        if len(body) < start or not raw:
            return None
        topic = self._topics.get(raw) or self._topic(raw)
        payload = body[start:]
        self.check_size(payload)
        if not qos:
            return Publish(topic, payload)
        id = body[at] << 8 | body[at + 1]
        return QosPublish(topic, payload, qos, id if qos == 2 else None, tag=id) if id else None

    def _topic(self, raw: bytes) -> str:
        """Read a topic, and remember it where it is worth that. Raises Malformed."""
        try:
            topic = checked(raw.decode())
        except UnicodeDecodeError:
            raise Malformed("a topic isn't UTF-8") from None
        if len(raw) <= limits.TOPIC_TABLE_BYTES:
            if len(self._topics) >= limits.TOPIC_TABLE:
                self._topics.clear()
            self._topics[raw] = topic
        return topic


def _short(first: int, body: bytes) -> Event | None:
    id = body[0] << 8 | body[1]
    stage = _STAGES.get(first)
    if not id or (stage is None and first != _PUBREL):
        return None
    return Ack(id, stage) if stage is not None else Release(id)
