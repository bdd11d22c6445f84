"""The base class of wire protocols: bytes in, events out; messages in, bytes out.

A dialect is pure: no I/O, no clock, no reactor. Each of its reads has a maximum. One instance serves one link (over UDP
one peer). `encode` is a class method: all subscribers with the same wire format share what it returns.
"""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, NamedTuple

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Close, Connect, Event, Subscribe
from hubbub.message import Message, Sender
from hubbub.template import Template

TRANSPORTS = ("tcp", "udp", "websocket")


@cache
def this_node() -> str:
    """Return the id of this hub among others, new at each start."""
    return secrets.token_hex(8)


class Text(bytes):
    """A unit that a WebSocket sends as a text message (RFC 6455 section 5.6), from a dialect whose `text` is False."""


class NeverDrop(bytes):
    """A unit that a full outbox keeps, because later units depend on it. `frame_for_link` returns few of them."""


class IdForm(NamedTuple):
    """A wire format that differs from that of other subscriptions in an id alone: the rest is encoded once for all.

    shared  the format of what stands around the id, see `Dialect.encode_around`
    id      the id as it stands in each unit
    """

    shared: Hashable
    id: bytes


@dataclass(frozen=True, slots=True)
class DialectContext:
    """What a dialect knows of its listener or connector.

    transport    one of TRANSPORTS. On "tcp" bytes are a stream and the dialect finds where a unit ends; on the others
                 `receive` gets whole units, and each encoded message is one unit
    max_message  bytes of the longest payload that a client may publish
    topic        the listener's `topic=`, for dialects whose clients name none
    role         "server", or "client" on a connector
    pull         client role: the filters to subscribe to at the server
    push         client role: the filters whose messages go to the server
    handshake    seconds until a client must have shown its dialect
    idle         seconds that a client may be silent, for dialects that negotiate a keep alive
    node         the id of this hub among others
    login        whether the listener checks credentials
    secure       whether the listener takes TLS alone, or the connector dials with TLS
    greeted      whether the greeting has been sent before TLS, see `Dialect.handshake_first`
    memory       what a dialect keeps from one link to the next: client role, about the server; over UDP, about all
                 senders of the listener
    shared       what a dialect keeps of all its clients, on whichever listener of this hub
    """

    transport: str = "tcp"
    max_message: int = limits.MESSAGE_BYTES
    topic: Template | None = None
    role: str = "server"
    pull: tuple[str, ...] = ()
    handshake: float = limits.HANDSHAKE_SECONDS
    idle: float = limits.IDLE_SECONDS
    push: tuple[str, ...] = ()
    node: str = field(default_factory=this_node)
    login: bool = False
    secure: bool = False
    greeted: bool = False
    memory: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    shared: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def stream(self) -> bool:
        """Whether bytes come and go as a stream rather than as units."""
        return self.transport == "tcp"


class Dialect:
    """The base of all dialects. Its methods are right for a dialect that only receives.

    name             its name in options, logs and `--list-plugins`; the class name in lower case by default
    transports       the transports that can carry it
    roles            the sides that it speaks: "server", and "client" for a connector
    can_pull         client role: it can subscribe at the server, so it takes `pull=` and `push=`
    has_sessions     client role: messages of `push=` wait for the next link
    subprotocols     its WebSocket subprotocols, the best first: of those that a client offers it gets that
    alpn             the protocols of ALPN (RFC 7301) that mean it on a TLS listener; its name alone by default
    text             whether its units are WebSocket text messages
    full             the policy for a full outbox if the listener names none
    priority         the order in which `auto` asks dialects: the highest first
    fields           the fields that it adds to templates
    final            False for a dialect that is yet to switch to another, see SwitchDialect
    overlapping      "merge": a message that several subscriptions of a client match comes once; "each": once for each
    handshake_first  whether TLS comes before everything else; otherwise a TLS listener sends the greeting in the clear
    counts           whether subscriptions may end after a number of messages, see Unsubscribe
    visits           its links are visits of one purpose, not clients that stay: `hello=`, `subscribe=` and `presence=`
                     of the listener aren't for them
    write_after_eof  whether a subscribed TCP link stays open for writing after the client's end of input
    """

    name: ClassVar[str] = ""
    transports: ClassVar[Sequence[str]] = TRANSPORTS
    roles: ClassVar[Sequence[str]] = ("server",)
    can_pull: ClassVar[bool] = False
    has_sessions: ClassVar[bool] = False
    subprotocols: ClassVar[Sequence[str]] = ()
    alpn: ClassVar[Sequence[str]] = ()
    text: ClassVar[bool] = False
    full: ClassVar[str] = "drop-oldest"
    priority: ClassVar[int] = 0
    fields: ClassVar[Sequence[str]] = ()
    final: ClassVar[bool] = True
    overlapping: ClassVar[str] = "merge"
    counts: ClassVar[bool] = False
    handshake_first: bool = True
    visits: ClassVar[bool] = False
    write_after_eof: ClassVar[bool] = False

    secrets: Sequence[bytes] = ()
    """Bytes that a trace of outgoing data masks."""

    deadline: float | None = None
    """When `timeout` is called, in the seconds of `now`; None: never."""

    follow_up: Sequence[Event | Message] = ()
    """What the link is to act on behind the answer that `outcome` has just returned."""

    max_qos: int = 2
    """The highest QoS that the other side accepts (MQTT 5.0 section 3.2.2.3.4); `form` keeps to it."""

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        self.context = context
        self.peer = peer

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "name" not in cls.__dict__ and not cls.name:
            cls.name = cls.__name__.lower()

    @classmethod
    def for_role(cls, role: str) -> type[Dialect]:
        """Return the class for one of `roles`; override it if the two sides have different classes."""
        return cls

    @classmethod
    def persistent_session(cls, context: DialectContext, name: str) -> tuple[Connect, Sequence[Subscribe]] | None:
        """Client role: return the session that exists before the first link, and its subscriptions.

        None: messages that are published while there is no link don't go to the server.
        """
        return None

    @classmethod
    def greeting(cls, context: DialectContext, peer: Sender) -> bytes:
        """Return what `opened` sends first, for `dialect=auto`, which sends it where clients wait. Empty: none do."""
        return b""

    def opened(self, now: float) -> list[Event | Message]:
        """The link is open and nothing has arrived: send a greeting, or set a first deadline."""
        return []

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        """Return the bytes of the longest encoded command, so that a payload of `max_message` fits."""
        return context.max_message + limits.LINE_SLACK

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        """Turn bytes into events. Never raises for bad input: the result is a Fault, or ends with Close.

        `text` is True for WebSocket text messages, False for binary ones, and None on other transports.
        """
        raise NotImplementedError

    def receive_units(self, units: Sequence[tuple[bytes, bool | None]], now: float) -> list[Event | Message]:
        """Turn several whole units, (data, text) each, into events; override it if one pass is cheaper."""
        events: list[Event | Message] = []
        for data, text in units:
            events += self.receive(data, now, text)
        return events

    def cut(self, data: bytes, most: int) -> int:
        """Return after how many bytes, `most` or a little more, a long unit may be received as if it were two.

        The length of `data`: nowhere. It is asked before the unit is received, and then for the rest.
        """
        return len(data)

    def units(self, data: bytes) -> int:
        """Return how many units of a stream are in `data`, about: of very many some are received at a time. 0: few."""
        return 0

    def eof(self, now: float) -> list[Event | Message]:
        """The client has ended its input; bytes that are left in a reader may be a unit."""
        return []

    def timeout(self, now: float) -> list[Event | Message]:
        """The deadline has passed."""
        return []

    def closed(self) -> Sequence[Event | Message]:
        """The link has gone, or is about to: return what is published about that."""
        return ()

    def held(self) -> str:
        """Describe for `hubbub trace` the incomplete input, such as `14 bytes held, no end mark`."""
        return ""

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        """Encode the answer to an event; `result` is as its docstring says, or a Refusal. Empty: none.

        A Close ends the link.
        """
        return b""

    def take_follow_up(self) -> Sequence[Event | Message]:
        """Return `follow_up`, and empty it."""
        events, self.follow_up = self.follow_up, ()
        return events

    def challenge(self, event: Connect, data: bytes) -> bytes:
        """Encode a challenge of enhanced authentication; an AuthResponse answers it. Empty: unsupported."""
        return b""

    def form(self, subscription: Subscribe) -> Hashable:
        """Return the wire format for messages of that subscription; equal ones share what `encode` returns.

        Those that differ in an id alone share what `encode_around` returns, if they are IdForm.
        """
        return None

    @classmethod
    def encode(cls, message: Message, form: Hashable) -> bytes | None:
        """Encode a message as one unit. None: this dialect can't carry it; the client gets a gap notice."""
        if not isinstance(form, IdForm) or (around := cls.encode_around(message, form.shared)) is None:
            return None
        head, tail = around
        whole = head + form.id + tail
        return Text(whole) if isinstance(head, Text) else whole

    @classmethod
    def encode_all(cls, messages: Sequence[Message], form: Hashable) -> Sequence[bytes | None]:
        """Encode messages that go out together, each as `encode` does; override it where that is quicker at once.

        It may return hubbub.joined_frames.JoinedFrames for a stream, if each message can be carried.
        """
        return [cls.encode(message, form) for message in messages]

    @classmethod
    def encode_around(cls, message: Message, shared: Hashable) -> tuple[bytes, bytes] | None:
        """Encode what comes before the id of an IdForm, and what comes behind it. Of a Text the first is one."""
        return None

    def ended(self, id: Hashable) -> None:
        """The subscription `id` has ended, for whatever reason but the end of the link."""

    def frames_per_link(self, subscription: Subscribe) -> bool:
        """Return whether units of that subscription pass `frame_for_link`; override it if it depends on more."""
        return type(self).frame_for_link is not Dialect.frame_for_link

    def frame_for_link(self, frame: bytes, message: Message, subscription: Subscribe) -> bytes:
        """Adapt a shared unit to this link, for example with a topic alias. Override it only if links differ."""
        return frame

    def frame_qos(self, frame: bytes, message: Message, id: int, again: bool) -> bytes:
        """Put packet identifier and DUP flag into a unit of QoS 1 or 2 (MQTT 5.0 section 3.3.1)."""
        return frame

    def pieces_qos(self, frame: bytes, message: Message, id: int, again: bool) -> Sequence[bytes]:
        """Return a long unit as `frame_qos` does, in pieces; override it to have links share `message.payload`."""
        return (self.frame_qos(frame, message, id, again),)

    def encode_pubrel(self, id: int) -> bytes:
        """Encode PUBREL: the client may forget that identifier (MQTT 5.0 section 4.3.3)."""
        return b""

    @classmethod
    def merge(cls, wishes: Sequence[Subscribe]) -> Subscribe | None:
        """Merge a client's subscriptions that match one topic. None: the one with the fewest wildcards counts."""
        return None

    def gap(self, n: int) -> bytes:
        """Encode a gap notice: `n` messages were dropped. Empty: the dialect has none."""
        return b""

    def encode_lost(self, subscription: Subscribe, position: str) -> bytes:
        """Encode the notice that the history keeps no more what a replay was about to send, up to `position`."""
        return b""

    def replayed(self, subscription: Subscribe, position: str) -> bytes | Close:
        """Encode the end of a replay: what is newer than `position` comes live. Empty: none; a Close ends the link."""
        return b""

    def encode_close(self, reason: str) -> bytes:
        """Encode the last unit before the hub closes the link."""
        return b""

    def encode_disconnect(self, reason: str, refusal: Refusal) -> bytes:
        """Encode the last unit before the hub closes the link for `refusal`; `encode_close` by default."""
        return self.encode_close(reason)

    def confirm(self, event: Event | Message, token: str) -> bytes:
        """Ask a UDP client to repeat `event` with `token`. Empty: its clients can't subscribe over UDP."""
        return b""

    @classmethod
    def claims(cls, head: bytes) -> bool | None:
        """Return whether a link that begins with `head` speaks this dialect; None: more bytes are needed."""
        return False


Result = Refusal | Message | int | str | None
