"""Where a request comes from: this machine, or a page of some origin."""

from __future__ import annotations

from collections.abc import Container
from ipaddress import ip_address
from urllib.parse import urlsplit

from twisted.web.server import Request

from hubbub.transports.forwarded import plain_host

_FORWARDED = ("x-forwarded-for", "forwarded", "via", "x-real-ip")  # a proxy sends these for its client


def is_local(request: Request, names: Container[str]) -> bool:
    """Tell whether a request comes from this machine, and not through a proxy.

    names  of this machine
    """
    if any(request.getHeader(name) is not None for name in _FORWARDED):
        return False
    if getattr(request.channel.transport, "proxied", False):  # by a PROXY header; TLS passes the question on
        return False
    try:
        peer = ip_address(plain_host(str(getattr(request.channel.getPeer(), "host", ""))))
    except ValueError:
        return False
    return peer.is_loopback and is_for_us(request, names)


def is_for_us(request: Request, names: Container[str]) -> bool:
    """Tell whether a request is for an address, for localhost, or for one of the names of this machine.

    Any other name may be one that a web page has pointed here (DNS rebinding). HTTP/1.0 needs none.
    """
    try:
        host = urlsplit("//" + (request.getHeader("host") or "")).hostname
    except ValueError:
        return False
    return host is None or host == "localhost" or host in names or is_address(host)


def origin_refusal(origin: str | None, host: str, allowed: frozenset[str]) -> str | None:
    """Tell why a page of `origin` may not connect to `host`, or None where it may.

    No Origin isn't a browser. A page may connect to where it came from, if that is an address or a name that the
    operator knows: a name alone proves nothing, since its owner can point it here (DNS rebinding).
    """
    if origin is None or origin.lower() in allowed:
        return None
    try:
        page, here = urlsplit(origin), urlsplit("//" + host)
        default = 443 if page.scheme in ("https", "wss") else 80
        same = (page.hostname, page.port or default) == (here.hostname, here.port or default)
    except ValueError:
        return "The Origin or the Host header is malformed."
    if page.hostname is None:
        return "A page without an origin may not connect."
    if same and (page.hostname == "localhost" or page.hostname in allowed or is_address(page.hostname)):
        return None
    fix = page.hostname if same else origin
    return f"Pages of {origin} may not connect here; start hubbub with --origin {fix} to let them."


def is_address(host: str) -> bool:
    """Tell whether `host` is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
