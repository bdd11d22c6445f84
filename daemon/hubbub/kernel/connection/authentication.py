"""The login of a link: its credentials, and challenges of enhanced authentication (MQTT 5.0 section 4.12)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from hubbub.errors import BadMethod, Refusal
from hubbub.events import AuthResponse, Connect
from hubbub.kernel.connection.faults import guarded

_NO_LOGINS = "this hub has no logins: send no user name, or have it started with --auth none"


def expire(link: Any) -> None:
    """The login has expired."""
    refusal = Refusal("not-authorized", "the login has expired")
    link.session.expires = None
    link.revoke(refusal.reason, refusal)


def connect(link: Any, event: Connect) -> None:
    """Act on a Connect."""
    context = link.context
    if link.access.challenged is not None:
        link.answer(event, Refusal("bad-command", "another login is in progress"))
    elif event.auth_method is not None:
        if context.login is None:
            link.answer(event, BadMethod())
            return
        event.challenge = partial(guarded, link, challenge, event)
        _check(link, event)
    elif context.ignore_logins or all(one is None for one in (event.user, event.token, event.public_key)):
        try:
            link.access.authorize()
        except Refusal as error:
            link.answer(event, error)
        else:
            _succeed(link, event, link.session.user)
    elif context.login is None:
        if context.notice is not None:
            context.notice("a client sent a user name, and there are no logins: --auth none ignores it")
        link.answer(event, Refusal("not-authorized", _NO_LOGINS))
    else:
        _check(link, event)


def _check(link: Any, event: Connect) -> None:
    link.inbound.blocked += 1
    link.context.login(event, link.session, partial(guarded, link, checked, event))


def checked(link: Any, event: Connect, result: str | Refusal) -> None:
    """The credentials of `event` were checked."""
    event.challenge = None
    if link.access.challenged is None:
        link.inbound.blocked -= 1
    link.access.challenged = None
    if not link.active:
        return
    if isinstance(result, Refusal):
        link.answer(event, result)
    else:
        _succeed(link, event, result)
    link.go_on()


def challenge(link: Any, event: Connect, data: bytes, then: Callable[[Any], None]) -> None:
    """Send a challenge; `then` is called once, with the bytes that the client answers, or with a Refusal."""
    unit = link.dialect.challenge(event, data) if link.active else b""
    if not unit:
        then(_no_answer())
        return
    link.access.challenged = then
    link.egress.write(unit)
    link.inbound.blocked -= 1
    link.go_on()


def respond(link: Any, event: AuthResponse) -> None:
    """The client answers a challenge."""
    then = link.access.challenged
    if then is None:
        link.answer(event, Refusal("bad-command", "there was no challenge"))
        return
    link.access.challenged = None
    link.inbound.blocked += 1
    then(event.auth_data)


def cancel(link: Any) -> None:
    """The link has gone: no answer to a challenge will come."""
    then = link.access.challenged
    if then is not None:
        link.access.challenged = None
        link.inbound.blocked += 1
        then(_no_answer())


def _succeed(link: Any, event: Connect, user: str | None) -> None:
    session = link.session
    if event.reauthenticate:
        link.answer(event, user or "")
        link.reconsider()
        link.set_alarm()
        return
    was_allowed = link.access.allowed
    unique = not event.client
    if event.receive_maximum is not None and unique:
        event.client = secrets.token_hex(8)
    session.client = event.client or ""
    session.user = user
    if event.receive_maximum is None or link.client is not None:
        _welcome(link, event, user, was_allowed)
    elif unique or link.hub.clients.owners is None:
        _open(link, event, user, was_allowed, None)
    else:
        link.inbound.blocked += 1
        then = partial(guarded, link, _claimed, event, user, was_allowed)
        link.hub.clients.claim(link, event, link.access.mount_point(link), then)


def _claimed(link: Any, event: Connect, user: str | None, was_allowed: bool, refusal: Refusal | None) -> None:
    """This node has the client's session, or it is refused."""
    link.inbound.blocked -= 1
    if link.active:
        _open(link, event, user, was_allowed, refusal)
        link.go_on()


def _open(link: Any, event: Connect, user: str | None, was_allowed: bool, refusal: Refusal | None) -> None:
    try:
        if refusal is not None:
            raise refusal
        link.client = link.hub.clients.connect(link, event, link.access.mount_point(link))
    except Refusal as error:
        link.answer(event, error)
    else:
        _welcome(link, event, user, was_allowed)


def _welcome(link: Any, event: Connect, user: str | None, was_allowed: bool) -> None:
    link.answer(event, user or "")
    session = link.session
    moved = link.access.mount(link)
    link.reconsider()
    link.access.announce(link)
    if moved or not was_allowed:
        link.access.subscribe_by_listener(link)
    if session.expires is not None:
        link.set_alarm()
    if link.client is not None and event.receive_maximum is not None:
        link.client.go_online(link, event.receive_maximum)


def _no_answer() -> Refusal:
    """A new one each time: where it is raised adds to its traceback."""
    return Refusal("unavailable", "the client doesn't answer")
