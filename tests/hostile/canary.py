"""A client in a process of its own that asks PING all the while, and how much the daemon did before it answered."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROMISED = 0.05  # seconds that a PING may take: the promise of docs/security.md
FACTOR = 3  # for a machine with other work to do
WARM = 20  # answers before the first that counts


class Canary:
    """Pings a daemon until its block ends.

    worst  seconds of processor time that the daemon used while the slowest PING waited. On a quiet machine that is how
           long the client waited; on a busy one it is what the daemon can be blamed for.
    """

    def __init__(self, daemon: Any) -> None:
        host, port = daemon.tcp[0]
        self._place = [host, str(port), str(daemon.process.pid)]
        self.worst = 0.0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__, *self._place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.worst = float(self._process.communicate("\n", timeout=120)[0] or "inf")

    def check(self, seconds: float = PROMISED) -> None:
        """Fail if the daemon did other work for more than `seconds`, times three, before it answered a PING."""
        assert self.worst < FACTOR * seconds, f"the slowest PING waited for {self.worst:.3f} s of other work"


def _main(host: str, port: str, process: str) -> None:
    with contextlib.suppress(PermissionError):  # or what the daemon does until this process runs again would count too
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    used = Path(f"/proc/{process}/task/{process}/schedstat")
    client = socket.create_connection((host, int(port)))
    os.set_blocking(0, False)
    worst, count, ended = 0, 0, False
    while not ended:
        before = int(used.read_text().split()[0])  # nanoseconds on a processor
        client.sendall(b"PING\n")
        assert client.recv(100)
        after = int(used.read_text().split()[0])
        count += 1
        if count == WARM:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
        elif count > WARM:
            worst = max(worst, after - before)
        time.sleep(0.001)
        with contextlib.suppress(BlockingIOError):
            ended = bool(os.read(0, 100))
    sys.stdout.write(f"{worst / 1e9}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
