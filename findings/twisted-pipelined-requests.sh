#!/usr/bin/env bash
# 1. PyPI twisted 26.10.0.
# 2. HTTPChannel._optimisticEagerReadSize, 16 KiB, bounds what is read of further requests before a request is answered.
# 3. What comes behind the body of a request is put back without that check, so the server reads once more with each
#    answer: a client that pipelines POSTs has some MB waiting after some hundred answers. Each line that is parsed then
#    copies all that waits.
# 4. Whoever may send one request can fill the memory and the processor of a server that counts on the bound. A daemon
#    pauses the transport itself when a request is complete.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install twisted==26.10.0

"$python" - <<'PYTHON'
import socket
import threading

from twisted.internet import reactor
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site


class Later(Resource):
    """Answers in a later turn, as whoever asks somebody else does."""

    isLeaf = True

    def render_POST(self, request):
        reactor.callLater(0.001, request.finish)
        return NOT_DONE_YET


class Channel(HTTPChannel):
    answered = most = 0

    def requestDone(self, request):
        Channel.answered += 1
        Channel.most = max(Channel.most, sum(map(len, self._dataBuffer)))
        super().requestDone(request)


site = Site(Later())
site.protocol = Channel
port = reactor.listenTCP(0, site, interface="127.0.0.1")


def pipeline(number):
    with socket.create_connection(("127.0.0.1", number)) as client:
        client.settimeout(3)
        try:
            while True:
                client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" * 1_000)
        except OSError:
            pass


threading.Thread(target=pipeline, args=(port.getHost().port,), daemon=True).start()
reactor.callLater(4, reactor.stop)
reactor.run()
bound = HTTPChannel._optimisticEagerReadSize
print(f"{Channel.answered} requests answered, {Channel.most} bytes of others waited, the bound is {bound}")
assert Channel.most > 20 * bound
PYTHON
