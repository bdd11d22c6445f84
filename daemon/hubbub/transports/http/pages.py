"""Answers with a page or a sentence."""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.server import Request

Pages = Callable[[str, str], tuple[int, str, bytes] | None]
"""Path and Accept header -> status, content type and body of a page of figures; None: there is no such page."""


def no_pages(path: str, accept: str) -> None:
    """Have no page."""


def plain(request: Request, code: int, text: str) -> bytes:
    """Answer with a sentence."""
    request.setResponseCode(code)
    request.setHeader("content-type", "text/plain; charset=utf-8")
    return text.encode() + b"\n"


def page(request: Request, pages: Pages) -> bytes | None:
    """Answer with one of `pages`, if it is one."""
    found = pages(request.path.decode("latin-1"), request.getHeader("accept") or "")
    if found is None:
        return None
    status, kind, body = found
    request.setResponseCode(status)
    request.setHeader("content-type", kind)
    request.setHeader("cache-control", "no-store")
    request.setHeader("x-content-type-options", "nosniff")
    return body
