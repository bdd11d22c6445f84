"""What a link is given: the wire that it writes to, and the place that it lives in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.errors import CODES, Refusal
from hubbub.events import Connect
from hubbub.kernel.ingress.rate_limiter import Rate, Sieves
from hubbub.kernel.sessions.presence import Presence
from hubbub.kernel.sessions.session import Rights, Session
from hubbub.template import Template

if TYPE_CHECKING:
    from hubbub.kernel.connection.outbox import Outbox

Login = Callable[[Connect, Session, Callable[[str | Refusal], None]], None]
"""Checks who a client says it is, and calls back once, now or later, with the user's name or a Refusal."""


class Proof(Protocol):
    """How a UDP client shows that it is where it says (RFC 9000 section 8.1 has the same problem)."""

    def token(self) -> str: ...
    def check(self, token: str) -> bool: ...


class Wire(Protocol):
    """A link's end of its transport.

    proof  None where the transport itself is the proof that the client is there
    """

    proof: Proof | None

    def wrapper(self, dialect: type[Dialect]) -> Callable[[bytes], bytes] | None:
        """Return what puts the transport's own frame around a unit of `dialect`; the same function each time."""

    def write(self, data: bytes) -> object:
        """Send bytes; over UDP one datagram, and the result tells whether it went."""

    def reading(self, on: bool) -> None:
        """Go on or stop reading."""

    def unsent(self) -> int:
        """How many bytes wait on this machine: any change is progress."""

    def there(self) -> bool:
        """Tell whether a client that has ended its input can still hear."""

    def ping(self) -> bool:
        """Ask the client for a sign of life; False where the transport can't."""

    def close(self, reason: str, refusal: Refusal | None) -> None:
        """Close once everything is sent."""

    def turn_away(self, last: bytes, refusal: Refusal) -> None:
        """Say `last` and close, before there is a link."""

    def abort(self) -> None:
        """Close at once."""


@dataclass(slots=True)
class ListenerContext:
    """Where a link lives: what its listener says about it. One for all links of a listener.

    user       who every client here is, or None
    anonymous  whether a client without a user may do anything
    login      checks credentials; None: this hub knows no users
    rights     tells what a client may do; None: everything
    full       the policy of the listener, or None for the dialect's
    hello      what each link sends first, or nothing
    answer     seconds that a half-duplex device has for a reply, or None
    rate       what each client may send, or None: anything; changed: whether only what is new is let in
    presence   tells who is there, or None
    notice     is told what an operator should know of who was dialled
    links      the open links, to be counted and closed
    refused    what its clients were refused, by the code of the Refusal; cut: links that were cut, by reason
    coming     connections that may still become links
    opened     links, all of them; sent, sent_bytes, dropped: of those that have gone
    """

    name: str
    dialect_context: DialectContext
    prefix: Template | None = None
    subscribe: Template | None = None
    retain: bool = False
    content_type: str | None = None
    queue: int = limits.QUEUE_BYTES
    full: str | None = None
    stall: float = limits.STALL_SECONDS
    idle: float = limits.IDLE_SECONDS
    anonymous: bool = True
    user: str | None = None
    login: Login | None = None
    rights: Callable[[Session], Rights | None] | None = None
    hello: bytes = b""
    answer: float | None = None
    rate: Rate | None = None
    changed: bool = False
    presence: Presence | None = None
    notice: Callable[[str], None] | None = None
    links: set[Any] = field(default_factory=set)
    coming: int = 0
    sieves: Sieves = field(default_factory=Sieves)
    received: int = 0  # events
    received_bytes: int = 0
    unchanged: int = 0  # messages that weren't let in with `changed=`
    opened: int = 0
    sent: int = 0  # messages
    sent_bytes: int = 0
    dropped: int = 0  # messages
    held_back: int = 0  # times that a link was ahead of its rate
    refused: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)

    def adopt(self, new: ListenerContext) -> None:
        """Become what `new` says; what has happened here, which stands from `links` on, stays."""
        names = [one.name for one in fields(self)]
        for name in names[: names.index("links")]:
            setattr(self, name, getattr(new, name))

    def refuse(self, refusal: Refusal) -> None:
        """Count a Refusal by the limit that it names, or by its code."""
        code = refusal.limit or (refusal.code if refusal.code in CODES else "other")
        self.refused[code] = self.refused.get(code, 0) + 1

    def cuts(self, reason: str) -> None:
        """Count a link that is cut."""
        self.cut[reason] = self.cut.get(reason, 0) + 1

    def lost(self, outbox: Outbox) -> None:
        """Keep the counts of a link that goes."""
        self.sent += outbox.sent
        self.sent_bytes += outbox.sent_bytes
        self.dropped += outbox.dropped
