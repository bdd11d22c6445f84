"""What application code is made of: a class whose methods are called with what arrives on their topics.

    class Upper(Handler):
        @on("echo/#")
        def upper(self, message):
            message.reply(message.text.upper())
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from hubbub import limits
from hubbub.message import Message, Sender
from hubbub.topics import check_filter

F = TypeVar("F", bound=Callable[..., Any])

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


def on(*filters: str) -> Callable[[F], F]:
    """Have a method called with each message that matches one of `filters`. Raises BadFilter.

    The method takes an `Incoming` message; it may be plain, return a Deferred, or be `async def`.
    """
    for filter in filters:
        check_filter(filter)

    def mark(method: F) -> F:
        method.__dict__["hubbub_filters"] = filters
        return method

    return mark


class Runner(Protocol):
    """Who runs a handler: the daemon, or `hubbub.testing`."""

    def publish(self, message: Message) -> int: ...
    def reply(self, message: Incoming, reply: Message) -> None: ...
    def request(self, message: Message, timeout: float) -> Awaitable[Incoming]: ...
    def every(self, seconds: float, call: Callable[[], Any]) -> None: ...


class Incoming(Message):
    """A message as a handler gets it: one that can be replied to."""

    __slots__ = ("_runner",)

    def __init__(self, message: Message, runner: Runner) -> None:
        super().__init__(
            message.topic, message.payload, message.retain, message.content_type, message.reply_to, message.properties
        )
        self.retained, self.time = message.retained, message.time
        self.sender, self.hops = message.sender, message.hops
        self._runner = runner

    def reply(
        self,
        payload: Any,
        retain: bool = False,
        content_type: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Answer the sender: on the topic where it waits for a reply, or else to it alone, on this message's topic.

        `payload` is bytes, a str or a JSON value (raises TypeError or ValueError for what can't be JSON); it has this
        message's content type unless another is given. A sender that has gone, or can't take it, is counted.
        """
        data, kind = as_payload(payload)
        kind = content_type or self.content_type or kind
        self._runner.reply(self, Message(self.reply_to or self.topic, data, retain, kind, None, properties))


class Handler:
    """The base of all handlers. A handler's name is its `name`, by default the class name in lower case."""

    name: ClassVar[str] = ""
    runner: Runner

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()

    def start(self) -> Any:
        """Called once, before the first message; may return a Deferred or be `async def`."""

    def stop(self) -> Any:
        """Called once, when the daemon stops; may return a Deferred or be `async def`."""

    def peer_joined(self, peer: Sender) -> Any:
        """A client has connected."""

    def peer_left(self, peer: Sender) -> Any:
        """A client has gone."""

    def publish(
        self,
        topic: str,
        payload: Any,
        retain: bool = False,
        content_type: str | None = None,
        reply_to: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> int:
        """Publish bytes, a str or a JSON value. Returns how many sessions it goes to; this handler isn't among them.

        Raises BadTopic, Refusal, and TypeError or ValueError for what can't be JSON.
        """
        data, kind = as_payload(payload)
        return self.runner.publish(Message(topic, data, retain, content_type or kind, reply_to, properties))

    def request(self, topic: str, payload: Any, timeout: float = limits.REQUEST_SECONDS) -> Awaitable[Incoming]:
        """Publish, and wait up to `timeout` seconds for the first reply. Fails with Refusal (`timeout`, `nobody`)."""
        data, kind = as_payload(payload)
        return self.runner.request(Message(topic, data, content_type=kind), timeout)

    def every(self, seconds: float, call: Callable[[], Any]) -> None:
        """Call `call` every so many seconds until the daemon stops."""
        self.runner.every(seconds, call)


def as_payload(value: Any) -> tuple[bytes, str | None]:
    """Turn bytes, a str or a JSON value into a payload and its content type. Raises TypeError or ValueError."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), None
    if isinstance(value, str):
        return value.encode(), TEXT
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(), JSON
