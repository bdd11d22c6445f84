"""What application code is made of: a class whose methods are called with what arrives on their topics.

    class Upper(Handler):
        @on("echo/#")
        def upper(self, message):
            message.reply(message.text.upper())

docs/handlers.md is the guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from itertools import product
from typing import Any, ClassVar, Protocol, TypeVar

from hubbub import limits
from hubbub.errors import BadFilter, ConfigError
from hubbub.message import Message, Sender
from hubbub.option import options_of, shown
from hubbub.publish import QosPublish
from hubbub.topics import SHARE, check_filter

F = TypeVar("F", bound=Callable[..., Any])

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
_OPTION = re.compile(r"\{([A-Za-z_]\w*)\}")


def on(*filters: str) -> Callable[[F], F]:
    """Have a method called with each message that matches one of `filters`, once. Raises BadFilter.

    `{name}` in a filter stands for the handler's option of that name, as in `@on("{topic}")` or `@on("{floor}/+")`;
    one with `many` values makes that many filters.
    The method takes an `Incoming` message; it may be plain, return a Deferred, or be `async def`.
    """
    for filter in filters:
        _check(_OPTION.sub("-", filter))

    def mark(method: F) -> F:
        method.__dict__["hubbub_filters"] = filters
        return method

    return mark


def filters_of(handler: Handler, method: Callable[..., Any]) -> list[str]:
    """Return the filters that `on` was given for `method`, with the handler's options filled in. Raises ConfigError."""
    found = []
    for pattern in getattr(method, "hubbub_filters", ()):
        values = {name: getattr(handler, name) for name in _OPTION.findall(pattern)}
        several = [value if isinstance(value, tuple) else (value,) for value in values.values()]
        for chosen in product(*several):
            filled = dict(zip(values, map(str, chosen), strict=True))
            filter = _OPTION.sub(lambda name, filled=filled: filled[name[1]], pattern)  # type: ignore[misc]
            try:
                found.append(_check(filter))
            except BadFilter as refusal:
                raise ConfigError(f"{handler.name}: '{shown(filter)}' is no filter: {refusal.reason}") from None
    return found


def _check(filter: str) -> str:
    if check_filter(filter).startswith(SHARE):
        raise BadFilter("a handler takes no part in shared subscriptions; leave out $share/GROUP/")
    return filter


class Runner(Protocol):
    """Runs a handler: the daemon's, or that of `hubbub.testing`."""

    def publish(self, message: Message) -> int: ...
    def reply(self, message: Incoming, reply: Message) -> None: ...
    def request(self, message: Message, timeout: float) -> Awaitable[Incoming]: ...
    def every(self, seconds: float, call: Callable[[], Any]) -> None: ...
    def later(self, seconds: float, call: Callable[[], Any]) -> Callable[[], None]: ...
    def now(self) -> float: ...


class Incoming(Message):
    """A message as a handler gets it: one that can be replied to. What few say of one is as in publish.QosPublish."""

    __slots__ = ("_runner", "mute", "qos", "message_expiry", "correlation")

    def __init__(self, message: Message, runner: Runner, mute: bool = False) -> None:
        """`mute`: its sender may not publish to the response topic that it names, so replies are dropped."""
        super().__init__(
            message.topic, message.payload, message.retain, message.content_type, message.reply_to, message.properties
        )
        self.retained, self.time = message.retained, message.time
        self.sender, self.hops = message.sender, message.hops
        self.qos = 0
        self.message_expiry: float | None = None
        self.correlation: bytes | None = None
        if isinstance(message, QosPublish):
            self.qos, self.message_expiry, self.correlation = message.qos, message.message_expiry, message.correlation
        self._runner = runner
        self.mute = mute
        if mute:
            self.reply_to = None

    def reply(
        self,
        payload: Any,
        retain: bool = False,
        content_type: str | None = None,
        properties: Mapping[str, str] | None = None,
        qos: int | None = None,
        message_expiry: float | None = None,
    ) -> None:
        """Answer the sender: on the topic where it waits for a reply, or else to it alone, on this message's topic.

        `payload` is bytes, a str or a JSON value (raises TypeError or ValueError for what can't be JSON); it has this
        message's content type and QoS unless others are given, and always its correlation, by which the sender
        knows what is answered. A sender that has gone, or can't take it, is counted.
        """
        data, kind = as_payload(payload)
        kind = content_type or self.content_type or kind
        qos = self.qos if qos is None else qos
        topic = self.reply_to or self.topic
        self._runner.reply(
            self, _message(topic, data, retain, kind, None, properties, qos, message_expiry, self.correlation)
        )


class Handler:
    """The base of all handlers. A handler's name is its `name`, by default the class name in lower case."""

    name: ClassVar[str] = ""
    runner: Runner

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()
        options = options_of(cls)
        for attribute, method in vars(cls).items():
            for filter in getattr(method, "hubbub_filters", ()):
                if unknown := [name for name in _OPTION.findall(filter) if name not in options]:
                    raise TypeError(f"{attribute}: @on({filter!r}) names no option of {cls.__name__}: {unknown[0]}")

    def start(self) -> Any:
        """Called once, before the first message; may return a Deferred or be `async def`."""

    def stop(self) -> Any:
        """Called once, when the daemon stops or its file has changed; may return a Deferred or be `async def`."""

    def peer_joined(self, peer: Sender) -> Any:
        """A client has connected, or is here already when the handler starts."""

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
        qos: int = 0,
        message_expiry: float | None = None,
        correlation: bytes | None = None,
    ) -> int:
        """Publish bytes, a str or a JSON value. Returns how many sessions it goes to; this handler isn't among them.

        `qos`, `message_expiry` and `correlation` are as in publish.QosPublish. Raises BadTopic, Refusal, ValueError for
        a QoS other than 0 to 2, and TypeError or ValueError for what can't be JSON.
        """
        data, kind = as_payload(payload)
        kind = content_type or kind
        return self.runner.publish(
            _message(topic, data, retain, kind, reply_to, properties, qos, message_expiry, correlation)
        )

    def request(
        self,
        topic: str,
        payload: Any,
        timeout: float = limits.REQUEST_SECONDS,
        content_type: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Awaitable[Incoming]:
        """Publish, and wait `timeout` seconds for the first reply. Fails with Refusal: `timeout`, `no-responders`."""
        data, kind = as_payload(payload)
        wish = Message(topic, data, content_type=content_type or kind, properties=properties)
        return self.runner.request(wish, timeout)

    def every(self, seconds: float, call: Callable[[], Any]) -> None:
        """Call `call` every so many seconds until it stops."""
        self.runner.every(seconds, call)

    def later(self, seconds: float, call: Callable[[], Any]) -> Callable[[], None]:
        """Call `call` once, in so many seconds, unless it stops before. Returns what calls that off."""
        return self.runner.later(seconds, call)

    def now(self) -> float:
        """Tell the monotonic time in seconds; in a test it is the test's."""
        return self.runner.now()


def _message(
    topic: str,
    payload: bytes,
    retain: bool,
    content_type: str | None,
    reply_to: str | None,
    properties: Mapping[str, str] | None,
    qos: int,
    message_expiry: float | None,
    correlation: bytes | None,
) -> Message:
    """Make a QosPublish of what says more than most, else a plain Message. Raises ValueError."""
    if qos not in (0, 1, 2):
        raise ValueError(f"qos is 0, 1 or 2, not {qos!r}")
    if not qos and message_expiry is None and correlation is None:
        return Message(topic, payload, retain, content_type, reply_to, properties)
    return QosPublish(
        topic, payload, qos, None, retain, content_type, reply_to, properties, None, message_expiry, correlation
    )


def as_payload(value: Any) -> tuple[bytes, str | None]:
    """Turn bytes, a str or a JSON value into a payload and its content type. Raises TypeError or ValueError."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), None
    if isinstance(value, str):
        return value.encode(), TEXT
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(), JSON
