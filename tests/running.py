"""A real daemon in a process of its own, for tests over real sockets."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from hub_process import HUBBUB, Forked, start

_READY = re.compile(r"\bready: ")
_START_SECONDS = 60  # a start takes less than one; twenty times that where ten others have the processors, too
_ADDRESS = re.compile(r"(tcp|udp|websocket) (?:\[([^\]]+)\]|([^:,\s]+)):(\d+)")

Address = tuple[str, int]
RUN = (*HUBBUB, "run")
STILL = "client/hubbub.js"  # below the address of a WebSocket listener: loads nothing; `/` draws what each client sends
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "hubbub")


class Daemon:
    """`hubbub run OPTIONS`, ready once the `with` block is entered; port 0 in a spec means any free one.

    tcp, udp, websocket   lists of (host, port) in the order of the options; Unix sockets aren't in them
    lines                 what it has logged, kept up to date by a thread: a full pipe would stop the daemon
    command               what stands before the options where it isn't a plain `hubbub run`
    hands                 descriptors that it gets beside the usual three
    """

    def __init__(
        self,
        *options: str,
        folder: Path | None = None,
        command: tuple[str, ...] | None = None,
        hands: tuple[int, ...] = (),
    ) -> None:
        self.options = options
        self.hands = hands
        self.command = command
        self.folder = folder
        self.lines: list[str] = []
        self.tcp: list[Address] = []
        self.udp: list[Address] = []
        self.websocket: list[Address] = []
        self.process: Forked | subprocess.Popen[bytes]
        self._news = threading.Condition()
        self._ended = False

    def __enter__(self) -> Self:
        if self.command is None:
            self.process = start("run", *self.options, folder=self.folder)
        else:
            self.process = subprocess.Popen(
                [*self.command, *self.options],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
                pass_fds=self.hands,
            )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            ready = self.wait_for(_READY, _START_SECONDS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        for transport, six, four, port in _ADDRESS.findall(ready):
            getattr(self, transport).append((six or four, int(port)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as log:
            for line in log:
                with self._news:
                    self.lines.append(line.decode(errors="replace").rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for(self, pattern: str | re.Pattern[str], seconds: float = 20) -> str:
        """Return the first line of the log that matches; fails when the daemon ends or the time is over."""
        until, seen = time.monotonic() + seconds, 0
        with self._news:
            while True:
                for line in self.lines[seen:]:
                    if re.search(pattern, line):
                        return line
                seen = len(self.lines)
                assert not self._ended, f"the daemon has ended with {self.process.wait(5)}:\n" + "\n".join(self.lines)
                left = until - time.monotonic()
                assert left > 0, f"no {pattern!r} in:\n" + "\n".join(self.lines)
                self._news.wait(left)

    @property
    def log(self) -> str:
        """Everything logged so far."""
        with self._news:
            return "\n".join(self.lines)

    def url(self, at: int = 0, scheme: str = "ws") -> str:
        """The address of a WebSocket listener."""
        host, port = self.websocket[at]
        return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"

    def memory(self) -> int:
        """Bytes of resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def processor(self) -> float:
        """Seconds of processor time that its main thread has used."""
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


class LineClient:
    """A plain client of the lines dialect: over TCP, over a Unix socket (its path), or over a socket that is open."""

    def __init__(self, to: Address | str | socket.socket, seconds: float = 30) -> None:
        if isinstance(to, socket.socket):
            self.socket = to
        elif isinstance(to, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(to)
        else:
            self.socket = socket.create_connection(to)
        self.socket.settimeout(seconds)
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

    def ended(self) -> bool:
        """Wait for the next byte, and tell whether the daemon has closed its side instead."""
        return self.reader.read(1) == b""

    def close(self) -> None:
        self.reader.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
