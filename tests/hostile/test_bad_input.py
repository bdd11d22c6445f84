"""Bad input gets an answer where somebody could read it, and costs nobody else anything."""

from __future__ import annotations

import contextlib
import select
import time

import pytest

from running import LineClient
from scale import crowd
from system.clients import (
    BINARY,
    Datagrams,
    MiB,
    WebSocketClient,
    connect,
    frame,
    pour,
    received,
    reset_on_close,
    upgrade,
)  # fmt: skip

OPTIONS = (
    "--tcp", "tcp:0:id=json:dialect=json",
    "--udp", "udp:0:id=noise:dialect=raw:topic=noise",
    "--tcp", "tcp:0:id=stall:dialect=lines:stall=1s",
)  # fmt: skip


@pytest.fixture
def lines(daemon):
    with LineClient(daemon.tcp[0]) as client:
        yield client
        reset_on_close(client.socket)


@pytest.fixture
def json(daemon):
    with LineClient(daemon.tcp[2]) as client:
        yield client


# Lines


@pytest.mark.parametrize("listener", [0, 2], ids=["lines", "json"])
def test_a_line_without_end(daemon, listener):
    """64 MB of it: most is dropped unread, so that the client isn't reset before it hears why."""
    with LineClient(daemon.tcp[listener], 30) as client:
        client.socket.sendall(b"PUB a " if listener == 0 else b'{"op":"')
        assert pour(client.socket, b"x" * 65536, 64 * MiB) > 7 * MiB
        assert "too-long" in client.line()
        assert client.ended()


LINES = [
    (b"NONSENSE", "ERR bad-command "),
    (b"", "ERR bad-command "),
    (b"\0\0\0", "ERR bad-command "),
    (b"PUB", "ERR bad-command "),
    (b"PUB  x", "ERR bad-topic "),
    (b"PUB a/+ x", "ERR bad-topic "),
    (b"PUB a/# x", "ERR bad-topic "),
    (b"PUB a\0b x", "ERR bad-topic "),
    (b"PUB a%00b x", "ERR bad-topic "),
    (b"PUB a%zz x", "ERR bad-topic "),
    (b"PUB a\x1bb x", "ERR bad-topic "),
    (b"PUB a\xff x", "ERR bad-utf8 "),
    (b"PUB a%ff x", "ERR bad-utf8 "),
    (b"PUB a \xff\xfe", "ERR bad-utf8 "),
    (b"PUB a \xed\xa0\x80", "ERR bad-utf8 "),
    (b"\xff\xff", "ERR bad-utf8 "),
    (b"PUB $SYS/a x", "ERR not-authorized "),
    (b"PUB " + b"/" * 10_000 + b" x", "ERR bad-topic "),
    (b"PUB " + b"/".join([b"a"] * 10_000) + b" x", "ERR bad-topic "),
    (b"PUB " + b"a" * 65_536 + b" x", "ERR bad-topic "),
    (b"PUBB a !", "ERR bad-payload "),
    (b"PUBB a YQ", "ERR bad-payload "),
    (b"PUBB a Y Q==", "ERR bad-payload "),
    (b"SUB", "ERR bad-command "),
    (b"SUB ", "ERR bad-filter "),
    (b"SUB a/#/b", "ERR bad-filter "),
    (b"SUB a+", "ERR bad-filter "),
    (b"SUB a#", "ERR bad-filter "),
    (b"SUB +a/b", "ERR bad-filter "),
    (b"SUB a b", "ERR bad-filter "),
    (b"SUB a%00", "ERR bad-filter "),
    (b"SUB " + b"+/" * 10_000 + b"+", "ERR bad-filter "),
    (b"REQ", "ERR bad-command "),
    (b"REQ nobody/here x", "ERR no-responders "),
    (b"REQ  x", "ERR bad-topic "),
    (b"AUTH", "ERR bad-command "),
    (b"AUTH a b", "ERR not-authorized "),
]


def test_bad_lines(daemon, lines):
    """Each is answered, in order, at once or byte by byte, and the link lives on."""
    with Datagrams(daemon.udp[0]) as datagrams, WebSocketClient(daemon.websocket[0], protocol="hubbub.lines") as big:
        for line, says in LINES:
            for client in (lines, big, datagrams):
                if client is big:
                    big.socket.sendall(frame(BINARY, line + b"\n"))
                elif client is datagrams and len(line) > 65_000:
                    continue
                else:
                    client.socket.sendall(line + b"\n")
                said = client.line()
                assert said.startswith(says), (line[:40], said)
                assert said.count("\n") == 0
    lines.socket.sendall(b"".join(line + b"\r\n" for line, _ in LINES))
    for line, says in LINES:
        assert lines.line().startswith(says), line
    assert lines.ask("PING") == "PONG"


def test_the_limit_of_a_line_is_exact(daemon, lines):
    """max-message= bounds the payload: one byte less is fine."""
    lines.send("SUB big", "PUB big " + "x" * MiB)
    assert lines.line() == "OK SUB big"
    assert lines.line() == "MSG big " + "x" * MiB
    lines.send("PUB big " + "x" * (MiB + 1), "PING")
    assert lines.line().startswith("ERR too-long ")
    assert lines.ended()


def test_wildcard_bombs(lines, daemon):
    """Filters that a naive match visits 2^64 times."""
    filters = ["/".join("+" if bits >> n & 1 else "a" for n in range(64)) for bits in range(2**64 - 1, 2**64 - 500, -1)]
    filters += ["/".join(["+"] * n) + "/#" for n in range(1, 127)]
    with LineClient(daemon.tcp[0]) as other:
        reset_on_close(other.socket)
        for text in filters:
            other.send(f"SUB {text}")
        for text in filters:
            assert other.line() == f"OK SUB {text}"
        before = time.monotonic()
        for n in range(50):
            lines.send(f"PUB {'/'.join(['a'] * 63)}/{n} x")
        assert lines.ask("PING") == "PONG"
        assert time.monotonic() - before < 5
        for n in range(50):
            assert other.line().endswith(f"/{n} x")


# JSON

DEEP = 100_000
JSON = [
    ('{"op":"nonsense"}', "bad-command"),
    ("{}", "bad-command"),
    ("[]", "bad-command"),
    ("null", "bad-command"),
    ("{", "bad-command"),
    ('{"op":"ping"} {"op":"ping"}', "bad-command"),
    ('{"op":"ping","id":{}}', "bad-command"),
    ('{"op":"ping","id":%s}' % ("9" * 100_000), "bad-command"),
    ('{"op":"publish","topic":"a","data":%s}' % ("[" * DEEP + "]" * DEEP), "bad-payload"),
    ('{"op":"publish","topic":"a","data":%s}' % ('{"a":' * DEEP + "1" + "}" * DEEP), "bad-payload"),
    ('{"op":"ping","x":%s}' % ("[" * DEEP + "]" * DEEP), "bad-payload"),
    ("[" * DEEP, "bad-command"),
    ('{"op":"publish","topic":"a","data":%s}' % ("9" * 100_000), "bad-payload"),
    ('{"op":"publish","topic":"a","data":1e999}', "bad-payload"),
    ('{"op":"publish","topic":"a","data":NaN}', "bad-command"),
    ('{"op":"publish","topic":"a","data":"\\ud800"}', "bad-command"),
    ('{"op":"publish","topic":"\\ud800","data":1}', "bad-command"),
    ('{"op":"publish","topic":"a/#","data":1}', "bad-topic"),
    ('{"op":"publish","topic":"","data":1}', "bad-topic"),
    ('{"op":"publish","topic":"a\\u0000","data":1}', "bad-topic"),
    ('{"op":"publish","topic":"a"}', "bad-payload"),
    ('{"op":"publish","topic":"a","base64":"!"}', "bad-payload"),
    ('{"op":"publish","topic":7,"data":1}', "bad-command"),
    ('{"op":"subscribe","topic":"a/#/b"}', "bad-filter"),
    ('{"op":"subscribe","topic":"a+"}', "bad-filter"),
    ('{"op":"subscribe","topic":"a","full":"explode"}', "bad-command"),
    ('{"op":"request","topic":"nobody/here","data":1,"id":1}', "no-responders"),
    ('{"op":"request","topic":"a","data":1,"timeout":1e9}', "bad-command"),
    ('{"op":"auth","user":"a","password":"b"}', "not-authorized"),
]


def test_bad_json(daemon, json):
    with WebSocketClient(daemon.websocket[0], protocol="hubbub.json") as web:
        for line, code in JSON:
            for client in (json, web):
                client.send(line)
                before = time.monotonic()
                said = client.line()
                assert time.monotonic() - before < 5
                assert said.startswith('{"op":"error","code":"%s"' % code), (line[:60], said)
        for client in (json, web):
            assert client.ask('{"op":"ping"}') == '{"op":"pong"}'


def test_bytes_that_aren_t_json(json):
    json.socket.sendall(b'{"op":"publish","topic":"a","data":"\xff"}\n\xff\xfe\n')
    for _ in range(2):
        assert json.line().startswith('{"op":"error","code":"bad-')


# A web page that aims at the TCP port


@pytest.mark.parametrize(
    "request_", [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nPUB evil 1\r\n",
        b"PUB / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nPUB evil 1\r\n",
        b"SUB http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\nPUB evil 1\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nPUB evil 1\r\n",
    ], ids=lambda data: data.partition(b"\r")[0].decode(),
)  # fmt: skip
@pytest.mark.parametrize("listener", [0, 2], ids=["auto", "json"])
def test_a_web_page_can_t_publish(daemon, lines, listener, request_):
    assert lines.ask("SUB evil") == "OK SUB evil"
    with connect(daemon.tcp[listener]) as client:
        for byte in range(0, len(request_), 7):
            with contextlib.suppress(ConnectionError):
                client.send(request_[byte : byte + 7])
        answer = b"".join(iter(lambda: received(client), b""))
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert lines.ask("PING") == "PONG"  # and nothing was published


# Whoever doesn't read


@pytest.mark.parametrize("command", [b"PING\n", b"HELP\n", b"NONSENSE\n", b"REQ nobody x\n"])
def test_pipelined_commands_that_are_never_read(daemon, command):
    """Reading stops when answers pile up, and who takes nothing at all is cut."""
    with connect(daemon.tcp[3], buffer=4096) as client:
        assert pour(client, command * 1000, 64 * MiB) < 64 * MiB


def test_100000_pings_are_answered(daemon):
    with LineClient(daemon.tcp[0], 30) as client:
        client.socket.setblocking(False)
        data, answers = b"PING\n" * 100_000, 0
        while answers < 500_000:
            readable, writable, _ = select.select([client.socket], [client.socket] if data else [], [], 30)
            assert readable or writable
            if writable:
                data = data[client.socket.send(data) :]
            if readable:
                answers += len(client.socket.recv(65536))
    assert answers == 500_000


# Datagrams


def test_strange_datagrams(daemon):
    for listener in (0, 2):
        for data in (b"", b"x" * 65_507, b"\0", b"\xff" * 1000, b"\n" * 65_507, b"{" * 65_507, b"[" * 65_507):
            with Datagrams(daemon.udp[listener]) as client:
                client.socket.send(data)
    with Datagrams(daemon.udp[0]) as client:
        assert client.ask("PING") == "PONG 0"


@pytest.mark.parametrize("data", [b"", b"PUB flood x", b"NONSENSE", b"PING\n" * 100], ids=len)
@pytest.mark.parametrize("listener", [0, 2], ids=["auto", "raw"])
def test_datagram_flood(daemon, lines, listener, data):
    """Streams get their turn between, and empty datagrams count too."""
    with Datagrams(daemon.udp[listener]) as client:
        for _ in range(10):
            for _ in range(200):
                client.socket.send(data)
            before = time.monotonic()
            assert lines.ask("PING") == "PONG"
            assert time.monotonic() - before < 5


# Connections


@pytest.mark.parametrize(("listener", "count"), [("tcp", crowd(7_000)), ("websocket", crowd(3_000))])
def test_connections_opened_and_dropped(daemon, listener, count):
    address = getattr(daemon, listener)[0]
    heads = (b"", b"SUB a/#\n", b"PUB a ", upgrade("a"), upgrade("a")[:40], b'{"op":')
    for n in range(count):
        with connect(address) as client:
            if n % 2:
                reset_on_close(client)
            if n % 3:
                with contextlib.suppress(ConnectionError):
                    client.send(heads[n % len(heads)])


def test_a_subscriber_that_is_gone(daemon, lines):
    """A closed socket looks like one that only listens, until something is written to it."""
    with LineClient(daemon.tcp[0]) as gone:
        assert gone.ask("SUB gone") == "OK SUB gone"
    lines.send("PUB gone x")
    assert lines.ask("PING") == "PONG"
