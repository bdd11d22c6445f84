"""Clients that can do what no library lets a client do: wrong frames, half handshakes, no reading."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
from collections.abc import Iterable

from running import Address

MiB = 1024 * 1024
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(
    opcode: int, data: bytes, *, fin: bool = True, rsv: int = 0, masked: bool = True, size: int | None = None
) -> bytes:
    """Write one frame as a client does (RFC 6455 section 5.2), or wrongly: `size` is what its header claims."""
    size = len(data) if size is None else size
    first = fin << 7 | rsv << 4 | opcode
    mask = masked << 7
    if size < 126:
        head = bytes((first, mask | size))
    elif size < 65536:
        head = bytes((first, mask | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, mask | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + data if masked else head + data  # a mask of zeros leaves the data as it is


def upgrade(host: str, *headers: str, path: str = "/", method: str = "GET") -> bytes:
    """Write an opening handshake (RFC 6455 section 4.1)."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def connect(address: Address, buffer: int | None = None, seconds: float = 20) -> socket.socket:
    """Open a TCP connection; `buffer`: bytes that the kernel may keep of what isn't read."""
    one = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    one.settimeout(seconds)
    if buffer is not None:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    one.connect(address)
    return one


def reset_on_close(client: socket.socket) -> None:
    """Have close() reset the connection: where a subscriber ends its input, the daemon takes its time to see it go."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def pour(to: socket.socket, data: bytes, total: int) -> int:
    """Send `data` again and again until it was `total` bytes, or the other side cuts the link. Returns bytes sent."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < total:
            sent += to.send(data)
    return sent


def received(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except ConnectionError:
        return b""


def drop(client: socket.socket, size: int) -> None:
    """Read so many bytes at least; AssertionError: it ended before."""
    while size > 0:
        piece = client.recv(1 << 20)
        assert piece, f"{size} bytes are missing"
        size -= len(piece)


def status(head: bytes) -> int:
    """The status of an HTTP response."""
    return int(head.split(b" ", 2)[1])


class WebSocketClient:
    """One WebSocket connection."""

    def __init__(self, address: Address, *headers: str, protocol: str | None = None, buffer: int | None = None) -> None:
        self.socket = connect(address, buffer)
        self.reader = self.socket.makefile("rb")
        if protocol is not None:
            headers = (*headers, f"Sec-WebSocket-Protocol: {protocol}")
        self.socket.sendall(upgrade("{}:{}".format(*address), *headers))
        self.head = self.response()
        assert status(self.head) == 101, self.head

    def response(self) -> bytes:
        return b"".join(iter(self.reader.readline, b"\r\n"))

    def send(self, text: str) -> None:
        self.socket.sendall(frame(TEXT, text.encode()))

    def send_frames(self, frames: Iterable[bytes]) -> None:
        self.socket.sendall(b"".join(frames))

    def receive(self) -> tuple[int, bytes]:
        """The next frame's opcode and data; a ping is answered. Raises EOFError."""
        while True:
            opcode, data = self._frame()
            if opcode != PING:
                return opcode, data
            self.send_frames([frame(PONG, data)])

    def _frame(self) -> tuple[int, bytes]:
        head = self._exactly(2)
        size = head[1] & 127
        if size == 126:
            size = int.from_bytes(self._exactly(2), "big")
        elif size == 127:
            size = int.from_bytes(self._exactly(8), "big")
        return head[0] & 15, self._exactly(size)

    def line(self) -> str:
        """The next message; fails where it isn't text."""
        opcode, data = self.receive()
        assert opcode == TEXT, (opcode, data)
        return data.decode()

    def ask(self, text: str) -> str:
        self.send(text)
        return self.line()

    def closed(self) -> int:
        """Read up to the close frame and return its code."""
        while True:
            opcode, data = self.receive()
            if opcode == CLOSE:
                return int.from_bytes(data[:2], "big")

    def _exactly(self, size: int) -> bytes:
        data = self.reader.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def __enter__(self) -> WebSocketClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Datagrams:
    """A UDP client: a message is a datagram."""

    def __init__(self, address: Address, seconds: float = 20) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(seconds)
        self.socket.connect(address)

    def send(self, text: str) -> None:
        self.socket.send(text.encode())

    def line(self) -> str:
        return self.socket.recv(65536).decode()

    def ask(self, text: str) -> str:
        self.send(text)
        return self.line()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Datagrams:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
