"""What browsers get for a login: a session, which a cookie carries, or a ticket, which an URL may carry once.

An EventSource can't send a header, and a token in an URL would stand in logs and histories for as long as it is good.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from hubbub import limits
from hubbub.identity import Identity


class Issued:
    """Secrets that stand for an identity for some time, in memory; beyond `most` the oldest gives way.

    prefix  what each begins with; seconds: how long one is good
    now     tells the Unix time in seconds
    """

    def __init__(self, prefix: str, most: int, seconds: float, now: Callable[[], float]) -> None:
        self.prefix = prefix
        self.seconds = seconds
        self._most = most
        self._now = now
        self._known: dict[str, tuple[Identity, float]] = {}

    def issue(self, identity: Identity) -> str:
        """Return a new secret for `identity`."""
        if len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        secret = self.prefix + secrets.token_urlsafe(24)
        self._known[secret] = identity, self._now() + self.seconds
        return secret

    def get(self, secret: str) -> Identity | None:
        """Return whom a secret stands for, if it is good and the login is."""
        identity, until = self._known.get(secret, (None, 0.0))
        if identity is None:
            return None
        ends = until if identity.expires is None else min(until, identity.expires)
        if ends <= self._now() or (identity.holds is not None and not identity.holds()):
            self.drop(secret)
            return None
        return identity

    def drop(self, secret: str) -> None:
        """Make a secret worthless."""
        self._known.pop(secret, None)


class Passes:
    """The sessions and tickets of one daemon."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.sessions = Issued("session-", limits.WEB_SESSIONS, limits.WEB_SESSION_SECONDS, now)
        self.tickets = Issued("ticket-", limits.TICKETS, limits.TICKET_SECONDS, now)

    def knows(self, token: str) -> bool:
        """Tell whether a token looks like one of these."""
        return token.startswith((self.sessions.prefix, self.tickets.prefix))

    def use(self, token: str) -> Identity | None:
        """Return whom a token stands for, if it is good; a ticket is used up."""
        if token.startswith(self.sessions.prefix):
            return self.sessions.get(token)
        identity = self.tickets.get(token)
        self.tickets.drop(token)
        return identity
