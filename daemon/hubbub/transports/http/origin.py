"""Where a request comes from: this machine, or a page of some origin."""

from __future__ import annotations

from collections.abc import Container
from ipaddress import ip_address
from urllib.parse import urlsplit

from twisted.web.server import Request

from hubbub.errors import Refusal
from hubbub.option import shown
from hubbub.transports.forwarded import UNIX, Address, Trust, plain_host

_FORWARDED = ("x-forwarded-for", "forwarded", "via", "x-real-ip")  # a proxy sends these for its client
_PORTS = {"http": 80, "https": 443}
_ELSEWHERE = "pages of {origin} may not connect here; start hubbub with --origin {fix} to let them"
_NULL = (
    "pages without an origin (a file in some browsers, a data: URL, a sandboxed frame) may not connect here; "
    "--origin null lets them, and with them every page, as any page can open such a frame"
)


def forwarded_of(request: Request) -> str:
    """Return X-Forwarded-For, the lines of all proxies in one."""
    return ",".join(request.requestHeaders.getRawHeaders("x-forwarded-for", []))


def client_at(peer: object, forwarded: str, trust: Trust) -> Address:
    """Return the address of the client of `peer`, a Twisted address, behind the proxies that are believed."""
    host = plain_host(str(getattr(peer, "host", "") or UNIX))
    return trust.client((host, getattr(peer, "port", 0)), forwarded)


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


def origin_refusal(origin: str | None, host: str, allowed: frozenset[str]) -> Refusal | None:
    """Return why a page of `origin` may not connect to `host`, or None where it may.

    No Origin isn't a browser. A page may connect to where it came from, if that is an address or a name that the
    operator knows: a name alone proves nothing, since its owner can point it here (DNS rebinding).
    """
    if origin is None or origin.lower() in allowed:
        return None
    try:
        page, here = urlsplit(origin), urlsplit("//" + host)
        default = _PORTS.get(page.scheme)
        same = default is not None and (page.hostname, page.port or default) == (here.hostname, here.port or default)
    except ValueError:
        return _refusal("the Origin or the Host header is malformed")
    if not origin:
        return _refusal("the Origin header is empty")
    if same and (page.hostname == "localhost" or page.hostname in allowed or is_address(page.hostname or "")):
        return None
    if origin == "null":
        return _refusal(_NULL)
    return _refusal(_ELSEWHERE.format(origin=shown(origin), fix=shown(page.hostname if same else origin)))


def page_refusal(host: str, allowed: frozenset[str]) -> Refusal | None:
    """Return why the page that is shown at `host` may not connect to where it came from, or None where it may."""
    found = [origin_refusal(f"{scheme}://{host}", host, allowed) for scheme in _PORTS]
    return found[0] if all(found) else None


def _refusal(reason: str) -> Refusal:
    made = Refusal("not-authorized", reason)
    made.limit = "origin"
    return made


def is_address(host: str) -> bool:
    """Tell whether `host` is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
