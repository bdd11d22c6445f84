"""How a bridge keeps messages from going round.

In version 5 a message carries the hubs that it came by, in a user property: what came by here isn't taken again, and a
hub that it came by isn't told of it again. A server that says no name of its own gets one that only this hub knows, so
that nothing goes back to it either, not even as a retained message.

Version 3.1.1 has neither that property nor No Local: a server sends back what it was told, where `pull=` and `push=`
overlap. So what was sent is remembered for a while, and left out once when it comes back.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from hubbub import Message, limits
from hubbub_plugins.mqtt.words import Headers

PATH = "hubbub-path"  # in PUBLISH: those that it came by, with spaces between


def path_of(message: Message) -> list[str]:
    """Tell the hubs that a message came by."""
    return message.properties.get(PATH, "").split() if message.properties else []


def by_way_of(message: Message, node: str) -> Headers:
    """Return the headers of a message with one more hub in its path."""
    headers = message.properties
    pairs = [pair for pair in getattr(headers, "pairs", None) or (headers or {}).items() if pair[0] != PATH]
    path = " ".join([*path_of(message), node])
    return Headers([*pairs, (PATH, path)], getattr(headers, "format", None))


class Echoes:
    """What a server of version 3.1.1 was told, and will say again. One for all links of a connector."""

    def __init__(self) -> None:
        self.now = 0.0  # of when something was last heard
        self._sent: OrderedDict[bytes, tuple[int, float]] = OrderedDict()  # how often, and until when

    def expect(self, topic: str, payload: bytes) -> None:
        """It was told this."""
        key = _digest(topic, payload)
        count, _ = self._sent.pop(key, (0, 0.0))
        self._sent[key] = count + 1, self.now + limits.ECHO_SECONDS
        if len(self._sent) > limits.ECHOES:
            self._sent.popitem(last=False)

    def is_one(self, topic: str, payload: bytes) -> bool:
        """Tell whether this is what it was told, come back; once for each time."""
        key = _digest(topic, payload)
        count, until = self._sent.pop(key, (0, 0.0))
        if not count or until < self.now:
            return False
        if count > 1:
            self._sent[key] = count - 1, until
        return True


def _digest(topic: str, payload: bytes) -> bytes:
    return blake2b(b"%b\0%b" % (topic.encode(), payload), digest_size=16).digest()
