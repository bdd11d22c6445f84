"""The site of a WebSocket listener: the upgrade on any path (RFC 6455 section 4), and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from hubbub.errors import Refusal
from hubbub.identity import Identity
from hubbub.transports.http.credentials import HandshakeAuthenticator
from hubbub.transports.http.origin import client_of, origin_refusal
from hubbub.transports.http.pages import PageResource, Pages, no_pages, plain, sentence
from hubbub.transports.websocket import WebSocketFactory

Refused = Callable[[str, Refusal], object]
"""Is told of a page that was refused: the host of its browser, and why."""

_OLD = "A WebSocket needs HTTP/1.1 (RFC 6455 section 4.1); have your proxy speak it (nginx: proxy_http_version 1.1)."


def not_told(host: str, refusal: Refusal) -> None:
    """Do without being told."""


@implementer(IResource)
class UpgradeResource(Resource):
    """The one resource of a site: upgrades any path to WebSocket, and passes other requests on to `pages`."""

    isLeaf = True

    def __init__(
        self, factory: WebSocketFactory, origins: Iterable[str], pages: PageResource, refused: Refused
    ) -> None:
        super().__init__()
        self._pages = pages
        self._refused = refused
        self._factory = factory
        self._authenticator = (
            HandshakeAuthenticator(factory.authenticate, factory.trust, self._upgrade) if factory.authenticate else None
        )
        self._origins = frozenset(origins)

    def render(self, request: Request) -> bytes | int:
        if request.method != b"GET" or (request.getHeader("upgrade") or "").lower() != "websocket":
            return self._pages.render(request)
        if request.clientproto == b"HTTP/1.0":
            return plain(request, 400, _OLD)
        refusal = origin_refusal(request.getHeader("origin"), request.getHeader("host") or "", self._origins)
        if refusal is not None:
            host, _ = client_of(request, self._factory.trust)
            self._refused(host, refusal)
            return plain(request, 403, sentence(refusal))
        return self._upgrade(request, None) if self._authenticator is None else self._authenticator.ask(request)

    def _upgrade(self, request: Request, identity: Identity | None) -> bytes | int:
        channel: Any = request.channel  # a transports.http.channel.OneRequestChannel
        if channel.early:  # it would be lost
            return plain(request, 400, "A client sends nothing before our answer (RFC 6455 section 4.1).")
        answer: bytes | int = WebSocketResource(_IdentifiedFactory(self._factory, identity, channel.release)).render(
            request
        )
        if answer == NOT_DONE_YET:  # the channel and its request refer to each other, and aren't needed any more
            channel.requests.clear()
        return answer


class _IdentifiedFactory:
    """Makes the protocol of one request, whose client is known; `release` counts it no longer as a request."""

    def __init__(self, factory: WebSocketFactory, identity: Identity | None, release: Callable[[], object]) -> None:
        self._factory = factory
        self._identity = identity
        self._release = release

    def buildProtocol(self, address: Any) -> Any:
        """As the factory does it."""
        made: Any = self._factory.buildProtocol(address)
        made.identity, made.release = self._identity, self._release
        return made


def make_resource(
    factory: WebSocketFactory, origins: Iterable[str], pages: Pages = no_pages, refused: Refused = not_told
) -> UpgradeResource:
    """Make the resource of one listener.

    origins  names of this hub, and origins whose pages may connect
    pages    are for this machine alone
    """
    return UpgradeResource(factory, origins, PageResource(origins, pages), refused)
