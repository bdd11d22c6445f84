"""What is said to one client: messages in its serializer and its framing."""

from __future__ import annotations

from typing import Any

from hubbub.dialect import Text
from hubbub.errors import Refusal
from hubbub.message import Message
from hubbub_plugins.wamp.arguments import write
from hubbub_plugins.wamp.codec import JSON, Codec
from hubbub_plugins.wamp.codes import ABORT, ERROR, GOODBYE, uri_of_refusal
from hubbub_plugins.wamp.options import HelloDetails
from hubbub_plugins.wamp.rawsocket import framed
from hubbub_plugins.wamp.realm import Member, Realm

_HEAD = 512  # bytes that a message may have beside its arguments, where these fill what a client takes


class Speaker:
    """One client.

    codec    its serializer; raw: whether each message has the head of RawSocket
    hello    what it has said of itself, None: nothing yet; realm, member: attributes, once it has
    most     bytes of the longest message that it takes, 0: any, as over WebSocket
    peer     the client as the hub knows it
    """

    __slots__ = ("codec", "hello", "member", "most", "peer", "raw", "realm")

    realm: Realm
    member: Member | None

    def __init__(self, peer: Any, raw: bool) -> None:
        self.codec: Codec = JSON
        self.hello: HelloDetails | None = None
        self.member = None
        self.most = 0
        self.peer = peer
        self.raw = raw

    def unit(self, data: bytes) -> bytes:
        """Return a serialized message as the unit of the transport."""
        if self.raw:
            return framed(data)
        return Text(data) if self.codec.text else data

    def say(self, *message: Any) -> bytes:
        """Return a message without binary values."""
        return self.unit(self.codec.write(list(message)))

    def carry(self, head: list[Any], message: Message) -> bytes:
        """Return a message with the arguments that one of the hub has; empty: it is longer than the client takes."""
        data = write(self.codec, head, message)
        return self.unit(data) if not self.most or len(data) <= self.most else b""

    def error(self, code: int, request: int, uri: str, *args: object) -> bytes:
        """Return the ERROR that answers a message of that code."""
        return self.say(ERROR, code, request, {}, uri, list(args))

    def refuse(self, code: int, request: int, refusal: Refusal) -> bytes:
        """Return the ERROR that says a refusal."""
        return self.error(code, request, uri_of_refusal(refusal), refusal.reason)

    def abort(self, uri: str, reason: str) -> bytes:
        """Return ABORT."""
        return self.say(ABORT, {"message": reason}, uri)

    def goodbye(self, uri: str, reason: str = "") -> bytes:
        """Return GOODBYE."""
        return self.say(GOODBYE, {"message": reason} if reason else {}, uri)

    def fits(self, message: Message) -> bool:
        """Return whether the client takes a message for certain."""
        return not self.most or 6 * len(message.payload) + _HEAD <= self.most
