"""The resource of a WebSocket listener: the upgrade on any path (RFC 6455 section 4), requests for the hub, pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.identity import Identity
from hubbub.transports.http import assets
from hubbub.transports.http.api import Api, Refused
from hubbub.transports.http.channel import HttpChannel, HttpSite, Later, at_once
from hubbub.transports.http.credentials import Authenticator, refused
from hubbub.transports.http.issued import Passes
from hubbub.transports.http.origin import forwarded_of, origin_refusal
from hubbub.transports.http.pages import PageResource, Pages, no_pages, plain, send, sentence
from hubbub.transports.http.upgrade import KnownHandshakes, handshake, upgrade
from hubbub.transports.stream import Acquire
from hubbub.transports.websocket import WebSocketFactory

_OLD = "A WebSocket needs HTTP/1.1 (RFC 6455 section 4.1); have your proxy speak it (nginx: proxy_http_version 1.1)."


def not_told(host: str, refusal: Refusal) -> None:
    """Do without being told."""


@implementer(IResource)
class UpgradeResource(Resource):
    """The one resource of a site: upgrades any path to WebSocket, and passes other requests on to `api` or `pages`."""

    isLeaf = True

    def __init__(
        self,
        factory: WebSocketFactory,
        authenticator: Authenticator,
        origins: frozenset[str],
        api: Api,
        pages: PageResource,
        refused: Refused,
    ) -> None:
        super().__init__()
        self.api = api
        self._pages = pages
        self._refused = refused
        self._factory = factory
        self._authenticator = authenticator
        self._origins = origins
        self._known = KnownHandshakes()

    def bound(self, path: bytes) -> int | None:
        """Return how many bytes the body of a request may have, see transports.http.channel.Bound."""
        return 0 if assets.has(path) else self.api.bound(path)

    def render(self, request: Request) -> bytes | int:
        if request.method != b"GET" or (request.getHeader("upgrade") or "").lower() != "websocket":
            there = self.api.bound(request.path) is not None
            return self.api.serve(request) if there else self._pages.render(request)  # type: ignore[arg-type]
        if request.clientproto == b"HTTP/1.0":
            return plain(request, 400, _OLD)
        refusal = origin_refusal(request.getHeader("origin"), request.getHeader("host") or "", self._origins)
        if refusal is not None:
            self._refused(self._authenticator.client(request)[0], refusal)
            return plain(request, 403, sentence(refusal))
        if not self._authenticator.asks:
            return self._upgrade(request, None)

        def known(identity: Identity | None) -> None:
            body = self._upgrade(request, identity)
            if isinstance(body, bytes):
                send(request, body)

        self._authenticator.ask(request, known, lambda refusal: send(request, refused(request, refusal)))
        return NOT_DONE_YET

    def _upgrade(self, request: Request, identity: Identity | None) -> bytes | int:
        channel: Any = request.channel  # a transports.http.channel.HttpChannel
        if channel.early:  # it would be lost
            return plain(request, 400, "A client sends nothing before our answer (RFC 6455 section 4.1).")
        channel.drop_link()
        head, client = handshake(request), self._authenticator.client(request)
        if upgrade(channel, head, self._factory, identity, client) and not self._authenticator.asks:
            self._known.learn(channel.piece, head, forwarded_of(request))
        channel.requests.clear()  # they refer to each other, and aren't needed any more
        return NOT_DONE_YET

    def again(self, channel: HttpChannel, piece: bytes) -> bool:
        """Upgrade a connection by its first piece, if such a request has been upgraded before; tell whether it was."""
        known = self._known.read(piece)
        if known is None:
            return False
        head, forwarded = known
        channel.setTimeout(None)
        upgrade(channel, head, self._factory, None, self._authenticator.client_at(channel.getPeer(), forwarded))
        return True


def make_resource(
    factory: WebSocketFactory,
    http: type[Dialect],
    max_body: int,
    origins: Iterable[str] = (),
    pages: Pages = no_pages,
    refused: Refused = not_told,
    passes: Passes | None = None,
) -> UpgradeResource:
    """Make the resource of one listener.

    http      the dialect of requests; max_body: bytes of the longest body
    origins   names of this hub, and origins whose pages may connect
    pages     are for this machine alone
    passes    sessions and tickets, or None: there are no logins
    """
    allowed, authenticator = frozenset(origins), Authenticator(factory.authenticate, factory.trust)
    api = Api(factory.make_link, http, max_body, authenticator, passes, allowed, refused)
    return UpgradeResource(factory, authenticator, allowed, api, PageResource(allowed, pages), refused)


def make_site(
    resource: UpgradeResource,
    reactor: Any,
    seconds: float = limits.HANDSHAKE_SECONDS,
    acquire: Acquire | None = None,
    slow: Callable[[], object] = lambda: None,
    later: Later = at_once,
) -> Site:
    """Make the site of one listener, whose resource a reload may replace; `seconds` of a handshake, see HttpSite."""
    site = HttpSite(resource, reactor, seconds, acquire, slow)
    site.later = later
    site.bound = lambda path: site.resource.bound(path)
    site.again = lambda channel, piece: site.resource.again(channel, piece)
    return site
