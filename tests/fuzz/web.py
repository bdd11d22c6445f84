"""More targets: what a stranger sends to the port of WebSocket before there is one, and who it says that it is."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.defer import Deferred, succeed

from hubbub import limits
from hubbub.dialects.http import Http
from hubbub.dialects.lines import Lines
from hubbub.events import Connect
from hubbub.identity import Identity
from hubbub.testing.streams import TCPClient
from hubbub.testing.world import World
from hubbub.transports.http.pages import Pages
from hubbub.transports.http.site import make_resource, make_site
from hubbub.transports.websocket import WebSocketFactory

_HOST, _PORT = "192.0.2.7", 50_000
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
_STREAMS = (b"\r\nContent-Type: text/event-stream\r\n", b"\r\nContent-Type: application/x-ndjson\r\n")
_PAGES: Pages = lambda path, accept: (200, "text/plain", b"fuzzed metrics") if path == "/metrics" else None  # noqa: E731


class Visit:
    """One connection to a site that asks who its clients are. `asked` has what they said; `answer` what they heard."""

    def __init__(self, *pieces: bytes) -> None:
        world, self.asked = World(), []
        listener = world.listen("websocket", Lines)
        factory = WebSocketFactory(listener._link, {}, Lines, 1_000, authenticate=self._authenticate)
        site = make_site(make_resource(factory, Http, 1_000, (), _PAGES), world.clock)
        client = TCPClient(world, site.buildProtocol(None), _HOST, _PORT)
        world.ends.append(client)
        self.answer = b"".join(client.say(piece) for piece in pieces)
        world.advance(limits.KEEP_ALIVE_SECONDS + limits.CLOSE_SECONDS + 1)
        self.answer += client.received()
        stays = b"HTTP/1.1 101 " in self.answer or any(one in self.answer for one in _STREAMS)
        assert client.closed or stays, "it is still open when its time is over"
        self.links = len(listener.context.links)

    def _authenticate(self, said: Connect | None, transport: Any, host: str) -> Deferred[Identity | None]:
        assert host == _HOST
        self.asked.append(said)
        return succeed(Identity("ann") if said is not None else None)


def http(data: bytes) -> None:
    """Any bytes: the answers are HTTP, none is a fault of ours, and the metrics are for nobody from elsewhere."""
    visit = Visit(data[: len(data) // 2], data[len(data) // 2 :])
    assert not visit.answer or visit.answer.startswith(b"HTTP/1.")
    assert b"HTTP/1.1 500" not in visit.answer, "it failed inside"
    assert b"fuzzed metrics" not in visit.answer
    if b"\r\n\r\n" not in data:
        assert not visit.asked


def credentials(data: bytes) -> None:
    """A header or a cookie says who that is, is malformed, which is a 401, or isn't there."""
    said, _, cookie = data.replace(b"\r", b"").partition(b"\n")
    cookie = cookie.replace(b"\n", b"")
    header = b"Authorization: " + said + b"\r\n" if said else b""
    visit = Visit(UPGRADE + header + b"Cookie: " + cookie + b"\r\n\r\n")
    status = visit.answer[9:12]
    assert status in (b"101", b"401", b"400"), visit.answer
    for one in visit.asked:
        if one is not None:
            assert (one.token is None) != (one.user is None)
            assert one.user is None or isinstance(one.password, str)
    encoded = base64.b64encode(b"ann:" + cookie)
    visit = Visit(UPGRADE + b"Authorization: Basic " + encoded + b"\r\n\r\n")
    try:
        password = cookie.decode()
    except UnicodeDecodeError:
        assert not visit.asked
    else:
        assert [(one.user, one.password) for one in visit.asked] == [("ann", password)]
