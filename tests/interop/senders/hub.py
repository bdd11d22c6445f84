"""Programs and libraries that send logs and metrics, a listener for their dialect, and who hears what comes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from running import Daemon, LineClient

PACKAGES = Path(sys.prefix) / "node-senders" / "node_modules"  # where tools/node-packages puts them
SEND = Path(__file__).with_name("send.js")


class Hub:
    """A daemon with a TCP and a UDP listener for one dialect, and a client that hears everything.

    tcp, udp   where senders find it
    listeners  the same, by name
    """

    def __init__(self, dialect: str, keys: str = "") -> None:
        spec = f":dialect={dialect}{keys}"
        self._daemon = Daemon("--tcp", f"tcp:0{spec}", "--udp", f"udp:0{spec}", "--tcp", "tcp:0:id=watch")

    def __enter__(self) -> Self:
        self._daemon.__enter__()
        self.tcp, self.udp = self._daemon.tcp[0], self._daemon.udp[0]
        self.listeners = {"tcp": self.tcp, "udp": self.udp}
        self._client = LineClient(self._daemon.tcp[1])
        self._client.ask('{"op":"subscribe","topic":"#","meta":true}')
        return self

    def __exit__(self, *error: object) -> None:
        self._client.socket.close()
        self._daemon.__exit__(*error)

    def output(self) -> tuple[str, Any, dict[str, str]]:
        """The next message: its topic, its payload, which is a value where it is JSON, and its properties."""
        said = json.loads(self._client.line())
        assert said["op"] == "message", said
        return said["topic"], said["data"], said.get("properties", {})

    def next(self) -> tuple[str, Any]:
        """The next message, without its properties."""
        return self.output()[:2]

    @property
    def log(self) -> str:
        return self._daemon.log


@contextmanager
def collectd(program: str, folder: Path, plugins: str) -> Iterator[None]:
    """Collectd, which reads the load ten times a second; `plugins` says where that goes."""
    file = folder / "collectd.conf"
    file.write_text(f"""
        BaseDir "{folder}"
        PIDFile "{folder}/pid"
        Hostname "press1"
        FQDNLookup false
        Interval 0.1
        LoadPlugin load
        {plugins}
    """)
    process = subprocess.Popen([program, "-f", "-C", str(file)])
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def send_from_node(node: str, library: str, hub: Hub, transport: str) -> None:
    """Let a library of npm send what send.js says of it."""
    with sending_from_node(node, library, hub, transport):
        pass


@contextmanager
def sending_from_node(node: str, library: str, hub: Hub, transport: str, *more: str) -> Iterator[None]:
    """Let a library of npm send; one that stays is ended afterwards."""
    if not (PACKAGES / library).exists():
        pytest.skip(f"{library} isn't in {PACKAGES}: tools/node-packages puts it there")
    host, port = hub.listeners[transport]
    command = [node, str(SEND), str(PACKAGES), library, host, str(port), transport, *more]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
