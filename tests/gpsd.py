"""A gpsd that reads what the test feeds it as datagrams, and that can be restarted."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from ports import free_port
from waiting import wait_for_port


class Gpsd:
    """One gpsd; `port` is where its clients dial."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port, source = free_port(), free_port(socket.SOCK_DGRAM)
        command = [program, "-N", "-n", "-S", str(self.port), "-F", str(folder / "gpsd.sock")]
        self._command = [*command, f"udp://127.0.0.1:{source}"]
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        self._receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._receiver.connect(("127.0.0.1", source))

    def restart(self) -> None:
        """Stop it, and start another one in its place."""
        self._stop()
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def feed(self, lines: Iterable[str]) -> None:
        """Let it read lines, each as a datagram."""
        for line in lines:
            try:
                self._receiver.send(f"{line}\n".encode())
            except ConnectionError:  # it doesn't listen yet
                self._receiver.send(f"{line}\n".encode())

    def __enter__(self) -> Self:
        wait_for_port(self.port, self._process)
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.close()
        self._stop()

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
