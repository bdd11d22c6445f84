"""A RabbitMQ that speaks STOMP, of Debian packages that `make test-all` unpacks and doesn't install."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ports import free_port
from waiting import wait_for_port

PACKAGES = Path(sys.prefix) / "debian-rabbitmq"
SCRIPT = Path(__file__).parents[3] / "bench" / "rabbitmq.py"
SECONDS = 60.0


@contextmanager
def rabbitmq(folder: Path) -> Iterator[int]:
    """Yields the port on which it speaks STOMP, to guest with the password guest."""
    release = next(PACKAGES.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*"), None)
    if release is None:
        pytest.skip(f"RabbitMQ isn't in {PACKAGES}: tools/unpacked-packages puts it there")
    port = free_port()
    command = [sys.executable, SCRIPT, release, folder, str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, server, SECONDS)
        yield port
    finally:
        server.terminate()
        server.wait(SECONDS)
