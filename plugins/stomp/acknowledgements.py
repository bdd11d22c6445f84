"""Messages that a client is to acknowledge (STOMP 1.2, ACK, NACK and "SUBSCRIBE ack Header")."""

from __future__ import annotations

import re
from itertools import takewhile

from hubbub_plugins.stomp.frames import Frame, Malformed

AUTO, CLIENT, INDIVIDUAL = MODES = ("auto", "client", "client-individual")
_TOKEN = re.compile(r"[0-9]{1,20}-[0-9]{1,5}")


class Acknowledgements:
    """What was sent on one connection and isn't acknowledged, for each subscription in the order of sending.

    A message is called by what its `ack` and `message-id` say, a subscription as its id is written in a MESSAGE.
    """

    __slots__ = ("_cumulative", "_ids", "_sent")

    def __init__(self) -> None:
        self._cumulative: set[bytes] = set()  # subscriptions of the mode CLIENT
        self._ids: dict[str, tuple[bytes, int]] = {}  # subscription and packet identifier
        self._sent: dict[bytes, dict[str, None]] = {}

    def subscribe(self, subscription: bytes, mode: str) -> None:
        """A subscription begins, in place of one of the same id."""
        if mode == CLIENT:
            self._cumulative.add(subscription)
        else:
            self._cumulative.discard(subscription)

    def unsubscribe(self, subscription: bytes) -> None:
        """A subscription has ended. What it has sent may still be acknowledged, one by one."""
        self._cumulative.discard(subscription)

    def sent(self, subscription: bytes, token: str, id: int) -> None:
        """A message was sent; `token` is what the client calls it, `id` its packet identifier."""
        self._ids[token] = subscription, id
        self._sent.setdefault(subscription, {})[token] = None

    def take(self, frame: Frame) -> list[int]:
        """Return the packet identifiers that an ACK or NACK means. Raises Malformed.

        None for a message of QoS 0, or that was acknowledged before.
        """
        headers = frame.headers
        token = headers.get("id") or headers.get("message-id")
        if token is None:
            raise Malformed(f"{frame.command} needs the header id, or message-id before STOMP 1.2")
        if not _TOKEN.fullmatch(token):
            raise Malformed(f"no message here has the id that {frame.command} names")
        found = self._ids.get(token)
        if found is None:
            return []
        subscription, _ = found
        sent = self._sent[subscription]
        tokens = [token]
        if subscription in self._cumulative:
            tokens = [*takewhile(token.__ne__, sent), token]
        for one in tokens:
            del sent[one]
        if not sent:
            del self._sent[subscription]
        return [self._ids.pop(one)[1] for one in tokens]
