"""Topic aliases on the way out (MQTT 5.0 section 3.3.2.3.4): a long topic that repeats becomes a number.

The message that gives a topic its number is never dropped (hubbub.Sure), and a number never gets another topic. So
whatever is dropped, the other side knows each number that it is sent. Numbers end with the connection.
"""

from __future__ import annotations

from hubbub import NeverDrop, limits
from hubbub_plugins.mqtt.wire import varint

_TOPIC_ALIAS = 0x23


class Aliases:
    """The numbers of one link. `most`: how many the other side takes; `longest`: bytes of a packet that it takes."""

    __slots__ = ("_longest", "_most", "_numbers", "_seen")

    def __init__(self, most: int, longest: int | None) -> None:
        self._most = min(most, limits.TOPIC_ALIASES)
        self._longest = longest
        self._numbers: dict[str, int] = {}
        self._seen: set[str] = set()  # topics that came once

    def shorten(self, frame: bytes, topic: str) -> bytes:
        """Return a PUBLISH with its topic's number for it, or with both, which is Sure; or as it is."""
        number = self._numbers.get(topic)
        if number is not None:
            return _numbered(frame, number, False)
        if len(self._numbers) >= self._most or not self._worth(frame, topic):
            return frame
        number = len(self._numbers) + 1
        found = NeverDrop(_numbered(frame, number, True))
        if self._longest is not None and len(found) > self._longest:
            return frame
        self._numbers[topic] = number
        return found

    def _worth(self, frame: bytes, topic: str) -> bool:
        """Whether a topic is long, and has come before, and now in a message that waits at little cost."""
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


def _numbered(frame: bytes, number: int, whole: bool) -> bytes:
    """Put an alias into a PUBLISH of version 5; `whole`: and leave its topic there."""
    at = 1
    while frame[at] >= 0x80:
        at += 1
    head, at = at, at + 3 + int.from_bytes(frame[at + 1 : at + 3], "big")
    topic = frame[head + 1 : at] if whole else b"\0\0"
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
    properties = varint(size + 3) + bytes((_TOPIC_ALIAS, number >> 8, number & 0xFF))
    return frame[:1] + varint(len(topic) + len(properties) + len(rest)) + topic + properties + rest
