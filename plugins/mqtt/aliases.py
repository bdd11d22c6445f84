"""Topic aliases (MQTT 5.0 section 3.3.2.3.4): a number stands for a topic until the connection ends.

Outbound, the message that assigns an alias is never dropped (hubbub.NeverDrop), and an alias keeps its topic. So the
other side knows each alias that it receives, whatever else is dropped.
"""

from __future__ import annotations

from hubbub import NeverDrop, limits
from hubbub_plugins.mqtt.codes import TOPIC_ALIAS_INVALID
from hubbub_plugins.mqtt.messages import checked_topic
from hubbub_plugins.mqtt.packets import Publish
from hubbub_plugins.mqtt.wire import PROTOCOL_ERROR, Malformed, varint

_TOPIC_ALIAS = 0x23  # its identifier among the properties


class InboundAliases:
    """The aliases that the other side has assigned on one connection."""

    __slots__ = ("_topics",)

    def __init__(self) -> None:
        self._topics: dict[int, str] = {}

    def topic(self, packet: Publish) -> str:
        """Return the topic of a PUBLISH, and take up the alias that it assigns. Raises Malformed."""
        alias = packet.properties.get("topic_alias")
        if alias is not None and not 0 < alias <= limits.TOPIC_ALIASES:  # MQTT-3.3.2-8, MQTT-3.3.2-9
            raise Malformed(f"a topic alias is 1 to {limits.TOPIC_ALIASES} here", TOPIC_ALIAS_INVALID)
        if packet.topic:
            topic = checked_topic(packet.topic)
            if alias is not None:
                self._topics[alias] = topic
            return topic
        if alias is None:
            raise Malformed("neither a topic nor an alias", PROTOCOL_ERROR)  # section 3.3.2.1
        if alias not in self._topics:
            raise Malformed("a topic alias without a topic", PROTOCOL_ERROR)
        return self._topics[alias]


class OutboundAliases:
    """The aliases that this side assigns on one connection.

    maximum     the other side's topic alias maximum
    max_packet  bytes of the longest packet that it accepts, or None
    """

    __slots__ = ("_aliases", "_max_packet", "_maximum", "_seen")

    def __init__(self, maximum: int, max_packet: int | None) -> None:
        self._maximum = min(maximum, limits.TOPIC_ALIASES)
        self._max_packet = max_packet
        self._aliases: dict[str, int] = {}
        self._seen: set[str] = set()  # topics that came once

    def shorten(self, frame: bytes, topic: str) -> bytes:
        """Return a PUBLISH with the alias instead of its topic, or with both (NeverDrop), or as it is."""
        alias = self._aliases.get(topic)
        if alias is not None and len(frame) > limits.ALIAS_UNIT_BYTES:
            return frame  # which all links share
        if alias is not None:
            return _with_alias(frame, alias, keep_topic=False)
        if len(self._aliases) >= self._maximum or not self._worth_an_alias(frame, topic):
            return frame
        alias = len(self._aliases) + 1
        found = NeverDrop(_with_alias(frame, alias, keep_topic=True))
        if self._max_packet is not None and len(found) > self._max_packet:
            return frame
        self._aliases[topic] = alias
        return found

    def _worth_an_alias(self, frame: bytes, topic: str) -> bool:
        """Return whether a topic is long, comes the second time, and now in a message that is cheap to keep."""
        if not limits.ALIAS_TOPIC_CHARACTERS <= len(topic) <= limits.TOPIC_TABLE_BYTES:
            return False
        if len(frame) > limits.ALIAS_UNIT_BYTES:
            return False
        seen = self._seen
        if topic in seen:
            seen.discard(topic)
            return True
        if len(seen) >= limits.TOPIC_TABLE:
            seen.clear()
        seen.add(topic)
        return False


def _with_alias(frame: bytes, alias: int, keep_topic: bool) -> bytes:
    """Put an alias into a PUBLISH of version 5."""
    at = 1
    while frame[at] >= 0x80:
        at += 1
    head, at = at, at + 3 + int.from_bytes(frame[at + 1 : at + 3], "big")
    topic = frame[head + 1 : at] if keep_topic else b"\0\0"
    if frame[0] & 6:
        topic += frame[at : at + 2]
        at += 2
    size = shift = 0
    while True:
        byte = frame[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    rest = frame[at:]
    properties = varint(size + 3) + bytes((_TOPIC_ALIAS, alias >> 8, alias & 0xFF))
    return frame[:1] + varint(len(topic) + len(properties) + len(rest)) + topic + properties + rest
