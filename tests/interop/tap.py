"""A tap on the wire: a TCP proxy that keeps what passes through it, and can hold back what the daemon sends."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

from running import Address

_BUFFER = 65_536  # bytes that the system may keep for us: a tap that holds must soon be felt by the daemon


class Tap:
    """Listens on `address` and passes on to `to`, until either side closes.

    up, down   all bytes that came from clients, and from the daemon
    flowing    an Event; while it is cleared, nothing more is read from the daemon
    """

    def __init__(self, to: Address) -> None:
        self.up = bytearray()
        self.down = bytearray()
        self.flowing = threading.Event()
        self.flowing.set()
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: Address = self._listener.getsockname()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.flowing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_INET6 if ":" in self._to[0] else socket.AF_INET) as daemon:
            daemon.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            daemon.connect(self._to)
            down = threading.Thread(target=self._pass_on, args=(daemon, client, self.down, self.flowing))
            down.start()
            self._pass_on(client, daemon, self.up)
            down.join()

    def _pass_on(
        self, here: socket.socket, there: socket.socket, kept: bytearray, gate: threading.Event | None = None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := here.recv(_BUFFER):
                kept += data
                there.sendall(data)
                if gate is not None:
                    gate.wait()
        for one in (here, there):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
