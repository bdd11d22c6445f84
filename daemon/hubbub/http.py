"""HTTP requests and responses as the units of a link: a transport carries them, a dialect says what they mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from hubbub.errors import KeyReused, NotKept, Refusal

Headers = Sequence[tuple[str, str]]

TOPICS, REQUESTS = b"/topics/", b"/requests/"  # a topic follows
OPENAPI = b"/api/openapi.json"
API = b"/api/v1/"  # the name of what is to be managed follows
EVENTS, MESSAGES = b"/events", b"/messages"

JSON = "application/json"
PROBLEM = "application/problem+json"
_STATUS = {
    "too-long": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "not-authorized": HTTPStatus.FORBIDDEN,
    "rate-limited": HTTPStatus.TOO_MANY_REQUESTS,
    "quota": HTTPStatus.TOO_MANY_REQUESTS,
    "timeout": HTTPStatus.GATEWAY_TIMEOUT,
    "no-responders": HTTPStatus.NOT_FOUND,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}
_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE)
_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}  # RFC 9110; Python has these names from 3.13 on
BASIC = 'Basic realm="hubbub", charset="UTF-8"'  # RFC 7617
_BEARER = 'Bearer realm="hubbub"'  # RFC 6750: a browser doesn't interrupt a page's script with a dialog


def phrase(status: int) -> str:
    """Return the reason phrase of a status (RFC 9110 section 15)."""
    return _PHRASES.get(status) or HTTPStatus(status).phrase


class HttpResponse(bytes):
    """One response; the bytes are its body, or the beginning of a stream.

    status  the status code
    headers pairs of name and value, all but those that the transport adds: Date, Content-Length, Transfer-Encoding
    stream  whether units follow until the link ends
    silent  whether the body isn't sent: the answer to HEAD
    """

    status: int
    headers: Headers
    stream: bool
    silent: bool

    def __bool__(self) -> bool:
        """It is something to send, even without a body."""
        return True


class HttpRequest(bytes):
    """One request; the bytes are its body.

    method   such as "GET"
    path     as it was sent, with its %XX; query: the decoded values of each name
    headers  values by name in lower case
    repeat   headers that every response to it has
    stream   set by the dialect: the response goes on until the link ends
    plan     set by the dialect: what its head says of the message that it publishes; None: nothing, or not read yet
    """

    method: str
    path: bytes
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    repeat: Headers
    stream: bool
    plan: tuple[Any, ...] | None

    @classmethod
    def made(
        cls,
        method: str,
        path: bytes,
        query: Mapping[str, Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        repeat: Headers = (),
    ) -> HttpRequest:
        """Make a request."""
        made = cls(body)
        made.method, made.path, made.query, made.headers = method, path, query or {}, headers or {}
        made.repeat, made.stream, made.plan = repeat, False, None
        return made

    def respond(
        self, status: int, body: bytes = b"", content_type: str | None = None, headers: Headers = ()
    ) -> HttpResponse:
        """Make a response to this request."""
        made = HttpResponse(body)
        kind = (("Content-Type", content_type),) if content_type else ()
        made.status, made.headers = status, (*kind, *headers, *self.repeat)
        made.stream, made.silent = self.stream, self.method == "HEAD"
        return made

    def refuse(self, refusal: Refusal, user: str | None = None) -> HttpResponse:
        """Make the response for a refusal to `user`; None: a login may help."""
        status = _STATUS.get(refusal.code, HTTPStatus.BAD_REQUEST)
        if isinstance(refusal, NotKept):
            status = HTTPStatus.INSUFFICIENT_STORAGE
        elif isinstance(refusal, KeyReused):
            status = HTTPStatus.UNPROCESSABLE_ENTITY  # draft-ietf-httpapi-idempotency-key-header, section 2.7
        if refusal.code == "not-authorized" and user is None:
            challenge = _BEARER if self.headers.get("sec-fetch-dest") == "empty" else BASIC
            return self.problem(401, refusal.reason, refusal.code, (("WWW-Authenticate", challenge),))
        return self.problem(status, refusal.reason, refusal.code, (("Retry-After", "60"),) if status in _LATER else ())

    def problem(self, status: int, detail: str, code: str | None = None, headers: Headers = ()) -> HttpResponse:
        """Make a response with problem details (RFC 9457); `code` is one of errors.CODES."""
        fields: dict[str, object] = {"title": phrase(status), "status": int(status), "detail": detail}
        if code is not None:
            fields["code"] = code
        return self.respond(status, json.dumps(fields).encode() + b"\n", PROBLEM, headers)
