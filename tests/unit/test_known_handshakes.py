"""A request that has been upgraded before, but for its key, isn't parsed again, and means the same."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.dialects.http import Http
from hubbub.dialects.lines import Lines
from hubbub.testing.streams import TCPClient
from hubbub.testing.world import World
from hubbub.transports.forwarded import Trust
from hubbub.transports.http.site import make_resource, make_site
from hubbub.transports.http.upgrade import KnownHandshakes
from hubbub.transports.websocket import WebSocketFactory
from unit.test_known_heads import parsed

__all__ = ["parsed"]  # a fixture

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = b"Sec-WebSocket-Key: %b\r\n"
ASKS = (
    b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    + KEY.replace(b"%b", b"%(key)b") + b"Sec-WebSocket-Version: 13\r\n%(more)b\r\n"
)  # fmt: skip
HEADERS = st.lists(
    st.sampled_from([
        b"Origin: http://192.0.2.1", b"Origin: http://else.example", b"Origin: null", b"Host: 192.0.2.2",
        b"Sec-WebSocket-Protocol: hubbub.lines", b"Sec-WebSocket-Protocol: x", b"Sec-WebSocket-Version: 8",
        b"Content-Length: 0", b"Content-Length: 1", b"Transfer-Encoding: chunked", b"Expect: 100-continue",
        b"X: \xff", b"X: \x0bSec-WebSocket-Version: 8", KEY[:-2] % (b"a" * 22 + b"=="), b" folded", b"no header",
        b"X-Forwarded-For: 192.0.2.9", b"Authorization: Basic YTpi", b"Cookie: a=b",
    ]), max_size=3,
)  # fmt: skip


class House:
    """A site that many connections come to."""

    def __init__(self, *proxies: str) -> None:
        self.world = World()
        self.listener = self.world.listen("websocket", Lines)
        factory = WebSocketFactory(
            self.listener._link, {"hubbub.lines": Lines}, Lines, 1_000, Trust(map(IPv4Network, proxies))
        )
        self.site = make_site(make_resource(factory, Http, 1_000), self.world.clock)
        self.keys = 0

    def ask(self, *more: bytes, cut: int = 0, host: str = "192.0.2.7", ask: bytes = ASKS) -> bytes:
        """What a new client gets for its handshake, and for a PING, without what differs for each."""
        self.keys += 1
        key = base64.b64encode(self.keys.to_bytes(16, "big"))
        said = ask % {b"key": key, b"more": b"".join(line + b"\r\n" for line in more)}
        client = TCPClient(self.world, self.site.buildProtocol(None), host, 50_000)
        self.world.ends.append(client)
        got = b"".join(client.say(piece) for piece in (said[:cut], said[cut:]) if piece)
        if b" 101 " in got:
            got += client.say(b"\x81\x84\0\0\0\0PING")
        accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
        assert b" 101 " not in got or got.count(b"Sec-WebSocket-Accept: " + accept + b"\r\n") == 1
        return re.sub(rb"(Date|Sec-WebSocket-Accept): .*\r\n", b"", got.replace(key, b"KEY"))


def test_the_second_handshake_is_not_parsed(parsed):
    house = House()
    answers = [house.ask() for _ in range(5)]
    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 101 Switching Protocols"}
    assert {answer[-4:] for answer in answers} == {b"PONG"}
    assert len(set(answers)) == 1
    assert len(parsed) == 1
    assert len(house.listener.context.links) == 5


@given(st.lists(HEADERS, min_size=1, max_size=6), st.integers(0, 200))
def test_remembered_or_not_the_answers_are_the_same(requests, cut):
    house = House()
    for more in [*requests, *requests]:
        assert house.ask(*more) == House().ask(*more)
    assert house.ask(*requests[0], cut=cut) == House().ask(*requests[0])


def test_a_key_in_the_path_stays_there():
    house, path = House(), base64.b64encode((1).to_bytes(16, "big"))
    asks = ASKS.replace(b"GET /", b"GET /" + path)
    assert house.ask(ask=asks) == house.ask(ask=asks)


@pytest.mark.parametrize("proxies", [(), ("192.0.2.7/32",)])
def test_a_client_is_where_its_proxy_says(proxies):
    """And no proxy's word is believed of another's client: it is found out anew for each connection."""
    house, forwarded = House(*proxies), ("192.0.2.8", "192.0.2.9") * 2
    for host in forwarded:
        house.ask(b"X-Forwarded-For: " + host.encode())
        house.ask(b"X-Forwarded-For: " + host.encode(), host="198.51.100.1")
    assert Counter(link.session.host for link in house.listener.context.links) == Counter(
        {"198.51.100.1": 4} | ({"192.0.2.8": 2, "192.0.2.9": 2} if proxies else {"192.0.2.7": 4})
    )


@pytest.mark.parametrize("mark", [b"\v", b"\f", b"\x1c", b"\x1d", b"\x1e", b"\xc2\x85"])
def test_forwarded_for_within_another_header(mark):
    """A character that ends a line in some places, though not in HTTP, begins no header of the proxy's."""
    house = House("192.0.2.7/32")
    house.ask(b"X-Forwarded-For: 192.0.2.8", b"X-Note: a" + mark + b"X-Forwarded-For: 192.0.2.9")
    assert [link.session.host for link in house.listener.context.links] == ["192.0.2.8"]


def known(piece: bytes, head: bytes = b"") -> KnownHandshakes:
    handshakes = KnownHandshakes()
    handshakes.learn(piece, head or piece, "")
    return handshakes


ONE = ASKS % {b"key": b"a" * 22 + b"==", b"more": b""}
OTHER = ASKS % {b"key": b"b" * 22 + b"==", b"more": b""}


def test_another_key_is_put_in_the_place_of_the_first():
    assert known(ONE).read(OTHER) == (OTHER, "")
    assert known(ONE.lower(), ONE).read(ONE.lower().replace(b"a" * 22, b"b" * 22)) == (OTHER, "")


@pytest.mark.parametrize(
    "piece", [
        ONE[:-1], ONE + b"x", ONE + ONE, ONE.replace(b"==", b"=A"), ONE.replace(b"Sec-WebSocket-Key", b"Key"),
        ONE.replace(b"Host", b"Expect: 100-continue\r\nHost"),
        ONE.replace(b"Host", b"X: " + b"x" * limits.KNOWN_HEAD_BYTES + b"\r\nHost"),
    ],
)  # fmt: skip
def test_what_is_not_remembered(piece):
    assert known(piece).read(piece) is None


@pytest.mark.parametrize(
    "piece", [
        ONE[:-1], ONE + b"x", ONE.replace(b"==", b"=A"), ONE.replace(b"aa==", b"a==="), ONE.replace(b"/ ", b"/a "),
        ONE.replace(b"192.0.2.1", b"192.0.2.2"), ONE.replace(b"GET", b"PUT"), ONE.replace(b"Host", b"host"),
        ONE.replace(b"a==", b"a== "), b"\r\n" + ONE, b"",
    ],
)  # fmt: skip
def test_what_is_something_else(piece):
    assert known(ONE).read(piece) is None


def test_few_are_remembered():
    handshakes = KnownHandshakes()
    for n in range(3 * limits.KNOWN_HEADS):
        piece = ONE.replace(b"/ ", b"/%d " % n)
        handshakes.learn(piece, piece, "")
        assert handshakes.read(piece) == (piece, "")
        assert len(handshakes._known) <= limits.KNOWN_HEADS
