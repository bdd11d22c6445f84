"""Waiting for what another process does: the one way for all tests that nothing notifies."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable

SECONDS = 20.0
_PAUSE = 0.01


def wait_until(
    condition: Callable[[], object],
    seconds: float = SECONDS,
    process: subprocess.Popen[bytes] | None = None,
    failed: Callable[[], str] = lambda: "it doesn't come true",
) -> None:
    """Return once `condition` holds. Fails after `seconds`, with the text of `failed`, and once `process` has ended."""
    until = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, f"{process.args} has ended"
        assert time.monotonic() < until, failed()
        time.sleep(_PAUSE)


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = SECONDS) -> None:
    """Return once a port of this machine, which `process` opens, accepts connections."""

    def accepts() -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    wait_until(accepts, seconds, process, failed=lambda: f"port {port} isn't open")
