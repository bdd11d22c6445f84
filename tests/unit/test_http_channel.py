"""How long an HTTP connection may take, in a world whose time the test decides."""

from __future__ import annotations

from functools import partial

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
        later = partial(self.world.hub.turn.do_later, "http")
        site = make_site(make_resource(factory, Http, 1_000), self.world.clock, slow=self._count, later=later)
        self.site = site
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


def test_requests_that_come_together_are_answered_in_their_order(door):
    steps = [(b"PUT", b"1"), (b"GET", b""), (b"DELETE", b""), (b"GET", b""), (b"PUT", b"2"), (b"GET", b"")]
    head = b"%b /topics/a HTTP/1.1\r\nHost: 192.0.2.1\r\nContent-Length: %d\r\n\r\n%b"
    answers = door.client.say(b"".join([head % (method, len(body), body) for method, body in steps]))
    codes = [int(answer[:3]) for answer in answers.split(b"HTTP/1.1 ")[1:]]
    assert codes == [200, 200, 204, 404, 200, 200]
    assert answers.endswith(b"\r\n\r\n2")


@pytest.mark.parametrize("request_", [HEAD % 1 + b"x", b"GET /topics/none HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"])
@pytest.mark.parametrize("known", [False, True])
def test_of_requests_that_come_together_one_is_looked_at_in_a_turn(door, request_, known):
    if known:  # from then on it needs no parsing
        door.client.say(request_)
    scheduler = door.world.hub.turn.scheduler
    before = scheduler.deferred.get("http", 0)
    pieces = [request_, request_ * 2] if known else [request_ * 3]
    for piece in pieces:
        door.client.send(piece)
    door.world.turn()
    assert door.client.received().count(b"HTTP/1.1 ") == 3
    assert scheduler.deferred["http"] - before == 2


@pytest.mark.parametrize("known", [False, True])
def test_a_connection_that_goes_between_two_requests(door, known):
    other = door.listener.connect()
    other.say("SUB a")
    request = HEAD % 1 + b"x"
    if known:
        door.client.say(request)
        other.received()
    waiting = []
    door.site.later = waiting.append
    for _ in range(2):
        door.client.send(request)
    door.world.turn()
    door.client.vanish()
    door.world.turn()
    (go_on,) = waiting
    go_on()
    assert other.received() == ["MSG a x"]
    assert len(door.listener.context.links) == 1
