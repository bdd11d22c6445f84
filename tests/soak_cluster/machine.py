"""One machine: a nats-server and a node."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from interop.nats.server import PROGRAM
from running import RUN, Daemon
from soak_cluster.network import MACHINES

_CONFIG = 'jetstream {{ store_dir: "{store}", max_file_store: 1TB }}\n'


class Machine:
    """What runs on it, which may be killed, paused and started again."""

    def __init__(self, network: Any, folder: Path, at: int) -> None:
        self.at = at
        self.name = f"n{at}"
        self.network = network
        self.where = (network.outside(at), 6999)
        self._folder = folder / self.name
        self._folder.mkdir()
        (self._folder / "nats.conf").write_text(_CONFIG.format(store=self._folder / "js"))
        self.server: subprocess.Popen[bytes] | None = None
        self.node: Daemon | None = None
        self.logs: list[str] = []

    def start_server(self) -> None:
        own = self.network.inside(self.at)
        routes = ",".join(f"nats://{self.network.inside(at)}:6222" for at in range(MACHINES))
        options = (
            f"-a {own} -p 4222 -m 8222 --cluster nats://{own}:6222 --cluster_name soak --routes {routes} -n {self.name}"
        )
        command = [*self.network.prefix(self.at), str(PROGRAM), *options.split(), "-c", str(self._folder / "nats.conf")]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start_node(self) -> None:
        servers = [self.network.inside((self.at + more) % MACHINES) for more in range(MACHINES)]  # its own first
        cluster = ",".join(f"nats://{one}:4222" for one in servers)
        options = [
            "--tcp", f"tcp:6999:interface={self.where[0]}:anonymous=yes",
            "--cluster", f"{cluster}:name={self.name}:replicas=3:stream-bytes=256MiB",
            "--history", "soak/#", "--state", str(self._folder / "state"), "--control", str(self._folder / "control"),
            "--limit", "source-connections=1000",
        ]  # fmt: skip
        self.node = Daemon(*options, command=(*self.network.prefix(self.at), *RUN))
        self.node.__enter__()

    def end_server(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.server is not None:
            self.server.send_signal(number)
            self.server.wait()
            self.server = None

    def end_node(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.node is not None:
            self.node.process.send_signal(number)
            self.node.process.wait(60)
            self.node.__exit__(None, None, None)
            self.logs.append(self.node.log)
            self.node = None

    def leader(self) -> str | None:
        """The server that leads the stream of messages, as this one knows it."""
        try:
            with urllib.request.urlopen(f"http://{self.network.inside(self.at)}:8222/jsz?streams=1", timeout=1) as page:
                found = json.load(page)
        except (OSError, ValueError):
            return None
        streams = [one for account in found.get("account_details", ()) for one in account.get("stream_detail", ())]
        return next((one["cluster"].get("leader") for one in streams if one["name"].endswith("_messages")), None)


def paused(process: Any, seconds: float) -> None:
    """Stop a process for some time."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)
