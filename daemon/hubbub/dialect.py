"""What a wire protocol is made of: bytes in, events out; messages in, bytes out.

A dialect is pure: no I/O, no clock, no reactor. Everything that it reads has a maximum. One instance serves one link
(over UDP one peer); what it encodes is shared by all subscribers who want the same form, and so is static.
"""

from __future__ import annotations

import secrets
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Close, Event, Open, Subscribe
from hubbub.message import Message, Sender
from hubbub.template import Template

TRANSPORTS = ("tcp", "udp", "websocket")
NODE = secrets.token_hex(8)  # what this hub is known as to others, until it ends


class Text(bytes):
    """A unit that a WebSocket sends as text, from a dialect whose `text` is False."""


class Sure(bytes):
    """What `deliver` returns for a unit that later ones build on: it is never dropped. A link may have a few such."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a dialect may know of the place where it works.

    transport    one of TRANSPORTS: on "tcp" bytes are a stream and the dialect marks where a unit ends; on the others
                 `receive` is given whole units, and what is encoded is one unit
    max_message  bytes of the longest payload that comes in
    topic        the listener's `topic=`, for dialects whose clients name none
    role         which side is spoken here: "server", or "client" where hubbub has dialled
    pull         as a client, the filters to ask the server for
    push         as a client, the filters of what the server is told
    handshake    seconds until a client must have shown what it speaks
    idle         seconds that a client may be silent, for dialects that can agree on that with it
    node         what this hub is known as to others
    memory       as a client, what a dialect wants to know of the server on the next link too
    """

    transport: str = "tcp"
    max_message: int = limits.MESSAGE_BYTES
    topic: Template | None = None
    role: str = "server"
    pull: tuple[str, ...] = ()
    handshake: float = limits.HANDSHAKE_SECONDS
    idle: float = limits.IDLE_SECONDS
    push: tuple[str, ...] = ()
    node: str = NODE
    memory: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def stream(self) -> bool:
        """Whether bytes come and go as a stream rather than as units."""
        return self.transport == "tcp"


class Dialect:
    """The base of all dialects; what it does is right for one that only receives.

    name          how options, logs and `--list-plugins` call it; by default the class name in lower case
    transports    which transports can carry it
    roles         which sides of it can be spoken here: "server", and "client" for a connector
    pulls         whether as a client it can ask for filters, and so takes `pull=` and `push=`
    keeps         whether as a client it has sessions: what goes out is named with `push=`, and waits for the next link
    subprotocols  the WebSocket subprotocols that mean it
    text          whether its units are text on a WebSocket
    full          the policy for a full outbox, where the listener names none
    priority      who is asked first when `auto` tells dialects apart: the higher
    fields        the fields that it fills in templates beside the common ones
    decided       whether it is what the link speaks; False for one that is still to Become another
    stays         whether a subscribed stream stays open for writing after the client's end of input
    """

    name: ClassVar[str] = ""
    transports: ClassVar[Sequence[str]] = TRANSPORTS
    roles: ClassVar[Sequence[str]] = ("server",)
    pulls: ClassVar[bool] = False
    keeps: ClassVar[bool] = False
    subprotocols: ClassVar[Sequence[str]] = ()
    text: ClassVar[bool] = False
    full: ClassVar[str] = "drop-oldest"
    priority: ClassVar[int] = 0
    fields: ClassVar[Sequence[str]] = ()
    decided: ClassVar[bool] = True
    stays: ClassVar[bool] = False

    secrets: Sequence[bytes] = ()
    """What a trace of what goes out doesn't show."""

    deadline: float | None = None
    """When `timeout` wants to be called, in the seconds of `now`, or None."""

    def __init__(self, setting: Setting, peer: Sender) -> None:
        self.setting = setting
        self.peer = peer

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "name" not in cls.__dict__ and not cls.name:
            cls.name = cls.__name__.lower()

    @classmethod
    def playing(cls, role: str) -> type[Dialect]:
        """Return the class that speaks this side of it, one of `roles`; override it where the two are not one class."""
        return cls

    @classmethod
    def standing(cls, setting: Setting, name: str) -> tuple[Open, Sequence[Subscribe]] | None:
        """Tell, as a client of that connector, of the session that waits for its links, and what it subscribes to.

        None: what is published while there is no link is not for it.
        """
        return None

    def opened(self, now: float) -> list[Event | Message]:
        """The link is there, and the client has said nothing yet: the time for a greeting, or for a first deadline."""
        return []

    @classmethod
    def max_unit(cls, setting: Setting) -> int:
        """Tell how many bytes one encoded command may have, so that a payload of the setting's maximum fits."""
        return setting.max_message + limits.LINE_SLACK

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        """Turn bytes into events. Never raises for a peer's fault: that is a Fault, or ends with Close.

        `text` tells a WebSocket's text messages (True) from its binary ones (False); elsewhere it is None.
        """
        raise NotImplementedError

    def receive_units(self, units: Sequence[tuple[bytes, bool | None]], now: float) -> list[Event | Message]:
        """Turn several whole units, (data, text) each, into events; override it where at once is cheaper."""
        events: list[Event | Message] = []
        for data, text in units:
            events += self.receive(data, now, text)
        return events

    def eof(self, now: float) -> list[Event | Message]:
        """The client has said its last; what is left in a reader may be a unit."""
        return []

    def timeout(self, now: float) -> list[Event | Message]:
        """The deadline has passed."""
        return []

    def held(self) -> str:
        """Say for `hubbub trace` what has come and makes no event yet, as in `14 bytes held, no end mark`."""
        return ""

    def outcome(self, event: Event | Message, result: Any) -> bytes | Close:
        """Word the answer to an event; `result` is as the event's docstring says, or a Refusal. Empty: none.

        A Close ends the link, where the answer is that.
        """
        return b""

    def challenge(self, event: Open, data: bytes) -> bytes:
        """Ask the client what the login of `event` wants to know; a Step answers. Empty: it can't be asked."""
        return b""

    def form(self, subscription: Subscribe) -> Hashable:
        """Tell how this link wants messages of that subscription encoded; equal forms share what is encoded."""
        return None

    @classmethod
    def encode(cls, message: Message, form: Hashable) -> bytes | None:
        """Write a message as one unit. None: it can't be carried, which is counted and told as a gap."""
        return None

    def differs(self) -> bool:
        """Tell whether units go through `deliver`; override it where that hangs on what a client has asked for."""
        return type(self).deliver is not Dialect.deliver

    def deliver(self, frame: bytes, message: Message, subscription: Subscribe) -> bytes:
        """Make a shared unit this link's own (a packet identifier, an alias). Override only where links differ."""
        return frame

    def assure(self, frame: bytes, message: Message, id: int, again: bool) -> bytes:
        """Make a shared unit of quality 1 or 2 this client's: its packet identifier, and whether it was sent before."""
        return frame

    def completing(self, id: int) -> bytes:
        """Tell the client, which has the message of quality 2 under that identifier, that it may forget this."""
        return b""

    @classmethod
    def merge(cls, wishes: Sequence[Subscribe]) -> Subscribe | None:
        """Make one wish of a client's subscriptions that match the same topic. None: that with the fewest wildcards."""
        return None

    def gap(self, n: int) -> bytes:
        """Tell the client that `n` messages were dropped for it. Empty: it can't be told."""
        return b""

    def closing(self, reason: str) -> bytes:
        """The last words of a hub that closes the link for its own reasons."""
        return b""

    def dismissing(self, reason: str, refusal: Refusal) -> bytes:
        """The last words to a client that is closed for `refusal`; `reason` as in `closing`, which is the default."""
        return self.closing(reason)

    def confirm(self, event: Event | Message, token: str) -> bytes:
        """Ask a UDP client to repeat `event` with `token`. Empty: it can't, and so it can't subscribe over UDP."""
        return b""

    @classmethod
    def claims(cls, head: bytes) -> bool | None:
        """Tell whether a link that begins with `head` speaks this dialect; None: more bytes are needed."""
        return False


Result = Refusal | Message | int | str | None
