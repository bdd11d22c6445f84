"""Messages: one payload on one topic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from mypy_extensions import mypyc_attr

from hubbub import limits


class Sender(Protocol):
    """The sender of a message, as a handler sees it."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def user(self) -> str | None: ...
    @property
    def client(self) -> str: ...
    @property
    def transport(self) -> str: ...
    @property
    def listener(self) -> str: ...

    def fields(self) -> dict[str, str]:
        """What templates may say of it."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Message:
    """One payload on one topic. Receivers leave it as it is: they all share it.

    topic         str, well formed (`topics.check_topic`)
    payload       bytes
    retain        bool: published to be kept as the last value of its topic
    retained      bool: comes from the store, not from a publisher just now
    content_type  str or None, a MIME type
    reply_to      str or None: the topic where an answer is expected
    properties    mapping of str to str, or None: what a dialect's headers say
    time          float, Unix seconds of its arrival at the hub
    sender        Sender or None: None for the hub itself and for retained messages
    hops          int: how many publishes of handlers led to this one
    position      str: where it is in the message history, or ""
    path          str: the hubs of a cluster that it has passed, with spaces between
    """

    __slots__ = (
        "topic", "payload", "retain", "content_type", "reply_to", "properties",
        "retained", "time", "sender", "hops", "position", "path",
    )  # fmt: skip

    def __init__(
        self,
        topic: str,
        payload: bytes,
        retain: bool = False,
        content_type: str | None = None,
        reply_to: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.retain = retain
        self.content_type = content_type
        self.reply_to = reply_to
        self.properties = properties
        self.retained = False
        self.time = 0.0
        self.sender: Any = None
        self.hops = 0
        self.position = ""
        self.path = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.topic} {self.payload[:40]!r}{'…' * (len(self.payload) > 40)}>"

    @property
    def text(self) -> str | None:
        """The payload as text, or None where it isn't UTF-8."""
        try:
            return self.payload.decode()
        except UnicodeDecodeError:
            return None

    def json(self) -> Any:
        """The payload as a JSON value. Raises ValueError where it isn't one."""
        return json.loads(self.payload)

    def extra(self) -> int:
        """Bytes that it carries beside what every message has."""
        return 0

    def on(self, topic: str) -> Message:
        """The same message under another topic: how a mount point shows it."""
        copy = Message(topic, self.payload, self.retain, self.content_type, self.reply_to, self.properties)
        copy.retained, copy.time, copy.sender, copy.hops = self.retained, self.time, self.sender, self.hops
        copy.position, copy.path = self.position, self.path
        return copy


def cost(message: Message) -> int:
    """What a message counts for, in bytes or characters: everything in it that its publisher may make long."""
    size = len(message.topic) + len(message.payload)
    if message.content_type is not None:
        size += len(message.content_type)
    if message.reply_to is not None:
        size += len(message.reply_to)
    properties = message.properties
    if properties:
        for key, value in getattr(properties, "pairs", None) or properties.items():  # where names repeat
            size += len(key) + len(value) + limits.PROPERTY_BYTES
    return size + message.extra()


def is_utf8(payload: bytes) -> bool:
    """Return whether a payload is UTF-8 (RFC 3629)."""
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
