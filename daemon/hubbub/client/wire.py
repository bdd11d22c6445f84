"""Units of text within a stream of bytes, from the client's side and without I/O: lines, or WebSocket (RFC 6455)."""

from __future__ import annotations

import base64
import hashlib
import os

from hubbub import limits
from hubbub.client.address import Address
from hubbub.client.errors import Lost
from hubbub.option import shown
from hubbub.transports.frames import TEXT, masked_frame

LONGEST = 8 * limits.MESSAGE_BYTES  # bytes of one unit: JSON may take 6 for one
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_CLOSE, _PING, _PONG = 8, 9, 10
_CONTROL = 8  # opcodes from here on are control frames (section 5.5)
_CONTROL_BYTES = 125  # of the payload of one


class LineWire:
    """A unit is a line."""

    def __init__(self) -> None:
        self._read = bytearray()

    opened = True

    def hello(self) -> bytes:
        """Return what is sent first."""
        return b""

    def encode(self, unit: bytes) -> bytes:
        """Return the bytes of one unit."""
        return unit + b"\n"

    def receive(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the units that are whole now, and what is to be sent at once. Raises Lost."""
        first, *more = data.split(b"\n")  # the line that isn't over is looked at once, however it comes
        self._read += first
        units = []
        for line in more:
            units.append(bytes(self._read))
            self._read = bytearray(line)
        if len(self._read) > LONGEST:
            raise Lost(f"the hub sent a line of more than {LONGEST} bytes")
        return units, b""

    def goodbye(self) -> bytes:
        """Return what is sent last; without it the hub takes an end for one of nc -N, which still reads."""
        return b'{"op":"bye"}\n'


class WebSocketWire:
    """A unit is a message."""

    def __init__(self, address: Address, subprotocol: str) -> None:
        self.opened = False  # the hub has answered the handshake
        self._key = base64.b64encode(os.urandom(16))
        self._hello = _handshake(address, self._key, subprotocol)
        self._read = bytearray()
        self._message = bytearray()  # the fragments of the message that comes

    def hello(self) -> bytes:
        """Return the handshake (section 4.1)."""
        return self._hello

    def encode(self, unit: bytes) -> bytes:
        """Return the bytes of one unit."""
        return masked_frame(unit, TEXT, os.urandom(4))

    def receive(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the units that are whole now, and what is to be sent at once. Raises Lost."""
        self._read += data
        if not self.opened and not self._answered():
            return [], b""
        units: list[bytes] = []
        answer = b""
        while (found := self._frame()) is not None:
            first, payload = found
            opcode = first & 15
            if opcode >= _CONTROL and len(payload) > _CONTROL_BYTES:
                raise Lost("the hub sent a control frame that is too long")
            if opcode == _PING:  # the last one is enough (section 5.5.3)
                answer = masked_frame(payload, 0x80 | _PONG, os.urandom(4))
            elif opcode == _CLOSE:
                raise Lost(shown(payload[2:].decode(errors="replace")) or "the hub closed the connection")
            elif opcode < _CONTROL:
                units += self._joined(payload, last=first >= 0x80)
        return units, answer

    def goodbye(self) -> bytes:
        """Return the closing frame (section 5.5.1)."""
        return masked_frame((1000).to_bytes(2, "big"), 0x80 | _CLOSE, os.urandom(4))

    def _answered(self) -> bool:
        head, end, rest = self._read.partition(b"\r\n\r\n")
        if not end:
            if len(head) > limits.HEADER_BYTES:
                raise Lost("there is no WebSocket: the answer to the handshake is too long")
            return False
        accept = base64.b64encode(hashlib.sha1(self._key + _GUID, usedforsecurity=False).digest())
        status, *fields = bytes(head).split(b"\r\n")
        accepted = {one.partition(b":")[2].strip() for one in fields if one[:21].lower() == b"sec-websocket-accept:"}
        if b" 101" not in status or accept not in accepted:
            raise Lost(f"there is no WebSocket: {shown(status.decode('latin-1'))}")
        self._read = rest
        self.opened = True
        return True

    def _frame(self) -> tuple[int, bytes] | None:
        """Return first byte and payload of the next frame, None where it isn't whole (section 5.2)."""
        read = self._read
        if len(read) < 2:
            return None
        start, size = 2, read[1] & 127
        if size > 125:
            start = 4 if size == 126 else 10
            if len(read) < start:
                return None
            size = int.from_bytes(read[2:start], "big")
        if size > LONGEST:
            raise Lost(f"the hub sent a message of more than {LONGEST} bytes")
        if len(read) < start + size:
            return None
        found = read[0], bytes(read[start : start + size])
        del read[: start + size]
        return found

    def _joined(self, payload: bytes, *, last: bool) -> list[bytes]:
        if last and not self._message:
            return [payload]
        self._message += payload
        if len(self._message) > LONGEST:
            raise Lost(f"the hub sent a message of more than {LONGEST} bytes")
        if not last:
            return []
        whole, self._message = bytes(self._message), bytearray()
        return [whole]


def wire_of(address: Address) -> LineWire | WebSocketWire:
    """Return the wire that the scheme of `address` names."""
    return LineWire() if address.scheme == "tcp" else WebSocketWire(address, "hubbub.json")


def _handshake(address: Address, key: bytes, subprotocol: str) -> bytes:
    host = str(address).partition("://")[2]
    lines = [
        f"GET {address.path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Protocol: {subprotocol}",
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
