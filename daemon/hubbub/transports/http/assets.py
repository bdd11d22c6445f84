"""Files that come with the package, and name nothing of any other host: the console, which is the page at `/`, and
hubbub.js, the client for pages.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files

from twisted.web.http import CACHED
from twisted.web.server import Request

_FOLDERS = {
    "/console/": ("hubbub.transports.http", "console"),
    "/console/vendor/": ("hubbub.transports.http", "console/vendor"),
    "/client/": ("hubbub.client", "js"),
}
"""For each folder of paths: the package that has the files, and where in it."""
_FRONT = "/console/index.html"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REFUSAL = b"<!-- refusal -->"  # where the page says why its own WebSocket will be refused


@cache
def _files() -> dict[str, tuple[str, bytes]]:
    """Return content type and content of each file, by its path."""
    found = {}
    for folder, (package, place) in _FOLDERS.items():
        for file in files(package).joinpath(place).iterdir():
            kind = _KINDS.get("." + file.name.rpartition(".")[2])
            if kind is not None:
                found[folder + file.name] = kind, file.read_bytes()
    return found


def has(path: bytes) -> bool:
    """Tell whether such a file is there."""
    return path.decode("latin-1") in _files()


def front(request: Request, refusal: str) -> bytes:
    """Answer with the page; `refusal`: why its WebSocket will be refused, or nothing."""
    kind, body = _files()[_FRONT]
    return _send(request, kind, body.replace(_REFUSAL, escape(refusal).encode()))


def part(request: Request) -> bytes | None:
    """Answer with a file of one of the folders; None: there is no such file."""
    found = _files().get(request.path.decode("latin-1"))
    return None if found is None else _send(request, *found)


def _send(request: Request, kind: str, body: bytes) -> bytes:
    request.setHeader("content-type", kind)
    request.setHeader("content-security-policy", _POLICY)
    request.setHeader("x-content-type-options", "nosniff")
    request.setHeader("referrer-policy", "no-referrer")
    request.setHeader("cache-control", "no-cache")  # it is asked for again, and answered with 304
    tag = b'"%b"' % sha256(body).hexdigest()[:24].encode()
    return b"" if request.setETag(tag) is CACHED else body
