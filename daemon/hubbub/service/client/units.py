"""Units of text over TCP, UDP and WebSocket: one JSON object each."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from contextlib import suppress
from typing import Protocol

from hubbub import limits
from hubbub.service.client.address import Address
from hubbub.service.client.base import Lost
from hubbub.transports.frames import TEXT, masked_frame

_LONGEST = 8 * limits.MESSAGE_BYTES  # bytes of one unit: JSON may take 6 for one
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_CLOSE, _PING, _PONG = 8, 9, 10


class Units(Protocol):
    """A connection. Each method raises Lost, or TimeoutError after the seconds of `wait`."""

    def send(self, unit: bytes) -> None: ...
    def receive(self) -> bytes: ...
    def wait(self, seconds: float | None) -> None: ...
    def close(self) -> None: ...


def connect(address: Address) -> socket.socket:
    """Open a TCP connection, with TLS where the scheme says so. Raises Lost."""
    try:
        opened = socket.create_connection((address.host, address.port), limits.CONNECT_SECONDS)
        context = address.tls()
        return opened if context is None else context.wrap_socket(opened, server_hostname=address.host)
    except OSError as error:
        raise Lost(f"{address}: {getattr(error, 'strerror', None) or error}") from None


class _Stream:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket = connect(address)
        self._reader = self._socket.makefile("rb")

    def wait(self, seconds: float | None) -> None:
        """Wait so long for each piece, None: for ever."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
        self._socket.close()

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise self._lost(error) from None

    def _lost(self, error: OSError | None = None) -> Lost:
        why = "it has closed the connection" if error is None else error.strerror or str(error)
        return Lost(f"{self._address}: {why}")


class TCPUnits(_Stream):
    """A unit is a line."""

    def send(self, unit: bytes) -> None:
        self._write(unit + b"\n")

    def receive(self) -> bytes:
        try:
            line = self._reader.readline(_LONGEST)
        except TimeoutError:
            raise
        except OSError as error:
            raise self._lost(error) from None
        if not line.endswith(b"\n"):
            raise self._lost()
        return line


class UDPUnits:
    """A unit is a datagram."""

    def __init__(self, address: Address) -> None:
        self._address = address
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
            # Of the addresses of localhost hubbub has this by default, and a lost datagram tells nothing.
            family, kind, protocol, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
            self._socket = socket.socket(family, kind, protocol)
            self._socket.connect(place)
        except OSError as error:
            raise self._lost(error) from None

    def wait(self, seconds: float | None) -> None:
        self._socket.settimeout(seconds)

    def send(self, unit: bytes) -> None:
        try:
            self._socket.send(unit)
        except OSError as error:
            raise self._lost(error) from None

    def receive(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except TimeoutError:
            raise
        except OSError as error:
            raise self._lost(error) from None

    def close(self) -> None:
        self._socket.close()

    def _lost(self, error: OSError) -> Lost:
        return Lost(f"{self._address}: {error.strerror or error}")


class WebSocketUnits(_Stream):
    """A unit is a message (RFC 6455)."""

    def __init__(self, address: Address, subprotocol: str) -> None:
        super().__init__(address)
        key = base64.b64encode(os.urandom(16))
        host = str(address).partition("://")[2]
        lines = [
            f"GET {address.path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {subprotocol}",
        ]  # fmt: skip
        self._write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = self._head()
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        if b" 101 " not in head[0] or accept not in b"".join(head):
            self.close()
            raise Lost(f"{address}: no WebSocket there: {head[0].decode('latin-1').strip()}")

    def _head(self) -> list[bytes]:
        found = []
        while (line := self._reader.readline(limits.HEADER_BYTES)) not in (b"\r\n", b"\n", b""):
            found.append(line)
            if len(found) > limits.HEADER_BYTES // 16:
                break
        return found or [b"nothing"]

    def send(self, unit: bytes) -> None:
        self._write(masked_frame(unit, TEXT, os.urandom(4)))

    def receive(self) -> bytes:
        pieces: list[bytes] = []
        while True:
            first, size = self._exactly(2)
            size &= 127
            if size > 125:
                size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
            if size > _LONGEST:
                raise Lost(f"{self._address}: a message has {size} bytes")
            data, opcode = self._exactly(size), first & 15
            if opcode == _PING:
                self._write(masked_frame(data, _PONG, os.urandom(4)))
            elif opcode == _CLOSE:
                raise Lost(f"{self._address}: {data[2:].decode(errors='replace') or 'it has closed the connection'}")
            elif opcode != _PONG:
                pieces.append(data)
                if first & 128:
                    return b"".join(pieces)

    def _exactly(self, size: int) -> bytes:
        try:
            data = self._reader.read(size)
        except TimeoutError:
            raise
        except OSError as error:
            raise self._lost(error) from None
        if len(data) < size:
            raise self._lost()
        return data

    def close(self) -> None:
        with suppress(Lost, TimeoutError):
            self._write(masked_frame((1000).to_bytes(2, "big"), _CLOSE, os.urandom(4)))
        super().close()
