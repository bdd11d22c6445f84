"""A WebSocket client (RFC 6455) in memory, just enough of one to talk to the real site."""

from __future__ import annotations

import os
from typing import Any

from hubbub.testing.streams import TCPClient, Turns

_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x1, 0x2, 0x8, 0x9, 0xA  # opcodes (section 5.2)
_HANDSHAKE = (
    "GET /any HTTP/1.1\r\nHost: 192.0.2.1:8999\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def masked(data: bytes, opcode: int, last: bool = True) -> bytes:
    """Write one frame as a client does; `last`: the last of its message (section 5.2)."""
    first, size = opcode | (0x80 if last else 0), len(data)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    key = os.urandom(4)
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return head + key + (int.from_bytes(data, "big") ^ mask).to_bytes(size, "big")


class WebSocketClient(TCPClient):
    """A WebSocket client's end. A str is a text message, bytes are a binary one.

    subprotocol  what it asks for; after the handshake `subprotocol` is what it got, or None
    response     the daemon's answer to the handshake, up to the empty line
    close_code   and close_reason: what the daemon's close frame says, None before
    """

    def __init__(
        self, world: Turns, protocol: Any, host: str, port: int, subprotocol: str | None = None, **headers: str
    ) -> None:
        self._messages: list[str | bytes] = []
        self.response = b""
        self.close_code: int | None = None
        self.close_reason: str | None = None
        super().__init__(world, protocol, host, port)
        asked = {"sec_websocket_protocol": subprotocol} if subprotocol is not None else {}
        lines = (f"{name.replace('_', '-')}: {value}\r\n" for name, value in {**asked, **headers}.items())
        self.send_bytes((_HANDSHAKE + "".join(lines) + "\r\n").encode())

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the daemon has chosen."""
        for line in self.response.decode().split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "sec-websocket-protocol":
                return value.strip()
        return None

    def send(self, message: str | bytes) -> None:
        """Send one message."""
        self.send_bytes(self.encode(message))

    def send_bytes(self, data: bytes) -> None:
        """Put bytes on the wire as they are."""
        super().send(data)

    def encode(self, message: str | bytes) -> bytes:
        """Write a message as one frame."""
        if isinstance(message, str):
            return masked(message.encode(), _TEXT)
        return masked(message, _BINARY)

    def leave(self, code: int = 1000) -> None:
        """Begin the closing handshake."""
        self.send_bytes(masked(code.to_bytes(2, "big"), _CLOSE))

    def received(self) -> list[str | bytes]:
        """Return the messages that have come since the last look."""
        messages, self._messages = self._messages, []
        return messages

    def receive(self, data: bytes) -> None:
        """Take what the daemon writes; pings and the closing handshake are answered at once."""
        super().receive(data)
        if not self.response:
            head, end, rest = bytes(self._received).partition(b"\r\n\r\n")
            if not end:
                return
            self.response = head
            self._received[:] = rest
        if not self.response.startswith(b"HTTP/1.1 101 "):
            return  # a page, or a refusal
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            if opcode in (_TEXT, _BINARY):
                self._messages.append(payload.decode() if opcode == _TEXT else payload)
            else:
                self._control(opcode, payload)

    def _frame(self) -> tuple[int, bytes] | None:
        """Take one whole frame; a server's are unmasked, and this one's are never fragmented."""
        buffer = self._received
        if len(buffer) < 2:
            return None
        assert buffer[0] & 0xF0 == 0x80, "a whole frame without extensions"
        assert not buffer[1] & 0x80, "a server doesn't mask"
        size, start = buffer[1], 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return None
        opcode, data = buffer[0] & 0x0F, bytes(buffer[start : start + size])
        del buffer[: start + size]
        return opcode, data

    def _control(self, opcode: int, data: bytes) -> None:
        if opcode == _PING:
            self.send_bytes(masked(data, _PONG))
        elif opcode == _CLOSE:
            self.close_code = int.from_bytes(data[:2], "big") if data else 1005  # section 7.1.5
            self.close_reason = data[2:].decode()
            if not self.closed:
                self.send_bytes(masked(data[:2], _CLOSE))
