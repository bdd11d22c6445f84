"""Which dialect a client speaks is told from its first bytes, however they are cut; HTTP is told apart too."""

from __future__ import annotations

import json

import pytest

from hubbub.dialects.detect import Auto
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.framing import HTTP_400
from hubbub.testing import CUTTINGS
from hubbub_plugins.nats import Nats
from matrix.speakers import seat

AUTO = Auto.among([Lines, Json], Lines)

FIRST = {
    b"PING\n": b"PONG\n",
    b"ping\r\n": b"PONG\n",
    b'{"op":"ping"}\n': b'{"op":"pong"}\n',
    b' \r\n\t {"op":"ping"}\n': b'{"op":"pong"}\n',
    "ÄÖÜ\n".encode(): b"ERR bad-command no such command; HELP lists them\n",
    b"QUIT\nPING\n": b"BYE\n",
}
HTTP = [
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:6999\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nPUB a/b x\nPUB a/b y\n",
    b"PUB /a/b HTTP/1.1\r\n\r\nPUB a/b x\n",
    b"OPTIONS * HTTP/1.0\r\n\r\nPUB a/b x\n",
    b"CONNECT h:443 HTTP/1.1\r\n\r\nPUB a/b x\n",
    b'POST / HTTP/1.1\r\n\r\n{"op":"publish","topic":"a/b","data":1}\n',
    b"GET /" + b"x" * 500 + b" HTTP/1.1\r\n\r\nPUB a/b x\n",
]


@pytest.mark.parametrize("cutting", CUTTINGS)
@pytest.mark.parametrize("said", FIRST)
def test_tcp(world, said, cutting):
    client = world.listen("tcp", AUTO).connect()
    for piece in CUTTINGS[cutting]([said[:3], said[3:]]):
        client.send(piece)
        world.turn()
    assert client.received() == FIRST[said]


def test_silence_is_lines(world):
    client = world.listen("tcp", AUTO, max_message=100).connect()
    client.send(b"  ")
    world.advance(11)
    client.send(b"\n")
    assert client.say(b'{"op":"ping"}\n').count(b"ERR bad-command") == 2


def test_a_subscriber_that_never_says_anything_is_served_once_it_does(world):
    client = world.listen("tcp", AUTO).connect()
    world.advance(3_600)
    assert client.say(b"PING\n") == b"PONG\n"


def test_the_end_of_input_decides_too(world):
    error = FIRST["ÄÖÜ\n".encode()]
    for said, answer in ((b"PING", b"PONG\n"), (b'{"op":"ping"}', b'{"op":"pong"}\n'), (b"", b""), (b" ", error)):
        client = world.listen("tcp", AUTO).connect()
        client.send(said)
        client.finish()
        world.turn()
        assert client.received() == answer
        assert client.closed


@pytest.mark.parametrize("cutting", CUTTINGS)
@pytest.mark.parametrize("request_", HTTP)
@pytest.mark.parametrize("dialect", [Lines, Json, AUTO], ids=["lines", "json", "auto"])
def test_http_is_refused_and_its_body_unread(world, dialect, request_, cutting):
    ear = seat(world, "tcp-lines", subscribes="#")
    client = world.listen("tcp", dialect).connect()
    for piece in CUTTINGS[cutting](request_.splitlines(keepends=True)):
        client.send(piece)
        world.turn()
    assert client.received() == HTTP_400
    assert client.closed
    assert ear.output() == []
    assert world.hub.turn.counters.refused == 1


def test_only_the_first_line_may_be_http(world):
    ear = seat(world, "tcp-lines", subscribes="#")
    client = world.listen("tcp", Lines).connect()
    client.send(b"PING\nPUB /x HTTP/1.1\n")
    assert ear.output() == [("message", "/x", b"HTTP/1.1")]
    assert not client.closed


@pytest.mark.parametrize(
    ("asked", "got", "said", "answered"),
    [
        ("hubbub.json", "hubbub.json", '{"op":"ping"}', '{"op":"pong"}'),
        ("hubbub.lines", "hubbub.lines", "PING", "PONG"),
        ("chat, hubbub.lines, hubbub.json", "hubbub.lines", '{"op":"ping"}', "ERR"),
        ("chat", None, "PING", "PONG"),
        (None, None, "PING", "PONG"),
        (None, None, ' {"op":"ping"}', '{"op":"pong"}'),
        (None, None, b'{"op":"ping"}', '{"op":"pong"}'),
        ("hubbub.json", "hubbub.json", "PING", '{"op":"error"'),
    ],
)
def test_websocket(world, asked, got, said, answered):
    """The subprotocol tells, and without one the first message."""
    client = world.listen("websocket", AUTO).connect(**({"subprotocol": asked} if asked else {}))
    assert client.subprotocol == got
    (output,) = client.say(said)
    assert output.startswith(answered)


def test_on_udp_each_datagram_is_distinguished(world):
    client = world.listen("udp", AUTO).connect()
    assert client.say(b"SUB a") == [b"OK SUB a"]
    assert [json.loads(said)["op"] for said in client.say(b'{"op":"subscribe","topic":"a"}')] == ["subscribed"]
    seat(world, "tcp-lines").publish("a", b"1")
    world.turn()
    assert sorted(client.received()) == [b"MSG a 1", b'{"op":"message","topic":"a","data":"1"}']


@pytest.mark.parametrize("transport", ["tcp", "websocket"])
def test_a_subscription_of_the_listener_waits_for_the_dialect(world, transport):
    client = world.listen(transport, AUTO, subscribe="news").connect()
    mouth = seat(world, "tcp-lines")
    mouth.publish("news", b"1")
    world.turn()
    said, output = (b"PING\n", b"PONG\n") if transport == "tcp" else ("PING", ["PONG"])
    assert client.say(said) == output
    mouth.publish("news", b"2")
    world.turn()
    assert client.received() == (b"MSG news 2\n" if transport == "tcp" else ["MSG news 2"])


GREETS = Auto.among([Lines, Json, Nats], Lines, greeter=Nats)


@pytest.mark.parametrize("cutting", CUTTINGS)
def test_a_client_that_waits_is_greeted_and_goes_on_in_any_dialect(world, cutting):
    for said, answer in (*FIRST.items(), (b'CONNECT {"verbose":false}\r\nPING\r\n', b"PONG\r\n")):
        client = world.listen("tcp", GREETS).connect()
        world.advance(0.2)
        assert client.received() == b""
        world.advance(0.2)
        (info,) = client.received().splitlines()
        assert info.startswith(b"INFO {")
        for piece in CUTTINGS[cutting]([said]):
            client.send(piece)
            world.turn()
        assert client.received() == answer


def test_a_client_that_speaks_is_not_greeted(world):
    client = world.listen("tcp", GREETS).connect()
    client.send(b"P")
    world.advance(0.4)
    assert client.say(b"ING\n") == b"PONG\n"
    client = world.listen("tcp", GREETS).connect()
    assert client.say(b"CONNECT {}\r\nPING\r\n").split(b"\r\n", 1)[1] == b"+OK\r\nPONG\r\n"


def test_a_greeted_client_of_nats_has_its_deadlines(world):
    client = world.listen("tcp", GREETS, idle=30.0).connect()
    world.advance(0.4)
    client.say(b'CONNECT {"verbose":false}\r\n')
    world.advance(10.1)
    assert client.received() == b"PING\r\n"


def test_a_greeted_web_client(world):
    client = world.listen("websocket", GREETS).connect()
    world.advance(0.4)
    (info,) = client.received()
    assert info.startswith(b"INFO {")
    assert client.say(b"CONNECT {}\r\n") == [b"+OK\r\n"]
