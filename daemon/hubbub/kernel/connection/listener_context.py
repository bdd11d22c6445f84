"""What the links of one listener or connector share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.errors import CODES, Refusal
from hubbub.events import Connect
from hubbub.kernel.ingress.rate_limiter import Rate, RateLimiters
from hubbub.kernel.sessions.presence import Presence
from hubbub.kernel.sessions.session import Rights, Session
from hubbub.template import Template

Login = Callable[[Connect, Session, Callable[[str | Refusal], None]], None]
"""Checks the credentials of a client and calls back once, now or later, with the user's name or a Refusal."""


@dataclass(slots=True, eq=False)
class ListenerContext:
    """The keys and counters of a listener or connector, shared by its links.

    user       the user that every client here is, or None
    anonymous  whether a client without a user may do anything
    login      checks credentials; None: this hub has no logins
    ignore_logins  whether a client with credentials counts as one without
    rights     returns what a client may do; None: everything
    full       the overflow policy, or None for that of the dialect
    hello      what each link sends first, or nothing
    answer     seconds that a half-duplex device has for a reply, or None
    rate       the rate limit of each client, or None; changed: whether unchanged payloads are dropped
    presence   publishes the presence of clients, or None
    vouches    tells whether TLS certificates of a client, DER, would be taken; None: there is no TLS
    notice     is called with notices about clients, or about the server of a connector
    links      the open links
    refused    refusals by code; cut: links that were cut, by reason
    coming     connections that may still become links
    opened     links since the start; sent, sent_bytes, dropped: of closed links
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
    ignore_logins: bool = False
    rights: Callable[[Session], Rights | None] | None = None
    hello: bytes = b""
    answer: float | None = None
    rate: Rate | None = None
    changed: bool = False
    presence: Presence | None = None
    vouches: Callable[[Sequence[bytes]], bool] | None = None
    notice: Callable[[str], None] | None = None
    links: set[Any] = field(default_factory=set)
    coming: int = 0
    limiters: RateLimiters = field(default_factory=RateLimiters)
    received: int = 0  # events
    received_bytes: int = 0
    unchanged: int = 0  # messages that `changed=` dropped
    opened: int = 0
    sent: int = 0  # messages
    sent_bytes: int = 0
    dropped: int = 0  # messages
    held_back: int = 0  # times that a link was over its rate
    refused: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)

    def admits(self, user: str | None) -> bool:
        """Return whether a client without a login is that user here, None: anonymous, and may do anything."""
        return user == self.user and (self.user is not None or self.anonymous)

    def turns_away(self, link: Any) -> bool:
        """Return whether a client that was let in without a login has to go, as this listener wants one now.

        Those that have yet to log in, or have, may stay.
        """
        anonymous = link.access.allowed and link.session.holds is None
        return self.dialect_context.role == "server" and anonymous and not self.admits(link.session.user)

    def adopt(self, new: ListenerContext) -> None:
        """Take the keys of `new`; the counters, which stand from `links` on, stay."""
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

    def add_closed(self, sent: int, sent_bytes: int, dropped: int) -> None:
        """Keep the counts of a link that closes."""
        self.sent += sent
        self.sent_bytes += sent_bytes
        self.dropped += dropped
