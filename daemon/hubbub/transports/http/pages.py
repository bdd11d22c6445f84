"""The pages of a WebSocket listener: the console at `/`, and those with metrics for this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from hubbub.errors import Refusal
from hubbub.transports.http import assets
from hubbub.transports.http.origin import is_local, page_refusal

Pages = Callable[[str, str], Any]
"""Path and Accept header -> status, content type and body of a page of metrics, or a Deferred of them; None: there is
no such page."""


def no_pages(path: str, accept: str) -> None:
    """Have no page."""


@implementer(IResource)
class PageResource(Resource):
    """All pages of a listener; `pages` are for this machine alone."""

    isLeaf = True

    def __init__(self, origins: Iterable[str], pages: Pages) -> None:
        super().__init__()
        self._origins = frozenset(origins)
        self._pages = pages

    def render(self, request: Request) -> bytes | int:
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("allow", "GET, HEAD")
            return plain(request, 405, "Nothing can be sent to this path.")
        if request.path == b"/":
            refusal = page_refusal(request.getHeader("host") or "localhost", self._origins)
            return assets.front(request, "" if refusal is None else sentence(refusal))
        found: bytes | int | None = assets.part(request)
        if found is None and is_local(request, self._origins):
            found = page(request, self._pages)
        if found is None:
            return plain(request, 404, "There is no page here; WebSocket clients may use any path.")
        return found


def sentence(refusal: Refusal) -> str:
    """Write the reason as a sentence."""
    return f"{refusal.reason[:1].upper()}{refusal.reason[1:]}."


def plain(request: Request, code: int, text: str) -> bytes:
    """Answer with a sentence."""
    request.setResponseCode(code)
    request.setHeader("content-type", "text/plain; charset=utf-8")
    return text.encode() + b"\n"


def send(request: Request, body: bytes) -> None:
    """Send the body of an answer, and with it the rest."""
    request.setHeader("content-length", str(len(body)))
    request.write(body)
    request.finish()


def page(request: Request, pages: Pages) -> bytes | int | None:
    """Answer with one of `pages`, if it is one, now or later."""
    found = pages(request.path.decode("latin-1"), request.getHeader("accept") or "")
    if not isinstance(found, Deferred):
        return None if found is None else answered(request, found)
    gone = request.notifyFinish()
    gone.addErrback(lambda _: found.cancel())
    found.addCallback(lambda one: send(request, answered(request, one)))
    found.addErrback(lambda failure: failure.trap(CancelledError))
    return NOT_DONE_YET


def answered(request: Request, found: tuple[int, str, bytes]) -> bytes:
    """Return the body of a page, and set the rest of its answer."""
    status, kind, body = found
    request.setResponseCode(status)
    request.setHeader("content-type", kind)
    request.setHeader("cache-control", "no-store")
    request.setHeader("x-content-type-options", "nosniff")
    return body
