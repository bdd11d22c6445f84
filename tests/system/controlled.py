"""A daemon with a control socket, for tests of the commands."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

from hub_process import hubbub
from running import Daemon

PLAIN = ("--tcp", "tcp:0:id=a")
ONE = '[[tcp]]\nendpoint = "tcp:0"\nid = "one"\n'


def output(done: subprocess.CompletedProcess, status: int = 0) -> str:
    """What it printed; nothing is on stderr where it went well, and one line where it didn't."""
    assert done.returncode == status, done
    if status == 0:
        assert done.stderr == ""
        return done.stdout
    assert done.stderr.startswith("hubbub: ")
    return done.stderr


class Controlled(Daemon):
    """A daemon with a control socket in `folder`, and a configuration file where one is given."""

    def __init__(self, folder: Path, *options: str, config: str | None = None) -> None:
        self.control = folder / "control.sock"
        self.config = folder / "hubbub.toml"
        if config is not None:
            self.config.write_text(config)
            options = (*options, "--config", str(self.config))
        super().__init__(*options, "--control", str(self.control))

    def ask(self, command: str, *arguments: object) -> subprocess.CompletedProcess:
        return hubbub(command, *arguments, "--control", self.control)

    def raw(self, *sent: bytes) -> list[dict]:
        """Send bytes to the control socket, and return its answers."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(self.control))
            for one in sent:
                client.sendall(one)
            return [json.loads(line) for line in client.makefile("rb")]
