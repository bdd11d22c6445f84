"""The credentials in a WebSocket handshake: `Authorization`, else the cookie `hubbub`, a token.

A page can't set headers, so its first message may have them instead. Wrong credentials in the handshake are refused
there, with 401: otherwise a client would learn late that it isn't logged in.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable

from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from hubbub.errors import Refusal
from hubbub.events import Connect
from hubbub.identity import Identity
from hubbub.transports.forwarded import Trust
from hubbub.transports.http.origin import client_of
from hubbub.transports.http.pages import plain, sentence
from hubbub.transports.stream import Authenticate

COOKIE = b"hubbub"
_STATUS = {"not-authorized": 401, "rate-limited": 429, "unavailable": 503}


def shown(request: Request) -> Connect | None:
    """Return the credentials of a handshake (RFC 7617, RFC 6750); None: there are none. Raises Refusal."""
    credentials = request.getHeader("authorization")
    if credentials is None:
        cookie = request.getCookie(COOKIE)
        return Connect(token=cookie.decode("latin-1")) if cookie else None
    scheme, _, rest = credentials.partition(" ")
    if scheme.lower() == "bearer" and rest:
        return Connect(token=rest.strip())
    if scheme.lower() != "basic":
        raise _malformed()
    try:
        user, colon, password = b64decode(rest.strip(), validate=True).decode().partition(":")
    except (BadBase64, ValueError):
        raise _malformed() from None
    if not colon:
        raise _malformed()
    return Connect(user=user, password=password)


def _malformed() -> Refusal:
    """Make it anew each time: what is raised keeps the frames that it has come through, and with them the request."""
    return Refusal("not-authorized", "Authorization is Basic with user and password, or Bearer with a token")


class HandshakeAuthenticator:
    """Authenticates a request before its upgrade.

    authenticate  returns the identity; trust: proxies whose X-Forwarded-For is read
    upgrade       request, identity or None -> makes a WebSocket of it, or answers with the reason
    """

    def __init__(
        self, authenticate: Authenticate, trust: Trust, upgrade: Callable[[Request, Identity | None], bytes | int]
    ) -> None:
        self._authenticate = authenticate
        self._trust = trust
        self._upgrade = upgrade

    def ask(self, request: Request) -> bytes | int:
        """Look at what the handshake says, and answer it, now or later."""
        try:
            credentials = shown(request)
        except Refusal as refusal:
            return refused(request, refusal)
        host, _ = client_of(request, self._trust)
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)

        def answer(result: Identity | Failure | None) -> None:
            if gone:
                return
            if isinstance(result, Failure):
                body: bytes | int = refused(request, result.value)  # type: ignore[arg-type]
            else:
                body = self._upgrade(request, result)
            if isinstance(body, bytes):
                request.setHeader("content-length", str(len(body)))
                request.write(body)
                request.finish()

        self._authenticate(credentials, request.channel.transport, host).addBoth(answer)
        return NOT_DONE_YET


def refused(request: Request, refusal: Refusal) -> bytes:
    """Answer with a no."""
    status = _STATUS.get(refusal.code, 403)
    if status == 401:
        request.setHeader("www-authenticate", 'Basic realm="hubbub", charset="UTF-8"')
    else:
        request.setHeader("retry-after", "60")
    return plain(request, status, sentence(refusal))
