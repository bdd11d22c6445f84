"""Devices that listen and are dialled, written with plain sockets."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from typing import Self

from running import Address


class Device:
    """A port on which a device waits to be dialled; `accept` returns each connection.

    context  an ssl.SSLContext, for a device that speaks TLS
    """

    def __init__(self, address: Address | str = ("127.0.0.1", 0), context: object = None) -> None:
        family = (
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self.socket = socket.socket(family)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address)
        self.socket.listen(100)
        self.socket.settimeout(20)
        self.address = self.socket.getsockname()
        self._context = context

    def accept(self) -> Connection:
        one, _ = self.socket.accept()
        one.settimeout(20)
        if self._context is not None:
            one = self._context.wrap_socket(one, server_side=True)  # type: ignore[attr-defined]
        return Connection(one)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Connection:
    """One connection that a device has accepted."""

    def __init__(self, one: socket.socket) -> None:
        self.socket = one
        self._reader = one.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        data = self._reader.read(size)
        assert len(data) == size, f"the link ended after {data!r}"
        return data

    def line(self) -> bytes:
        """Up to and without the next LF, or CR and LF."""
        line = self._reader.readline()
        assert line.endswith(b"\n"), f"the link ended after {line!r}"
        return line.rstrip(b"\r\n")

    def ended(self) -> bool:
        """Wait for the next byte, and tell whether the other side has closed instead."""
        with suppress(ConnectionError):
            return self._reader.read(1) == b""
        return True

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Fleet:
    """Many devices in one thread. Each says its number in a line when it is dialled; those that flap then hang up.

    ports      of all devices, in order
    dialled    how often each was dialled; open: the connections to those that stay
    """

    def __init__(self, count: int, flapping: int) -> None:
        self._selector = selectors.DefaultSelector()
        self.open: list[socket.socket] = []
        self._flapping = flapping
        self._stopping = False
        self.dialled = [0] * count
        self.ports = [self._listen(number) for number in range(count)]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _listen(self, number: int) -> int:
        one = socket.create_server(("127.0.0.1", 0))
        one.setblocking(False)
        self._selector.register(one, selectors.EVENT_READ, number)
        return int(one.getsockname()[1])

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(0.1):
                with suppress(OSError):
                    self._serve(key.fileobj, key.data)  # type: ignore[arg-type]

    def _serve(self, one: socket.socket, number: int | None) -> None:
        if number is None:  # a connection: a command, or its end
            if not one.recv(4096):
                self._selector.unregister(one)
                one.close()
                self.open.remove(one)
            return
        link, _ = one.accept()
        self.dialled[number] += 1
        link.sendall(b"%d\n" % number)
        if number < self._flapping:
            link.close()
        else:
            self.open.append(link)
            self._selector.register(link, selectors.EVENT_READ, None)

    def say(self, data: bytes) -> int:
        """Let each device that stays say `data`; returns how many did."""
        said = 0
        for link in list(self.open):
            with suppress(OSError):
                link.sendall(data)
                said += 1
        return said

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
