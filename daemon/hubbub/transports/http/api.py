"""Requests that are for the hub: each goes to the link of its connection and user, as an HttpRequest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

from twisted.web.server import NOT_DONE_YET

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.http import API, EVENTS, JSON, MESSAGES, OPENAPI, REQUESTS, TOPICS, Headers, HttpRequest, HttpResponse
from hubbub.identity import Identity
from hubbub.transports.http.channel import BoundedRequest
from hubbub.transports.http.credentials import COOKIE, TICKET, Authenticator
from hubbub.transports.http.issued import Passes
from hubbub.transports.http.origin import is_for_us, origin_refusal
from hubbub.transports.http.wire import HttpWire, encode, finish
from hubbub.transports.websocket import MakeLinkFor

_SESSION, _TICKETS = b"/session", b"/tickets"
_UNKNOWN = "this hub isn't known by the name that Host has: log in, or start hubbub with --origin NAME"
_STREAMS = (EVENTS, MESSAGES)
_NAMES = ("content-type", "idempotency-key", "if-none-match", "last-event-id", "sec-fetch-dest")
"""The headers that a request may need."""
_NO_WILDCARD = re.compile(r"(?<!^)(?<!/)(?<!%2F)(?<!%2f)\+|\+(?!$|/|%2F|%2f)")  # a + that is no whole level
_METHODS = "GET, HEAD, POST, PUT, DELETE"


Refused = Callable[[str, Refusal], object]
"""Is told of a page that was refused: the host of its browser, and why."""


class Api:
    """What a listener does for HTTP.

    make_link   wire, dialect, host, port -> link; dialect: what requests mean
    max_body    bytes of the longest body
    authenticator  tells whose a request is; passes: sessions and tickets, or None: there are no logins
    origins     names of this hub, and origins of other pages that may use it; refused: is told of a page that may not
    """

    def __init__(
        self,
        make_link: MakeLinkFor,
        dialect: type[Dialect],
        max_body: int,
        authenticator: Authenticator,
        passes: Passes | None,
        origins: frozenset[str],
        refused: Refused,
    ) -> None:
        self._make_link = make_link
        self._dialect = dialect
        self._max_body = max_body
        self._authenticator = authenticator
        self._passes = passes
        self._origins = origins
        self._refused = refused

    def bound(self, path: bytes) -> int | None:
        """Return how many bytes the body of a request may have; None: nothing at this path is for the hub."""
        if path.startswith((TOPICS, REQUESTS, API)):
            return self._max_body
        return 0 if path in (*_STREAMS, _SESSION, _TICKETS, OPENAPI) else None

    def serve(self, request: BoundedRequest) -> int:
        """Answer a request, now or later."""
        origin, host = request.getHeader("origin"), request.getHeader("host") or ""
        unit = _unit(request, _allows(origin))
        refusal = origin_refusal(origin, host, self._origins)
        if refusal is not None:
            self._refused(self._authenticator.client(request)[0], refusal)
            unit.repeat = _connection(request)  # no page of that origin reads it
            _answer(request, unit.problem(403, refusal.reason, refusal.code))
        elif request.method == b"OPTIONS":
            _answer(request, unit.respond(204, headers=_PREFLIGHT if origin is not None else ()))
        else:
            wire = request.channel.wire
            if wire is not None and wire.key == self._key(request) and request.path not in (_SESSION, _TICKETS):
                request.channel.learn(unit)
                wire.ask(request, unit)
                return NOT_DONE_YET
            self._authenticator.ask(
                request,
                lambda identity: self._known(request, unit, identity),
                lambda refusal: _answer(request, unit.refuse(refusal)),
            )
        return NOT_DONE_YET

    def _key(self, request: BoundedRequest) -> Any:
        """Return what tells whose a request is without asking; None: a session or a ticket does, and may have ended."""
        if request.getCookie(COOKIE) is not None or TICKET in (request.args or {}):
            return None
        return request.getHeader("authorization") or "", request.getHeader("host"), self._authenticator.client(request)

    def _known(self, request: BoundedRequest, unit: HttpRequest, identity: Identity | None) -> None:
        """It is known whose request that is."""
        if identity is None and not is_for_us(request, self._origins):
            _answer(request, unit.problem(403, _UNKNOWN))
        elif request.path in (_SESSION, _TICKETS):
            _answer(request, self._issue(request, unit, identity))
        else:
            key = self._key(request) or (identity, self._authenticator.client(request))
            wire = request.channel.wire
            if wire is None or wire.key != key:
                wire = self._open(request, identity, key)
            self._ask(request, unit, wire)

    def _open(self, request: BoundedRequest, identity: Identity | None, key: Any) -> HttpWire:
        """Make the link of this client, in the place of another one that has had the connection."""
        channel = request.channel
        channel.drop_link()
        channel.release()
        host, port = self._authenticator.client(request)
        channel.wire = wire = HttpWire(channel, key)
        wire.expect(request)
        channel.transport.unregisterProducer()
        wire.open_stream(lambda wire, *peer: self._make_link(wire, self._dialect, host, port), identity)
        return wire

    def _ask(self, request: BoundedRequest, unit: HttpRequest, wire: HttpWire) -> None:
        if wire.link is not None:
            wire.ask(request, unit)
        elif request.path in _STREAMS:
            request.channel.loseConnection()  # an EventSource that gets 503 ends for good, and this one tries again
        else:
            request.channel.wire = None
            _answer(request, unit.refuse(Refusal("unavailable", "there is no room for one more client")))

    def _issue(self, request: BoundedRequest, unit: HttpRequest, identity: Identity | None) -> HttpResponse:
        """Answer `POST /session`, `DELETE /session` and `POST /tickets`."""
        allow = ("POST", "DELETE") if request.path == _SESSION else ("POST",)
        if unit.method not in allow:
            names = ", ".join(allow)
            return unit.problem(405, f"the methods of this path are {names}", headers=(("Allow", names),))
        passes = self._passes
        if passes is None:
            return unit.problem(404, "this hub has no logins, so no client needs a session or a ticket")
        session = request.getCookie(COOKIE)
        if unit.method == "DELETE":
            passes.sessions.drop((session or b"").decode("latin-1"))
            return unit.respond(204, headers=(_cookie(request, "", 0),))
        if identity is None:
            return unit.refuse(Refusal("not-authorized", "log in by the header Authorization"))
        if request.path == _TICKETS:
            fields = {"ticket": passes.tickets.issue(identity), "seconds": passes.tickets.seconds}
            body = json.dumps(fields).encode() + b"\n"
            return unit.respond(201, body, JSON, (("Cache-Control", "no-store"),))
        seconds = int(passes.sessions.seconds)
        return unit.respond(204, headers=(_cookie(request, passes.sessions.issue(identity), seconds),))


_PREFLIGHT = (
    ("Access-Control-Allow-Methods", _METHODS),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID"),
    ("Access-Control-Max-Age", str(limits.PREFLIGHT_SECONDS)),
)


def _allows(origin: str | None) -> Headers:
    """Return the headers that let a page of `origin` read a response (CORS)."""
    if origin is None:
        return ()
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "ETag, Last-Modified, Retry-After"),
        ("Vary", "Origin"),
    )


def _connection(request: BoundedRequest) -> Headers:
    return () if request.channel.persistent else (("Connection", "close"),)


def _cookie(request: BoundedRequest, value: str, seconds: int) -> tuple[str, str]:
    secure = "; Secure" if request.isSecure() else ""
    name = COOKIE.decode()
    return "Set-Cookie", f"{name}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}"


def _unit(request: BoundedRequest, repeat: Headers) -> HttpRequest:
    headers = {name: value for name in _NAMES if (value := request.getHeader(name)) is not None}
    method, path = request.method.decode("latin-1"), request.path
    return HttpRequest.made(
        method, path, _query(request.uri), headers, request.content.getvalue(), (*repeat, *_connection(request))
    )


def _query(uri: bytes) -> dict[str, Sequence[str]]:
    """Read the query of a URL."""
    found: dict[str, Sequence[str]] = {}
    for field in uri.partition(b"?")[2].split(b"&", limits.QUERY_FIELDS)[: limits.QUERY_FIELDS]:
        raw, _, value = field.decode("latin-1").partition("=")
        name = unquote(raw)
        found[name] = (*found.get(name, ()), unquote(_spaces(name, value), errors="surrogateescape"))
    return found


def _spaces(name: str, value: str) -> str:
    """Read a + as the space that URLSearchParams and forms mean by it, but a level of a filter as the wildcard."""
    return _NO_WILDCARD.sub(" ", value) if name == "filter" else value.replace("+", " ")


def _answer(request: BoundedRequest, response: HttpResponse) -> None:
    """Answer a request without a link."""
    request.channel.transport.write(encode(response))
    finish(request)
