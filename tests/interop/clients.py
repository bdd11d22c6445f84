"""Real clients of each transport that a test tells what to send, and what it must be given next.

`send("SUB a/#")` sends one command; `expect("OK SUB a/#")` takes the next unit, whole, and fails when another comes,
or none within SECONDS.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from ssl import SSLContext
from typing import Any, Self

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.sync.client import connect
from websockets.uri import parse_uri

from running import Address, LineClient

SECONDS = 20.0
DATAGRAM = 65_507  # bytes of the largest datagram over IPv4


class Program:
    """A program such as nc, spoken to by its standard input and output.

    end   what ends a unit: LF on a stream, nothing over UDP, where the program writes datagrams one after the other
    """

    def __init__(self, *command: object, end: bytes = b"\n") -> None:
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self._end = end

    def send(self, command: str) -> None:
        assert self.process.stdin is not None
        left = memoryview(command.encode() + b"\n")
        while left:
            left = left[self.process.stdin.write(left) :]

    def expect(self, unit: str) -> None:
        wanted = unit.encode() + self._end
        found = self.read(len(wanted))
        if found != wanted:  # not by assert: a diff of a megabyte takes longer than the test
            raise AssertionError(f"{found[:200]!r} came, and not {wanted[:200]!r}")

    def read(self, size: int) -> bytes:
        """Return so many bytes of its output; fewer at its end."""
        assert self.process.stdout is not None
        found, until = bytearray(), time.monotonic() + SECONDS
        while len(found) < size:
            ready, _, _ = select.select([self.process.stdout], [], [], until - time.monotonic())
            assert ready, f"only {bytes(found[:200])!r} came within {SECONDS:g} s"
            piece = os.read(self.process.stdout.fileno(), size - len(found))
            if not piece:
                break
            found += piece
        return bytes(found)

    def hang_up(self) -> None:
        """Let it see the end of its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Tcp(LineClient):
    """A plain TCP socket."""

    def expect(self, unit: str) -> None:
        assert self.line() == unit


class Udp:
    """A plain UDP socket."""

    def __init__(self, address: Address) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(SECONDS)
        self.socket.connect(address)

    def send(self, command: str | bytes) -> None:
        self.socket.send(command.encode() if isinstance(command, str) else command)

    def receive(self) -> bytes:
        return self.socket.recv(65_536)

    def expect(self, unit: str) -> None:
        assert self.receive().decode() == unit

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WebSocket:
    """Python's `websockets`."""

    def __init__(self, url: str, subprotocol: str | None = "hubbub.lines", **more: Any) -> None:
        names: Any = None if subprotocol is None else [subprotocol]
        self._context = connect(url, subprotocols=names, max_size=None, open_timeout=SECONDS, **more)
        self.socket = self._context.__enter__()
        assert self.socket.subprotocol == subprotocol

    def send(self, message: str | bytes) -> None:
        self.socket.send(message)

    def receive(self) -> str | bytes:
        return self.socket.recv(SECONDS)

    def expect(self, unit: str | bytes) -> None:
        found = self.receive()
        if found != unit:
            raise AssertionError(f"{found[:200]!r} came, and not {unit[:200]!r}")

    def close(self) -> None:
        self._context.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SansIO:
    """The same library in one thread, for TLS: OpenSSL doesn't let one thread write while another reads."""

    def __init__(
        self,
        url: str,
        address: Address,
        trust: SSLContext | None,
        headers: Mapping[str, str] | None = None,
        subprotocol: str | None = None,
    ) -> None:
        names: Any = None if subprotocol is None else [subprotocol]
        self._protocol = ClientProtocol(parse_uri(url), subprotocols=names, max_size=None)
        self._socket = socket.create_connection(address, timeout=SECONDS)
        if trust is not None:
            self._socket = trust.wrap_socket(self._socket, server_hostname="localhost")
        request = self._protocol.connect()
        request.headers.update(headers or {})
        self._protocol.send_request(request)
        self._found: list[Any] = []
        while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
            self._turn()
        if self._protocol.handshake_exc is not None:
            self._socket.close()
            raise self._protocol.handshake_exc

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)

    def _turn(self) -> bytes:
        self._flush()
        data = self._socket.recv(65_536)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._found.append(bytes(event.data).decode())
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                self._found.append(bytes(event.data))
        return data

    def send(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._protocol.send_binary(message)
        else:
            self._protocol.send_text(message.encode())
        self._flush()

    def receive(self) -> Any:
        """Return the next message: str, or bytes of a binary one."""
        while not self._found:
            if not self._turn():
                raise EOFError
        return self._found.pop(0)

    def expect(self, unit: str) -> None:
        found = self.receive()
        if found != unit:
            raise AssertionError(f"{found[:200]!r} came, and not {unit[:200]!r}")

    def close(self) -> None:
        with suppress(OSError, InvalidState):
            self._protocol.send_close(1000)
            while self._turn():
                pass
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
