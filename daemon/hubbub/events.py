"""What a client can want: a dialect turns bytes into these, and the link acts on them in order.

An event whose outcome the client is told carries a `tag`: whatever its dialect needs to word the answer (a packet
identifier, an `id`). The link hands event and result to `Dialect.outcome`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from mypy_extensions import mypyc_attr

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.message import Message

_FIELDS = "__slots__" if __file__.endswith(".py") else "__mypyc_attrs__"  # where a class keeps the names of its own


@mypyc_attr(allow_interpreted_subclasses=True)
class Event:
    """One wish of a client."""

    __slots__ = ("tag",)

    def __init__(self, tag: Any = None) -> None:
        self.tag = tag

    def __repr__(self) -> str:
        names = dict.fromkeys([name for kind in type(self).__mro__ for name in getattr(kind, _FIELDS, ())])
        shown = [f"{name}={getattr(self, name)!r}" for name in names if name != "password"]
        return f"{type(self).__name__}({', '.join(shown)})"


@mypyc_attr(allow_interpreted_subclasses=True)
class Publish(Message):
    """A message on its way in. Its outcome is told where it has a `tag`, and where it fails.

    The result is the number of sessions that it goes to, an int, or a Refusal.
    """

    __slots__ = ("tag",)

    def __init__(
        self,
        topic: str,
        payload: bytes,
        retain: bool = False,
        content_type: str | None = None,
        reply_to: str | None = None,
        properties: Mapping[str, str] | None = None,
        tag: Any = None,
    ) -> None:
        # Written out: a call of Message.__init__ costs as much as all the rest, for each message.
        self.topic = topic
        self.payload = payload
        self.retain = retain
        self.content_type = content_type
        self.reply_to = reply_to
        self.properties = properties
        self.retained = False
        self.time = 0.0
        self.sender = None
        self.hops = 0
        self.tag = tag


class Request(Publish):
    """A message that wants one reply within `timeout` seconds. The result is the reply, a Message, or a Refusal.

    With `alone` the events behind it wait for its result; without, up to limits.REQUESTS_PER_LINK run side by side.
    """

    __slots__ = ("timeout", "alone")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        timeout: float = limits.REQUEST_SECONDS,
        alone: bool = True,
        retain: bool = False,
        content_type: str | None = None,
        reply_to: str | None = None,
        properties: Mapping[str, str] | None = None,
        tag: Any = None,
    ) -> None:
        super().__init__(topic, payload, retain, content_type, reply_to, properties, tag)
        self.timeout = timeout
        self.alone = alone


class Open(Event):
    """Who the client says it is. The result is the name of the user it is now, a str, "" for nobody, or a Refusal."""

    __slots__ = ("client", "user", "password", "token")

    def __init__(
        self,
        client: str | None = None,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        tag: Any = None,
    ) -> None:
        self.client = client
        self.user = user
        self.password = password
        self.token = token
        self.tag = tag


class Subscribe(Event):
    """Let what matches `filter` come. The result is None or a Refusal.

    echo      bool: whether the client's own messages come back to it
    full      str or None: another policy than the listener's for when the outbox is full
    options   hashable: whatever `Dialect.form` needs to know of it
    """

    __slots__ = ("filter", "echo", "full", "options")

    def __init__(
        self, filter: str, echo: bool = True, full: str | None = None, options: Hashable = None, tag: Any = None
    ) -> None:
        self.filter = filter
        self.echo = echo
        self.full = full
        self.options = options
        self.tag = tag


class Unsubscribe(Event):
    """End the subscription to exactly `filter`. The result is None or a Refusal."""

    __slots__ = ("filter",)

    def __init__(self, filter: str, tag: Any = None) -> None:
        self.filter = filter
        self.tag = tag


class Ping(Event):
    """A sign of life; over UDP it renews the lease. The result is the number of subscriptions, an int."""

    __slots__ = ()


class Answer(Event):
    """Bytes that the dialect answers by itself, written at their place among the other answers."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tag = None


class Fault(Event):
    """A command that can't be acted on. The result is its Refusal, so that all are counted and worded alike."""

    __slots__ = ("refusal",)

    def __init__(self, refusal: Refusal, tag: Any = None) -> None:
        self.refusal = refusal
        self.tag = tag


class Confirm(Event):
    """Proof that a UDP client is where it says: `token` is what the hub sent to that address."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token
        self.tag = None


class Become(Event):
    """From here on the link speaks `dialect`, a Dialect class, from the bytes `head` on; `text` as in `receive`."""

    __slots__ = ("dialect", "head", "text")

    def __init__(self, dialect: Any, head: bytes, text: bool | None = None) -> None:
        self.dialect = dialect
        self.head = head
        self.text = text
        self.tag = None


class Close(Event):
    """The end of the link: `data` is written first; `reason` is for the log and for a WebSocket's close frame.

    refusal   Refusal or None: why, where it is the client's fault
    """

    __slots__ = ("reason", "data", "refusal")

    def __init__(self, reason: str, data: bytes = b"", refusal: Refusal | None = None) -> None:
        self.reason = reason
        self.data = data
        self.refusal = refusal
        self.tag = None
