"""Compression costs no more than the listener's limit, and loses nothing: what comes is whole or refused."""

from __future__ import annotations

import contextlib
import os
import zlib

import pytest
from websockets.sync.client import connect as connect_library

from running import LineClient
from system.clients import BINARY, CONTINUATION, TEXT, MiB, WebSocketClient, frame, reset_on_close

LIMIT = 65_536  # bytes, max-message=
LINK_BYTES = 64 * 1024  # bytes of memory that a compressed link may cost: a window of 32 KiB, and what any link costs
RSV1 = 4
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
OPTIONS = (
    "--websocket", f"tcp:0:id=small:dialect=raw:max-message={LIMIT}:topic=seen:compression=yes",
    "--websocket", "tcp:0:id=pressed:compression=yes",
)  # fmt: skip


def press(data: bytes) -> bytes:
    """Compress a message (RFC 7692 section 7.2.1)."""
    one = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (one.compress(data) + one.flush(zlib.Z_SYNC_FLUSH))[:-4]


def pressed_frame(data: bytes, opcode: int = BINARY) -> bytes:
    return frame(opcode, press(data), rsv=RSV1)


def read_pressed(client: WebSocketClient, window: int = 15) -> tuple[bool, bytes]:
    """The next message, and whether it came compressed; `window` is the logarithm of the client's."""
    first, size = client._exactly(2)
    if size == 126:
        size = int.from_bytes(client._exactly(2), "big")
    data = client._exactly(size)
    if not first & 0x40:
        return False, data
    return True, zlib.decompressobj(-window).decompress(data + b"\0\0\xff\xff")


def ending(client: WebSocketClient) -> int:
    with contextlib.closing(client):
        return client.closed()


def test_a_bomb(daemon):
    """100 MB in 97 kB, at once, in fragments, and by a client that keeps its window though it was asked not to."""
    bomb = press(bytes(100_000_000))
    assert len(bomb) < 100_000
    before = daemon.memory()
    fragments = [frame(BINARY, bomb[:20_000], fin=False, rsv=RSV1), frame(CONTINUATION, bomb[20_000:])]
    for listener in (2, 3):
        for frames in ([frame(BINARY, bomb, rsv=RSV1)], fragments, [pressed_frame(b"x"), frame(TEXT, bomb, rsv=RSV1)]):
            client = WebSocketClient(daemon.websocket[listener], OFFER)
            with contextlib.suppress(ConnectionError):
                client.send_frames(frames)
            assert ending(client) == 1009
    assert daemon.memory() - before < 24 * MiB


@pytest.mark.parametrize("make", [bytes, os.urandom], ids=["zeros", "noise"])
def test_around_the_limit(daemon, make):
    """A message is delivered whole, or refused: never one that was cut."""
    with LineClient(daemon.tcp[0]) as subscriber:
        reset_on_close(subscriber.socket)
        assert subscriber.ask("SUB seen") == "OK SUB seen"
        for more in range(-1, 7):
            data = make(LIMIT + more)
            client = WebSocketClient(daemon.websocket[2], OFFER)
            client.send_frames([pressed_frame(data)])
            if more > 0:
                assert ending(client) == 1009
                continue
            with contextlib.closing(client):
                assert len(subscriber.line()) == len("MSGB seen ") + (LIMIT + more + 2) // 3 * 4
        subscriber.send("PING")
        assert subscriber.line() == "PONG"  # and nothing of the others


@pytest.mark.parametrize(
    ("frames", "codes"), [
        ([frame(BINARY, b"\xff" * 50, rsv=RSV1)], {1002, 1007}),
        ([frame(TEXT, press(b"\xff"), rsv=RSV1)], {1007}),
        ([frame(BINARY, press(b"xy")[:3], rsv=RSV1, fin=False), frame(CONTINUATION, b"y", rsv=RSV1)], {1002}),
        ([frame(9, b"ping", rsv=RSV1)], {1002}),
        ([frame(BINARY, press(b"x"), rsv=RSV1 | 2)], {1002}),
    ], ids=["nonsense", "not UTF-8", "RSV1 in a continuation", "a compressed ping", "RSV2"],
)  # fmt: skip
def test_wrong_frames(daemon, frames, codes):
    client = WebSocketClient(daemon.websocket[2], OFFER)
    client.send_frames(frames)
    assert ending(client) in codes


def test_off_unless_the_listener_says_so(daemon):
    with WebSocketClient(daemon.websocket[0], OFFER) as client:
        assert b"Sec-WebSocket-Extensions" not in client.head
        client.send_frames([pressed_frame(b"PING")])
        assert client.closed() == 1002


def test_what_goes_out(daemon):
    """Compressed for who has asked for it, with a window that the client has room for."""
    text = "PUB out " + "欢迎 " * 1000
    names = {"none": (), "any": (OFFER,), "small window": (f"{OFFER}; server_max_window_bits=10",)}
    with contextlib.ExitStack() as stack:
        clients = {
            name: stack.enter_context(WebSocketClient(daemon.websocket[3], *headers)) for name, headers in names.items()
        }
        for name, client in clients.items():
            client.send("SUB out")
            assert read_pressed(client) == (name != "none", b"OK SUB out")
        clients["any"].send_frames([pressed_frame(text.encode(), TEXT)])
        for name, client in clients.items():
            assert read_pressed(client, 10 if name == "small window" else 15) == (
                name != "none", b"MSG " + text[4:].encode(),
            )  # fmt: skip
        clients["none"].send("PUB out ")
        for name, client in clients.items():
            assert read_pressed(client) == (name != "none", b"MSG out ")


def test_with_a_client_of_another_making(daemon):
    with connect_library(daemon.url(3), compression="deflate") as client:
        client.send("SUB echo")
        assert client.recv() == "OK SUB echo"
        for size in (0, 1, 199, 200, 70_000, 200_000):
            client.send("PUB echo " + "é" * size)
            assert client.recv() == "MSG echo " + "é" * size


def test_memory_of_links(daemon):
    count, before = 100, daemon.memory()
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(WebSocketClient(daemon.websocket[3], OFFER))
            client.send_frames([pressed_frame(b"PING " + b" " * 1000), pressed_frame(b"PING", TEXT)])
            assert client.receive()
        assert daemon.memory() - before < count * LINK_BYTES
