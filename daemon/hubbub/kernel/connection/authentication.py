"""Who is at the other end of a link: its login, what it may do then, and whether it is there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from hubbub.errors import BadMethod, Refusal
from hubbub.events import AuthResponse, Connect, Fault
from hubbub.identity import Identity
from hubbub.kernel.authorization.revoke import revoke
from hubbub.kernel.connection.shutdown import own_fault
from hubbub.kernel.connection.subscriptions import Outgoing
from hubbub.kernel.ingress.policy import IngressPolicy
from hubbub.kernel.sessions.presence import PresenceState
from hubbub.topics import unshared


class Entrance(Outgoing):
    """What one link's client is known as. Base of Link."""

    __slots__ = ("_intake", "_sign", "_then")

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self._intake: IngressPolicy | None = None
        self._sign: PresenceState | None = None
        self._then: Callable[[Any], None] | None = None  # who waits for what the client was asked

    def _answer(self, event: Any, result: Any) -> None:
        """Let the dialect word the outcome of an event, and send that."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """Act on what was held back, and read on."""
        raise NotImplementedError

    def _mount_point(self) -> str:
        prefix = self.context.prefix
        return "" if prefix is None else prefix.fill(self.session.fields()) + "/"

    def admit(self, identity: Identity) -> None:
        """Take up who the client is, where its transport knows that: before `start`."""
        self.session.admit(identity)
        self._mount = self._mount_point()
        self.identify()

    def identify(self) -> None:
        """Look at what this client may do, now that it is known who it is."""
        context, session = self.context, self.session
        self._allowed = context.anonymous or session.user is not None
        session.rights = context.rights(session) if context.rights is not None else None
        changes = (
            self._mount or context.retain or context.content_type or context.answer or context.rate or context.changed
        )
        if changes or session.rights is not None or not self._allowed:
            if self._intake is None:
                self._intake = IngressPolicy(self.hub, context, session, self.half_duplex)
            self._intake.allowed, self._intake.mount = self._allowed, self._mount
        else:
            self._intake = None

    @own_fault
    def reconsider(self) -> None:
        """Who this client is, or what it may do, has changed: what it may no longer have ends at once."""
        old = self.session.rights
        self.identify()
        revoke(self, old)

    def _expire(self) -> None:
        refusal = Refusal("not-authorized", "the login has expired")
        self.session.expires = None
        self.act([Fault(refusal)])
        self.close(refusal.reason, refusal)

    def seen(self, filter: str) -> str:
        """A filter as the client sees it."""
        shared = unshared(filter)
        return filter[: -len(shared)] + shared.removeprefix(self._mount)

    def _announce(self) -> None:
        """Tell that this client is there, once it is known who it is."""
        if self.context.presence is not None and self._allowed:
            self._sign = self.context.presence.up(self, self._sign)

    def _authorize(self) -> None:
        if not self._allowed:
            raise Refusal("not-authorized", "this listener wants a login")

    def _on_open(self, event: Connect) -> None:
        if self._then is not None:
            self._answer(event, Refusal("bad-command", "another login goes on"))
        elif event.auth_method is not None:
            self._step_by_step(event)
        elif event.user is None and event.token is None:
            try:
                self._authorize()
            except Refusal as refusal:
                self._answer(event, refusal)
            else:
                self._logged_in(event, self.session.user)
        elif self.context.login is None:
            self._answer(event, Refusal("not-authorized", "this hub knows no users"))
        else:
            self._busy += 1
            self.context.login(event, self.session, partial(self._checked, event))

    @own_fault
    def _checked(self, event: Connect, result: str | Refusal) -> None:
        """The credentials of `event` were looked at."""
        event.challenge = None
        if self._then is None:
            self._busy -= 1
        self._then = None  # the client was asked in vain
        if self.open:
            if isinstance(result, Refusal):
                self._answer(event, result)
            else:
                self._logged_in(event, result)
            self._go_on()

    # A login that asks the client more than once

    def _step_by_step(self, event: Connect) -> None:
        if self.context.login is None:
            self._answer(event, BadMethod())
            return
        self._busy += 1
        event.challenge = partial(self._ask, event)
        self.context.login(event, self.session, partial(self._checked, event))

    @own_fault
    def _ask(self, event: Connect, data: bytes, then: Callable[[Any], None]) -> None:
        """Ask the client; `then` is called once, with the bytes that it answers, or with a Refusal."""
        asked = self.dialect.challenge(event, data) if self.open and not self._finishing else b""
        if not asked:
            then(_gone())
            return
        self._then = then
        self._write(asked)
        self._busy -= 1
        self._go_on()

    def _on_step(self, event: AuthResponse) -> None:
        then = self._then
        if then is None:
            self._answer(event, Refusal("bad-command", "nobody has asked for that"))
            return
        self._then = None
        self._busy += 1
        then(event.auth_data)

    def _not_any_more(self) -> None:
        """Tell who has asked the client that it won't answer."""
        then = self._then
        if then is not None:
            self._then = None
            self._busy += 1
            then(_gone())

    def _logged_in(self, event: Connect, user: str | None) -> None:
        if event.reauthenticate:
            self._answer(event, user or "")
            self.reconsider()
            self.set_alarm()
            return
        anew = not self._allowed
        if event.receive_maximum is not None and not event.client:
            event.client = secrets.token_hex(8)
        self.session.client = event.client or ""
        self.session.user = user
        if event.receive_maximum is not None:
            try:
                self.hub.clients.meet(self, event, self._mount_point())
            except Refusal as refusal:
                self._answer(event, refusal)
                return
        self._answer(event, user or "")
        mount = self._mount_point()
        if mount != self._mount:  # what was subscribed to stood under the name of somebody else
            for filter in list(self.session.subscriptions or ()):
                self.unsubscribe(filter)
            self._mount = mount
            anew = True
        self.reconsider()
        self._announce()
        if anew:
            self._subscribe_as_told()
        if self.session.expires is not None:
            self.set_alarm()
        if self.client is not None and event.receive_maximum is not None:
            self.client.go_on(self, event.receive_maximum)


def _gone() -> Refusal:
    """A new one each time: whoever awaits it raises it, and that adds to its traceback."""
    return Refusal("unavailable", "the client doesn't answer")
