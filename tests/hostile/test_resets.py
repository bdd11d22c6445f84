"""Connections that are reset, or half closed, in the middle of everything."""

from __future__ import annotations

import contextlib
import socket
import ssl

import pytest

from running import Address, LineClient
from system.clients import PING, TEXT, WebSocketClient, connect, frame, received, reset_on_close, upgrade

CUTS = 12  # places of one conversation where it ends
LINES = b"PING\nSUB reset/#\nPUB! reset/a x\nPUBB reset/b eHg=\nREQ nobody x\nAUTH a b\nQUIT\n"
JSON = b'{"op":"subscribe","topic":"reset/#"}\n{"op":"publish","topic":"reset/c","data":[1,"\\u00e9"],"id":1}\n'
FRAMES = frame(TEXT, b"SUB reset/#") + frame(PING, b"x") + frame(TEXT, b"PUB reset/d x", fin=False) + frame(0, b"yz")
PROXY = b"PROXY TCP4 192.0.2.9 192.0.2.1 5 6\r\n"


@pytest.fixture(scope="module")
def options(certificate):
    tls = f"ssl:0:privateKey={certificate}:certKey={certificate}"
    return (
        "--tcp", f"{tls}:id=tls", "--tcp", "haproxy:tcp:0:id=proxied", "--trust-proxy", "127.0.0.0/8",
        "--websocket", "tcp:0:id=pressed:compression=yes", "--websocket", f"{tls}:id=wss",
    )  # fmt: skip


def hello() -> bytes:
    """What a TLS client says first."""
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl._create_unverified_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def conversations(daemon) -> dict[str, tuple[Address, bytes]]:
    offer = upgrade("localhost", "Sec-WebSocket-Extensions: permessage-deflate")
    return {
        "lines": (daemon.tcp[0], LINES),
        "json": (daemon.tcp[0], JSON),
        "raw": (daemon.tcp[1], b""),
        "HTTP at a TCP port": (daemon.tcp[0], b"POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\nPUB probe x\n"),
        "TLS": (daemon.tcp[2], hello()),
        "PROXY": (daemon.tcp[3], PROXY + LINES),
        "WebSocket": (daemon.websocket[0], upgrade("localhost")),
        "compression": (daemon.websocket[2], offer),
        "wss": (daemon.websocket[3], hello()),
    }


def prefixes(data: bytes) -> list[bytes]:
    return [data[: len(data) * n // CUTS] for n in range(CUTS + 1)]


def upgraded(address: Address) -> socket.socket:
    """A connection whose upgrade is done."""
    one = connect(address)
    one.sendall(upgrade("localhost"))
    head = b""
    while b"\r\n\r\n" not in head:
        head += one.recv(4096)
    return one


def opened(daemon):
    """Each conversation, begun and broken off at each of its places: the socket, and what was said."""
    for name, (address, data) in conversations(daemon).items():
        for said in prefixes(data):
            one = connect(address)
            one.sendall(said)
            yield name, one, said
    for said in prefixes(FRAMES):
        one = upgraded(daemon.websocket[0])
        one.sendall(said)
        yield "frames", one, said


def test_reset_in_the_middle_of_everything(daemon):
    """At once, and after the daemon has answered what there was to answer."""
    for wait in (False, True):
        for name, one, said in opened(daemon):
            if wait and name in ("lines", "json", "PROXY", "frames") and said.count(b"\n") > 2:
                assert received(one)
            reset_on_close(one)
            one.close()


def test_reset_while_a_lot_is_on_its_way(daemon):
    """A subscriber that doesn't read is gone while megabytes wait for it, on each transport."""
    with LineClient(daemon.tcp[0]) as publisher:
        for _ in range(3):
            lines = LineClient(connect(daemon.tcp[0], buffer=4096))
            assert lines.ask("SUB load") == "OK SUB load"
            web = [WebSocketClient(daemon.websocket[n], protocol="hubbub.lines", buffer=4096) for n in (0, 2)]
            for one in web:
                assert one.ask("SUB load") == "OK SUB load"
            publisher.send(*[f"PUB load {'x' * 100_000}"] * 30)
            assert publisher.ask("PING") == "PONG"
            for one in (lines, *web):
                reset_on_close(one.socket)
                one.close()
            publisher.send(*[f"PUB load {'x' * 100_000}"] * 5)
            assert publisher.ask("PING") == "PONG"


def test_half_closed_in_the_middle_of_everything(daemon):
    """Who has said its last gets what it asked for, and its connection ends; a subscriber of lines or json may stay."""
    for name, one, said in opened(daemon):
        with one:
            reset_on_close(one)
            one.shutdown(socket.SHUT_WR)
            if b"SUB" in said or b'"subscribe"' in said:
                continue
            output = b"".join(iter(lambda: received(one), b""))  # noqa: B023
            assert name != "lines" or output.startswith(b"PONG\n") == (said >= b"PING")


def test_a_half_closed_subscriber_receives_on(daemon):
    with LineClient(daemon.tcp[0]) as one, LineClient(daemon.tcp[0]) as publisher:
        one.send("SUB half")
        assert one.line() == "OK SUB half"
        reset_on_close(one.socket)
        one.socket.shutdown(socket.SHUT_WR)
        for n in range(10):
            publisher.send(f"PUB half {n}")
            assert one.line() == f"MSG half {n}"
