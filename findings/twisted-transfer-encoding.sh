#!/usr/bin/env bash
# 1. PyPI twisted 26.10.0.
# 2. A request whose last transfer coding isn't chunked has a body of unknown length: RFC 9112 section 6.3 has the server
#    answer 400 and close the connection.
# 3. With Transfer-Encoding: identity and no length twisted.web reads no body, and takes the body for the next request.
#    Of chunked and then identity it obeys the first.
# 4. A proxy that forwards such a body as one sends, to a daemon behind it, requests that the proxy has never checked:
#    request smuggling. A daemon refuses every Transfer-Encoding but one that is chunked alone.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install twisted==26.10.0

"$python" - <<'PYTHON'
from twisted.internet.testing import StringTransport
from twisted.web.resource import Resource
from twisted.web.server import Site


class Paths(Resource):
    """Notes what is asked for."""

    isLeaf = True
    asked = []

    def render(self, request):
        self.asked.append((request.method, request.path, request.content.read()))
        return b""


def asked(codings, body):
    """Return method, path and body of the requests that are found in one POST."""
    Paths.asked = []
    channel = Site(Paths()).buildProtocol(None)
    channel.makeConnection(StringTransport())
    channel.dataReceived(b"POST /public HTTP/1.1\r\nHost: a\r\n" + codings + b"\r\n" + body)
    return Paths.asked


smuggled = asked(b"Transfer-Encoding: identity\r\n", b"POST /private HTTP/1.1\r\nHost: a\r\n\r\n")
print("identity:", smuggled)
assert smuggled == [(b"POST", b"/public", b""), (b"POST", b"/private", b"")]
both = asked(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"1\r\nx\r\n0\r\n\r\n")
print("chunked and then identity:", both)
assert both == [(b"POST", b"/public", b"x")]
PYTHON
