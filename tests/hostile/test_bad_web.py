"""Bad HTTP, pages from elsewhere, and frames that RFC 6455 forbids."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from system.clients import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    MiB,
    WebSocketClient,
    connect,
    frame,
    pour,
    received,
    status,
    upgrade,
)  # fmt: skip

OPTIONS = ("--websocket", "tcp:0:id=small:dialect=lines:max-message=10KiB:stall=1s")


@pytest.fixture
def web(daemon):
    with WebSocketClient(daemon.websocket[2]) as client:
        yield client


# Handshakes


@pytest.mark.parametrize(
    ("host", "origin", "code"), [
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}", 101),
        ("localhost:{port}", "http://localhost:{port}", 101),
        ("[::1]:{port}", "http://[::1]:{port}", 101),
        ("127.0.0.1:{port}", "http://evil.example", 403),
        ("127.0.0.1:{port}", "http://127.0.0.1:1", 403),
        ("127.0.0.1:{port}", "http://127.0.0.1.evil.example:{port}", 403),
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}@evil.example", 403),
        ("127.0.0.1:{port}", "https://127.0.0.1", 403),
        ("127.0.0.1:{port}", "null", 403),
        ("127.0.0.1:{port}", "file://", 403),
        ("127.0.0.1:{port}", "", 403),
        ("127.0.0.1:{port}", "http://[", 403),
        ("127.0.0.1:{port}", "http://127.0.0.1:99999999", 403),
        ("evil.example:{port}", "http://evil.example:{port}", 403),
        ("[:{port}", "http://127.0.0.1:{port}", 403),
    ],
)  # fmt: skip
def test_pages_from_elsewhere(daemon, host, origin, code):
    host, origin = (text.format(port=daemon.websocket[0][1]) for text in (host, origin))
    with connect(daemon.websocket[0]) as client:
        client.sendall(upgrade(host, f"Origin: {origin}"))
        answer = client.recv(65536)
        if code != 101:
            assert b"".join(iter(lambda: received(client), b"")) == b""
    assert status(answer) == code, answer
    if code == 403 and origin.startswith("http://evil"):
        assert b"--origin" in answer


@pytest.mark.parametrize(
    "head", [
        b"GET / HTTP/1.1\r\nX: " + b"x" * 65536 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"x" * 65536 + b" HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\0" * 1000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        upgrade("a").replace(b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"),
        upgrade("a").replace(b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: a"),
        upgrade("a").replace(b"Connection: Upgrade", b"Connection: close"),
        upgrade("a", method="POST"),
        upgrade("a", "Authorization: ").replace(b"Authorization: ", b"Authorization: \xff"),
        upgrade("a").replace(b"Host: a", b"Host: \xe9"),
    ], ids=lambda head: head[:40],
)  # fmt: skip
def test_bad_handshakes(daemon, head):
    with connect(daemon.websocket[0]) as client:
        pour(client, head, len(head))
        answer = received(client)
        if answer:
            assert 400 <= status(answer) < 500, answer
        while received(client):
            pass


def test_a_request_with_a_large_body(daemon):
    """Nothing takes it, and it is kept nowhere."""
    with connect(daemon.websocket[0]) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (64 * MiB + 1))
        client.sendall(bytes(64 * MiB))
        open_files = [str(one.readlink()) for one in Path(f"/proc/{daemon.process.pid}/fd").iterdir()]
        assert not [name for name in open_files if "deleted" in name]
        client.sendall(b"x")
        assert status(received(client)) == 405


@pytest.mark.parametrize(
    "behind", [frame(TEXT, b"PING"), upgrade("a"), b"x" * 65536], ids=["frame", "request", "noise"]
)
def test_a_handshake_with_data_behind_it(daemon, behind):
    """A client waits for the answer (RFC 6455 section 4.1); what doesn't may be two requests smuggled as one."""
    with connect(daemon.websocket[0]) as client:
        client.sendall(upgrade("a") + behind)
        answer = b"".join(iter(lambda: received(client), b""))
        assert status(answer) == 400
        assert answer.count(b"HTTP/1.1") == 1


# WebSocket frames

WRONG = {
    "over the limit": ([frame(TEXT, b"x" * 200_000)], 1009),
    "over the limit in fragments": (
        [frame(TEXT, b"x" * 50_000, fin=False)] + [frame(0, b"x" * 50_000, fin=False)] * 3,
        1009,
    ),
    "claims 2^63-1 bytes": ([frame(BINARY, b"x", size=2**63 - 1)], 1009),
    "claims 2^64-1 bytes": ([frame(BINARY, b"x", size=2**64 - 1)], 1002),
    "invalid UTF-8": ([frame(TEXT, b"PUB a \xff")], 1007),
    "invalid UTF-8 over fragments": ([frame(TEXT, b"\xe6\xac", fin=False), frame(CONTINUATION, b"x")], 1007),
    "truncated UTF-8": ([frame(TEXT, b"PUB a \xe6\xac")], 1007),
    "RSV1": ([frame(TEXT, b"PING", rsv=4)], 1002),
    "RSV2": ([frame(TEXT, b"PING", rsv=2)], 1002),
    "RSV3": ([frame(TEXT, b"PING", rsv=1)], 1002),
    "unmasked": ([frame(TEXT, b"PING", masked=False)], 1002),
    "unknown opcode": ([frame(3, b"")], 1002),
    "unknown control": ([frame(11, b"")], 1002),
    "fragmented ping": ([frame(PING, b"", fin=False)], 1002),
    "ping too long": ([frame(PING, b"x" * 126)], 1002),
    "continuation of nothing": ([frame(CONTINUATION, b"x")], 1002),
    "text inside fragments": ([frame(TEXT, b"x", fin=False), frame(TEXT, b"x")], 1002),
    # A close that is wrong itself ends the link either way (RFC 6455 section 7.1.7).
    "close code 1005": ([frame(CLOSE, (1005).to_bytes(2, "big"))], None),
    "close of one byte": ([frame(CLOSE, b"x")], None),
    "close reason invalid": ([frame(CLOSE, b"\x03\xe8\xff")], None),
}


def ending(web: WebSocketClient) -> int | None:
    """The code of the close frame that comes, None where the link ends without one."""
    with contextlib.suppress(EOFError, ConnectionError):
        return web.closed()
    return None


@pytest.mark.parametrize(("frames", "code"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("first", [False, True], ids=["later", "first"])
def test_wrong_frames(web, frames, code, first):
    if not first:
        assert web.ask("PING") == "PONG"
    with contextlib.suppress(ConnectionError):
        web.send_frames(frames)
    assert ending(web) in (code, code or 1002, code or 1007)


def test_wrong_frames_byte_by_byte(daemon):
    for frames, code in WRONG.values():
        data = b"".join(frames)
        if len(data) < 1000:
            with WebSocketClient(daemon.websocket[2]) as web:
                with contextlib.suppress(ConnectionError):
                    for byte in data:
                        web.socket.send(bytes((byte,)))
                assert ending(web) in (code, code or 1002, code or 1007)


def test_10000_fragments(web):
    """With a ping between, and never quadratic."""
    fragments = [frame(CONTINUATION, b"x", fin=False), frame(PING, b"p")] * 9_999
    web.send("SUB f")
    before = time.monotonic()
    web.send_frames([frame(TEXT, b"PUB f x", fin=False), *fragments, frame(CONTINUATION, b"!")])
    assert web.line() == "OK SUB f"
    for _ in range(9_999):
        assert web.receive() == (PONG, b"p")
    assert web.line() == "MSG f x" + "x" * 9_999 + "!"
    assert time.monotonic() - before < 10


@pytest.mark.parametrize("data", [b"", b"xy"], ids=len)
def test_more_fragments_than_a_message_may_have(daemon, data):
    """Each costs more memory than the limit of bytes counts."""
    with WebSocketClient(daemon.websocket[0]) as client:
        client.send_frames([frame(TEXT, data, fin=False)])
        pour(client.socket, frame(CONTINUATION, data, fin=False) * 1000, 1 * MiB)
        assert client.closed() == 1009


def test_close_then_silence(daemon, web):
    """Neither a client that closes and stays, nor one that doesn't answer a close, keeps its connection."""
    before = daemon.descriptors()
    with WebSocketClient(daemon.websocket[2]) as mute:
        web.send_frames([frame(CLOSE, (1000).to_bytes(2, "big"))])
        mute.send_frames([frame(TEXT, b"x", rsv=1)])
        assert web.closed() == 1000
        assert mute.closed() == 1002
        for client in (web, mute):
            with pytest.raises((EOFError, ConnectionError)):
                client.receive()
        assert daemon.descriptors() < before


def test_ping_flood_of_a_peer_that_does_n_t_read(daemon):
    with WebSocketClient(daemon.websocket[2], buffer=4096) as web:
        assert pour(web.socket, frame(PING, b"x" * 125) * 100, 64 * MiB) < 64 * MiB
