"""The login of one link: its credentials, challenges of enhanced authentication, and what it may do then."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from hubbub.errors import BadMethod, Refusal
from hubbub.events import AuthResponse, Connect, Fault


class Authentication:
    """The login of one link.

    allowed  whether this client may do anything
    """

    __slots__ = ("allowed", "_challenged")

    def __init__(self) -> None:
        self.allowed = True
        self._challenged: Callable[[Any], None] | None = None  # takes the client's answer to a challenge

    def authorize(self) -> None:
        """Check that this client may do anything. Raises Refusal (not-authorized)."""
        if not self.allowed:
            raise Refusal("not-authorized", "this listener wants a login")

    def expire(self, link: Any) -> None:
        """The login has expired."""
        refusal = Refusal("not-authorized", "the login has expired")
        link.session.expires = None
        link.act([Fault(refusal)])
        link.close(refusal.reason, refusal)

    def connect(self, link: Any, event: Connect) -> None:
        """The client says who it is."""
        context = link.context
        if self._challenged is not None:
            link.answer(event, Refusal("bad-command", "another login goes on"))
        elif event.auth_method is not None:
            if context.login is None:
                link.answer(event, BadMethod())
                return
            event.challenge = partial(link.challenge, event)
            self._check(link, event)
        elif event.user is None and event.token is None:
            try:
                self.authorize()
            except Refusal as error:
                link.answer(event, error)
            else:
                self._succeed(link, event, link.session.user)
        elif context.login is None:
            link.answer(event, Refusal("not-authorized", "this hub knows no users"))
        else:
            self._check(link, event)

    def _check(self, link: Any, event: Connect) -> None:
        link.inbound.blocked += 1
        link.context.login(event, link.session, partial(link.checked, event))

    def checked(self, link: Any, event: Connect, result: str | Refusal) -> None:
        """The credentials of `event` were checked."""
        event.challenge = None
        if self._challenged is None:
            link.inbound.blocked -= 1
        self._challenged = None
        if not link.open:
            return
        if isinstance(result, Refusal):
            link.answer(event, result)
        else:
            self._succeed(link, event, result)
        link.go_on()

    def challenge(self, link: Any, event: Connect, data: bytes, then: Callable[[Any], None]) -> None:
        """Send a challenge; `then` is called once, with the bytes that the client answers, or with a Refusal."""
        unit = link.dialect.challenge(event, data) if link.active else b""
        if not unit:
            then(_no_answer())
            return
        self._challenged = then
        link.egress.write(unit)
        link.inbound.blocked -= 1
        link.go_on()

    def respond(self, link: Any, event: AuthResponse) -> None:
        """The client answers a challenge."""
        then = self._challenged
        if then is None:
            link.answer(event, Refusal("bad-command", "there was no challenge"))
            return
        self._challenged = None
        link.inbound.blocked += 1
        then(event.auth_data)

    def cancel(self, link: Any) -> None:
        """The link has gone: no answer to a challenge will come."""
        then = self._challenged
        if then is not None:
            self._challenged = None
            link.inbound.blocked += 1
            then(_no_answer())

    def _succeed(self, link: Any, event: Connect, user: str | None) -> None:
        session = link.session
        if event.reauthenticate:
            link.answer(event, user or "")
            link.reconsider()
            link.set_alarm()
            return
        was_allowed = self.allowed
        if event.receive_maximum is not None and not event.client:
            event.client = secrets.token_hex(8)
        session.client = event.client or ""
        session.user = user
        if event.receive_maximum is not None and link.client is None:
            try:
                link.client = link.hub.clients.connect(link, event, link.mount_point())
            except Refusal as error:
                link.answer(event, error)
                return
        if link.hub.turn.commits.open and event.receive_maximum is not None:
            link.egress.hold()
        link.answer(event, user or "")
        moved = link.access.mount(link)
        link.reconsider()
        link.access.announce(link)
        if moved or not was_allowed:
            link.access.subscribe_by_listener(link)
        if session.expires is not None:
            link.set_alarm()
        if link.client is not None and event.receive_maximum is not None:
            link.client.resume(link, event.receive_maximum)


def _no_answer() -> Refusal:
    """A new one each time: where it is raised adds to its traceback."""
    return Refusal("unavailable", "the client doesn't answer")
