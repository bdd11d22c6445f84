"""A real daemon in a process of its own, for tests over real sockets."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

_ADDRESS = re.compile(r"(tcp|udp|websocket) (?:\[([^\]]+)\]|([^:,\s]+)):(\d+)")


class Daemon:
    """`twistd -n hubbub OPTIONS`, ready once the `with` block is entered; port 0 in a spec means any free one.

    tcp, udp, websocket   lists of (host, port) in the order of the options
    """

    def __init__(self, *options: str, folder: Path | None = None) -> None:
        self.options = options
        self.folder = folder
        self.lines: list[str] = []
        self.tcp: list[tuple[str, int]] = []
        self.udp: list[tuple[str, int]] = []
        self.websocket: list[tuple[str, int]] = []

    def __enter__(self) -> Daemon:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hubbub", "run", *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
        )  # fmt: skip
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        ready = self.wait_for(_READY)
        for transport, six, four, port in _ADDRESS.findall(ready):
            getattr(self, transport).append((six or four, int(port)))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.read()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def read(self) -> None:
        """Take what the daemon has logged."""
        assert self.process.stdout is not None
        data = self.process.stdout.read()
        if data:
            self.lines += data.decode(errors="replace").splitlines()

    def wait_for(self, pattern: str | re.Pattern[str], seconds: float = 20) -> str:
        """Return the first line of the log that matches; fails when the daemon ends or the time is over."""
        until = time.monotonic() + seconds
        while True:
            self.read()
            for line in self.lines:
                if re.search(pattern, line):
                    return line
            assert self.process.poll() is None, "the daemon has ended:\n" + "\n".join(self.lines)
            assert time.monotonic() < until, f"no {pattern!r} in:\n" + "\n".join(self.lines)
            select.select([self.process.stdout], [], [], 0.1)

    @property
    def log(self) -> str:
        """Everything logged so far."""
        self.read()
        return "\n".join(self.lines)

    def memory(self) -> int:
        """Bytes of resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


class LineClient:
    """A plain TCP client of the lines dialect."""

    def __init__(self, address: tuple[str, int], seconds: float = 10) -> None:
        self.socket = socket.create_connection(address, timeout=seconds)
        self.reader = self.socket.makefile("rb")

    def send(self, *lines: str) -> None:
        self.socket.sendall("".join(line + "\n" for line in lines).encode())

    def line(self) -> str:
        """The next line without its LF; fails at the end of input."""
        line = self.reader.readline()
        assert line.endswith(b"\n"), f"the link ended after {line!r}"
        return line[:-1].decode()

    def ask(self, command: str) -> str:
        self.send(command)
        return self.line()

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def __enter__(self) -> LineClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
