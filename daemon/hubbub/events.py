"""What a client can want: a dialect turns bytes into these, and the link acts on them in order.

An event whose outcome the client is told carries a `tag`: whatever its dialect needs to word the answer (a packet
identifier, an `id`). The link hands event and result to `Dialect.outcome`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from mypy_extensions import mypyc_attr

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.message import Message

FIELDS = "__slots__" if __file__.endswith(".py") else "__mypyc_attrs__"  # where a class keeps the names of its own
_QUIET: dict[str, tuple[Any, ...]] = {  # what few dialects say, and isn't shown where it is as always
    "qos": (0,), "retained": ("always",), "clean": (True,), "expiry": (0.0, None), "will": (None, True),
    "will_delay": (0.0,), "window": (None,), "present": (False,), "anew": (False,),
    "method": (None,), "again": (False,),
}  # fmt: skip


_UNSAID = ("password", "proof", "ask", "last")  # what is secret, or the hub's own


@mypyc_attr(allow_interpreted_subclasses=True)
class Event:
    """One wish of a client."""

    __slots__ = ("tag",)

    def __init__(self, tag: Any = None) -> None:
        self.tag = tag

    def __repr__(self) -> str:
        names = dict.fromkeys([name for kind in type(self).__mro__ for name in getattr(kind, FIELDS, ())])
        said = [name for name in names if name not in _UNSAID and getattr(self, name) not in _QUIET.get(name, ())]
        shown = [f"{name}={getattr(self, name)!r}" for name in said]
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


class Letter(Publish):
    """A message that says more of itself than others: how surely it is to arrive, until when, what its answer repeats.

    qos          int: 0 at most once, 1 at least once, 2 exactly once (MQTT 5.0 section 4.3)
    once         int or None: another one of that number is not published again until a Release of it
    lifetime     float or None, seconds from its arrival at the hub after which nobody wants it any more
    correlation  bytes or None: what an answer carries, for who asked to know which of its questions it answers
    """

    __slots__ = ("qos", "once", "lifetime", "correlation")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        once: int | None = None,
        retain: bool = False,
        content_type: str | None = None,
        reply_to: str | None = None,
        properties: Mapping[str, str] | None = None,
        tag: Any = None,
        lifetime: float | None = None,
        correlation: bytes | None = None,
    ) -> None:
        super().__init__(topic, payload, retain, content_type, reply_to, properties, tag)
        self.qos = qos
        self.once = once
        self.lifetime = lifetime
        self.correlation = correlation

    def extra(self) -> int:
        """Bytes that it carries beside what every message has."""
        return len(self.correlation or b"")

    def on(self, topic: str) -> Message:
        """The same under another topic."""
        copy = Letter(
            topic, self.payload, self.qos, None, self.retain, self.content_type, self.reply_to, self.properties
        )
        copy.retained, copy.time, copy.sender, copy.hops = self.retained, self.time, self.sender, self.hops
        copy.lifetime, copy.correlation = self.lifetime, self.correlation
        return copy

    def left(self, now: float, sent: bool = False) -> Letter | None:
        """The same as it is at a Unix time, with what is left of its lifetime. None: nothing is.

        What was sent once is sent again to the end, with a lifetime of 0.
        """
        if self.lifetime is None:
            return self
        copy = self.on(self.topic)
        assert isinstance(copy, Letter)
        copy.lifetime = max(0.0, self.time + self.lifetime - now)
        return copy if copy.lifetime or sent else None


class Release(Event):
    """A Letter of that number, `once`, may come again. The result is whether there was one, a bool."""

    __slots__ = ("once",)

    def __init__(self, once: int, tag: Any = None) -> None:
        self.once = once
        self.tag = tag


class Ack(Event):
    """The client says of the message that was delivered to it under `id` how far it is.

    stage  "received": it has it, and forgets the id when it is told to; "done": it has it; "failed": it won't take it
    The result is whether there is such a message at that stage, a bool.
    """

    __slots__ = ("id", "stage")

    def __init__(self, id: int, stage: str = "done", tag: Any = None) -> None:
        self.id = id
        self.stage = stage
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
    """Who the client says it is. The result is the name of the user it is now, a str, "" for nobody, or a Refusal.

    A dialect that delivers at quality 1 and 2 says how many messages may be on their way to the client at once:

    window      int; None: this client has no session that could outlive its link
    clean       bool: whether it wants nothing of an older session of that client
    expiry      float, seconds that its session lives after its link
    will        Publish or None: what is published when the link ends otherwise than by its own word
    will_delay  float, seconds that this waits for the client to come back
    present     bool, filled in before the outcome: an older session goes on. `client` too, where it was empty
    method      str or None: how it proves that, where the login asks it more than once; see Step
    proof       bytes: what it says to that at once; last: what the login says at the end, filled in before the outcome
    again       bool: it is known already, and proves anew who it is
    told        bool: whether it is told that the hub takes limits.FLIGHT messages; else it may send more at once
    anew        bool, of a connector: the server knows nothing of what was on its way, which is sent as if it never was
    """

    __slots__ = (
        "client", "user", "password", "token", "clean", "expiry", "will", "will_delay", "window", "present", "anew",
        "method", "proof", "again", "ask", "last", "told",
    )  # fmt: skip

    def __init__(
        self,
        client: str | None = None,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        tag: Any = None,
        clean: bool = True,
        expiry: float = 0.0,
        will: Publish | None = None,
        will_delay: float = 0.0,
        window: int | None = None,
        anew: bool = False,
        method: str | None = None,
        proof: bytes = b"",
        again: bool = False,
        told: bool = True,
    ) -> None:
        self.anew = anew
        self.told = told
        self.method = method
        self.proof = proof
        self.again = again
        self.ask: Any = None  # by which the login asks the client, filled in by the link
        self.last = b""
        self.clean = clean
        self.expiry = expiry
        self.will = will
        self.will_delay = will_delay
        self.window = window
        self.present = False
        self.client = client
        self.user = user
        self.password = password
        self.token = token
        self.tag = tag


class Step(Event):
    """The client's answer to what the login of its Open has asked, see `Dialect.challenge`.

    The result is a Refusal where nothing was asked; else there is none, but for that of the Open in the end.
    """

    __slots__ = ("proof",)

    def __init__(self, proof: bytes, tag: Any = None) -> None:
        self.proof = proof
        self.tag = tag


class Subscribe(Event):
    """Let what matches `filter` come. The result is None or a Refusal.

    filter    str; `$share/GROUP/FILTER` lets each message go to one of those who have said the same
    echo      bool: whether the client's own messages come back to it
    full      str or None: another policy than the listener's for when the outbox is full
    options   hashable: whatever `Dialect.form` needs to know of it
    qos       0 to 2: the quality of service that a Letter has at most on its way to this client
    retained  "always", "never" or "new", which is where there was no subscription to that filter
    """

    __slots__ = ("filter", "echo", "full", "options", "qos", "retained")

    def __init__(
        self,
        filter: str,
        echo: bool = True,
        full: str | None = None,
        options: Hashable = None,
        tag: Any = None,
        qos: int = 0,
        retained: str = "always",
    ) -> None:
        self.qos = qos
        self.retained = retained
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


class Several(Event):
    """Subscribe, Unsubscribe and Fault events with one answer, which goes out before the retained messages.

    The result is a list, with the result of each: a Refusal, or for Subscribe None and for Unsubscribe whether there
    was such a subscription.
    """

    __slots__ = ("events",)

    def __init__(self, events: Sequence[Subscribe | Unsubscribe | Fault], tag: Any = None) -> None:
        self.events = events
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


class Notice(Event):
    """What an operator should know of the server that a connector has dialled: it is logged, and shown as its state."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text
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
    will      whether the client's will is published, see Open; expiry: another one than it said there, or None
    """

    __slots__ = ("reason", "data", "refusal", "will", "expiry")

    def __init__(
        self,
        reason: str,
        data: bytes = b"",
        refusal: Refusal | None = None,
        will: bool = True,
        expiry: float | None = None,
    ) -> None:
        self.will = will
        self.expiry = expiry
        self.reason = reason
        self.data = data
        self.refusal = refusal
        self.tag = None
