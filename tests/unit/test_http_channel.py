"""How long an HTTP connection may take, in a world whose time the test decides."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.dialects.http import Http
from hubbub.dialects.lines import Lines
from hubbub.testing.streams import TCPClient
from hubbub.testing.world import World
from hubbub.transports.http.site import make_resource, make_site
from hubbub.transports.websocket import WebSocketFactory

HEAD = b"POST /topics/a HTTP/1.1\r\nHost: 192.0.2.1\r\nContent-Length: %d\r\n\r\n"


class Door:
    def __init__(self) -> None:
        self.world = World()
        self.listener = self.world.listen("websocket", Lines)
        factory = WebSocketFactory(self.listener._link, {}, Lines, 1_000)
        self.slow = 0
        site = make_site(make_resource(factory, Http, 1_000), self.world.clock, slow=self._count)
        self.client = TCPClient(self.world, site.buildProtocol(None), "192.0.2.7", 50_000)
        self.world.ends.append(self.client)

    def _count(self) -> None:
        self.slow += 1


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_head_has_its_deadline(door):
    for byte in HEAD[:9]:
        door.client.say(bytes((byte,)))
        door.world.advance(1.0)
        assert not door.client.closed
    door.world.advance(2.0)
    assert door.client.closed
    assert door.slow == 1


def test_a_body_has_another(door):
    door.client.say(HEAD % 100)
    for _ in range(int(limits.BODY_SECONDS) - 1):
        door.client.say(b"x")
        door.world.advance(1.0)
        assert not door.client.closed
    door.world.advance(2.0)
    assert door.client.closed
    assert door.slow == 1


def test_a_connection_is_kept_for_the_next_request(door):
    for _ in range(3):
        assert door.client.say(HEAD % 1 + b"x").startswith(b"HTTP/1.1 202 ")
        door.world.advance(limits.KEEP_ALIVE_SECONDS - 1)
    assert len(door.listener.context.links) == 1
    door.client.say(b"P")  # the next request has begun, and has its deadline
    door.world.advance(11.0)
    assert door.client.closed
    assert door.slow == 1
    assert not door.listener.context.links


def test_an_idle_connection_isn_t_a_slow_one(door):
    door.client.say(HEAD % 1 + b"x")
    door.world.advance(limits.KEEP_ALIVE_SECONDS + 1)
    door.world.advance(limits.CLOSE_SECONDS)
    assert door.client.closed
    assert door.slow == 0


def test_a_request_may_take_as_long_as_it_says(door):
    other = door.listener.connect()
    other.say("SUB ask")
    request = b"POST /requests/ask?timeout=60 HTTP/1.1\r\nHost: 192.0.2.1\r\nContent-Length: 1\r\n\r\n?"
    assert door.client.say(request) == b""
    door.world.advance(59.0)
    assert not door.client.closed
    door.world.advance(2.0)
    assert door.client.received().startswith(b"HTTP/1.1 504 ")


def test_a_stream_goes_on(door):
    begun = door.client.say(b"GET /events?filter=a HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n")
    assert begun.endswith(b"\r\n\r\n3\r\n:\n\n\r\n")
    door.world.advance(600.0)
    assert door.client.received() == b"2\r\n:\n\r\n" * 150
    (link,) = door.listener.context.links
    link.close("kicked")
    door.world.turn()
    assert door.client.received() == b"0\r\n\r\n"
