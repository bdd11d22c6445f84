"""Starting a peer on loopback, on a core of its own, and stopping it."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.peers import Peer, Ports, Running, Unusable

STOP = 5.0  # s to end


def cores() -> tuple[int, int]:
    """One for the server, another for the load where there is one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Processes started within run on `core` alone, from the start: that is when Go counts its cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(peer: Peer) -> Iterator[Running]:
    """Start `peer` on the server's core, wait until it accepts, stop it at the end. Raises `Unusable`."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{peer.name}-") as folder:
        ports = _free_ports()
        log = Path(folder) / "log"
        with log.open("wb") as output, pinned(cores()[0]):
            process = subprocess.Popen(
                peer.command(Path(folder), ports),
                cwd=folder,
                env=os.environ | peer.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            for port in (ports.tcp, ports.websocket, ports.tls, ports.wss)[: 1 + peer.websocket + 2 * peer.tls]:
                _wait_until_ready(peer, process, port, log)
            yield Running(process.pid, ports)
        finally:
            _stop(process)


def _free_ports() -> Ports:
    kinds = (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_STREAM)
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(type=kind)) for kind in kinds]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return Ports(*(each.getsockname()[1] for each in sockets))


def _wait_until_ready(peer: Peer, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + peer.ready
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Unusable(f"{peer.name} ended with status {process.returncode}: {_last_line(log)}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise Unusable(f"{peer.name} didn't accept a connection within {peer.ready:.0f} s: {_last_line(log)}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
