"""Units of text over TCP, UDP and WebSocket: one JSON object each."""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from typing import Protocol

from hubbub import limits
from hubbub.client import errors
from hubbub.client.address import Address
from hubbub.client.wire import LONGEST, WebSocketWire
from hubbub.service.client.base import Lost


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
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or a second write waits for an acknowledgement
        context = address.tls()
        return opened if context is None else context.wrap_socket(opened, server_hostname=address.host)
    except OSError as error:
        raise Lost.of(address, error) from None


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
            raise Lost.of(self._address, error, self._socket) from None


class TCPUnits(_Stream):
    """A unit is a line."""

    def send(self, unit: bytes) -> None:
        self._write(unit + b"\n")

    def receive(self) -> bytes:
        try:
            line = self._reader.readline(LONGEST)
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost.of(self._address, error) from None
        if not line.endswith(b"\n"):
            raise Lost(f"{self._address}: it has closed the connection")
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
            raise Lost.of(self._address, error) from None

    def wait(self, seconds: float | None) -> None:
        self._socket.settimeout(seconds)

    def send(self, unit: bytes) -> None:
        try:
            self._socket.send(unit)
        except OSError as error:
            raise Lost.of(self._address, error) from None

    def receive(self) -> bytes:
        try:
            return self._socket.recv(65_536)
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost.of(self._address, error) from None

    def close(self) -> None:
        self._socket.close()


class WebSocketUnits(_Stream):
    """A unit is a message (RFC 6455)."""

    def __init__(self, address: Address, subprotocol: str) -> None:
        super().__init__(address)
        self._wire = WebSocketWire(address, subprotocol)
        self._units: deque[bytes] = deque()  # that have come and weren't asked for yet
        self._write(self._wire.hello())
        try:
            while not self._wire.opened:
                self._read()
        except Lost:
            self.close()
            raise

    def send(self, unit: bytes) -> None:
        self._write(self._wire.encode(unit))

    def receive(self) -> bytes:
        while not self._units:
            self._read()
        return self._units.popleft()

    def _read(self) -> None:
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost.of(self._address, error) from None
        if not data:
            raise Lost(f"{self._address}: it has closed the connection")
        try:
            units, answer = self._wire.receive(data)
        except errors.Lost as error:
            raise Lost(f"{self._address}: {error}") from None
        self._units += units
        if answer:
            self._write(answer)

    def close(self) -> None:
        with suppress(Lost, TimeoutError):
            self._write(self._wire.goodbye())
        super().close()
