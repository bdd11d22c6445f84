"""The credentials in a request: `Authorization`, else the cookie `hubbub`, else a ticket in the URL.

A page can't set headers of a WebSocket, so its first message may have them instead. Wrong credentials in a handshake
are refused there, with 401: otherwise a client would learn late that it isn't logged in.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable

from twisted.python.failure import Failure
from twisted.web.server import Request

from hubbub.errors import Refusal
from hubbub.events import Connect
from hubbub.http import BASIC
from hubbub.identity import Identity
from hubbub.transports.forwarded import Address, Trust
from hubbub.transports.http.origin import client_at, forwarded_of
from hubbub.transports.http.pages import plain, sentence
from hubbub.transports.stream import Authenticate

COOKIE = b"hubbub"
TICKET = b"ticket"
_STATUS = {"not-authorized": 401, "rate-limited": 429, "unavailable": 503}


def shown(request: Request) -> Connect | None:
    """Return the credentials of a request (RFC 7617, RFC 6750); None: there are none. Raises Refusal."""
    credentials = request.getHeader("authorization")
    if credentials is None:
        token = request.getCookie(COOKIE) or next(iter((request.args or {}).get(TICKET, ())), None)
        return Connect(token=token.decode("latin-1")) if token else None
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


class Authenticator:
    """Lets a request in once its identity is known.

    authenticate  returns the identity, or None: there are no logins; trust: proxies whose X-Forwarded-For is read
    """

    def __init__(self, authenticate: Authenticate | None, trust: Trust) -> None:
        self._authenticate = authenticate
        self._trust = trust

    @property
    def asks(self) -> bool:
        """Whether there are logins."""
        return self._authenticate is not None

    def client(self, request: Request) -> Address:
        """Return the address of a request's client."""
        return self.client_at(request.channel.getPeer(), forwarded_of(request))

    def client_at(self, peer: object, forwarded: str) -> Address:
        """Return the address of the client of `peer`, for which proxies have sent `forwarded`."""
        return client_at(peer, forwarded, self._trust)

    def ask(
        self, request: Request, then: Callable[[Identity | None], object], refuse: Callable[[Refusal], object]
    ) -> None:
        """Call `then` with the identity, or `refuse`, now or later; neither, if the client has gone by then."""
        if self._authenticate is None:
            then(None)
            return
        try:
            credentials = shown(request)
        except Refusal as refusal:
            refuse(refusal)
            return
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)

        def known(result: Identity | Failure | None) -> None:
            if gone:
                return
            if isinstance(result, Failure):
                refuse(result.value)  # type: ignore[arg-type]
            else:
                then(result)

        self._authenticate(credentials, request.channel.transport, self.client(request)[0]).addBoth(known)


def refused(request: Request, refusal: Refusal) -> bytes:
    """Answer with a no."""
    status = _STATUS.get(refusal.code, 403)
    if status == 401:
        request.setHeader("www-authenticate", BASIC)
    else:
        request.setHeader("retry-after", "60")
    return plain(request, status, sentence(refusal))
