"""How a bridge keeps messages from going round.

In version 5 a message carries the hubs that it has passed in a user property. A hub drops a message that has passed it
before, and sends none to a hub that it has passed. A server that doesn't tell its name gets one that only this hub
knows, so that its messages don't go back to it, not even as retained messages. What comes from another node of a
cluster has its path in `Message.path`: clients here see no property that the publisher didn't set.

Version 3.1.1 has neither user properties nor No Local: where `pull=` and `push=` overlap, a server sends back what was
published to it. So a bridge remembers for a while what it has sent, and drops it once when it comes back.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from hubbub import limits
from hubbub.message import Message
from hubbub.user_properties import ONCE, UserProperties, pairs_of

NODE = "hubbub-node"  # a user property of CONNECT and CONNACK between two hubs: the sender's name
PATH = "hubbub-path"  # a user property of PUBLISH: the hubs that it has passed, with spaces between
_OF_ONE_HUB = frozenset({PATH, ONCE, "Nats-Msg-Id"})


def path_of(message: Message) -> list[str]:
    """Return the hubs that a message has passed."""
    path = message.path.split()
    return [*message.properties.get(PATH, "").split(), *path] if message.properties else path


def with_hop(message: Message, node: str) -> UserProperties:
    """Return the user properties of a message with one more hub in its path.

    Idempotency keys stay here: the next hub would take those of two publishers for two of the bridge.
    """
    properties = message.properties
    pairs = [pair for pair in pairs_of(properties) if pair[0] not in _OF_ONE_HUB]
    path = " ".join([*path_of(message), node])
    return UserProperties([*pairs, (PATH, path)], getattr(properties, "format", None))


class LoopPrevention:
    """What one connection of a bridge drops because it went round.

    node    the name of this hub
    remote  the name of the server
    """

    __slots__ = ("node", "remote", "_echoes")

    def __init__(self, node: str, remote: str, echoes: Echoes | None = None) -> None:
        self.node = node
        self.remote = remote
        self._echoes = echoes

    @property
    def per_link(self) -> bool:
        """Whether each message that is sent has to pass `sent`."""
        return self._echoes is not None

    def now(self, now: float) -> None:
        """Something has arrived at that time, in monotonic seconds."""
        if self._echoes is not None:
            self._echoes.now = now

    def sent(self, topic: str, payload: bytes) -> None:
        """A message is sent that the server will send back."""
        if self._echoes is not None:
            self._echoes.expect(topic, payload)

    def arrived(self, message: Message) -> bool:
        """Add the server to the path of a message. False: the message went round."""
        path = path_of(message)
        if self.node in path or len(path) >= limits.HOPS:
            return False
        if self._echoes is not None and self._echoes.is_echo(message.topic, message.payload):
            return False
        message.properties = with_hop(message, self.remote)
        return True


class Echoes:
    """What a server of version 3.1.1 will send back. One object for all connections of a connector.

    now  monotonic seconds of the last packet that arrived
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._sent: OrderedDict[bytes, tuple[int, float]] = OrderedDict()  # how often, and until when

    def expect(self, topic: str, payload: bytes) -> None:
        """A message was sent that will come back."""
        key = _digest(topic, payload)
        count, _ = self._sent.pop(key, (0, 0.0))
        self._sent[key] = count + 1, self.now + limits.ECHO_SECONDS
        if len(self._sent) > limits.ECHOES:
            self._sent.popitem(last=False)

    def is_echo(self, topic: str, payload: bytes) -> bool:
        """Return whether a message was sent and comes back; once for each time that it was sent."""
        key = _digest(topic, payload)
        count, until = self._sent.pop(key, (0, 0.0))
        if not count or until < self.now:
            return False
        if count > 1:
            self._sent[key] = count - 1, until
        return True


def _digest(topic: str, payload: bytes) -> bytes:
    return blake2b(b"%b\0%b" % (topic.encode(), payload), digest_size=16).digest()
