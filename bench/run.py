"""One work against one peer: start it, load it, and take the figure."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.peers import BUILD, HERE, PEERS, Peer, Running, Unusable
from bench.start import cores, pinned, running
from bench.usage import waited
from bench.works import Work

SATURATED = 0.95  # of the load's core
LOAD_LIMIT = 180.0  # s, for one run with all its links
BASELINE = 100  # links that are open before memory is counted, so that what is loaded once isn't
SETTLE = 0.5  # s for a server to notice what has come or gone

PROGRAMS = {  # their sources and libraries
    "load": (("load", "flow", "link", "tls", "wire"), ("-lssl", "-lcrypto")),
    "floor": (("floor",), ()),
}


class Failed(Exception):
    """The load couldn't do its work, and why."""


def build() -> None:
    """Compile the load and the floor. Raises `SystemExit` in words where that isn't possible."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("bench: no C compiler for the load generator: apt install gcc libc6-dev libssl-dev")
    BUILD.mkdir(exist_ok=True)
    for program, (sources, libraries) in PROGRAMS.items():
        files = [str(HERE / f"{source}.c") for source in sources]
        options = ["-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o", str(BUILD / program)]
        command = [compiler, *options, *files, *libraries]
        if subprocess.run(command, check=False).returncode:
            raise SystemExit(f"bench: {program} doesn't compile")


def measure(work: Work, name: str, seconds: float) -> dict[str, Any]:
    """The figure of peer `name` in `work`, with what the load says. Raises `Unusable` and `Failed`."""
    peer = PEERS[name]
    with running(peer) as server:
        match work.load["work"]:
            case "idle":
                return _memory(work, peer, server)
            case "away":
                told = load(work, peer, server, seconds=seconds)
                rate = told["acknowledged"] / told["seconds"]
                return told | {"figure": told.get("p99_us", rate)}
            case "filters":
                told = load(work, peer, server)
                return told | {"figure": told["seconds"]}
            case "udp":
                return _udp(work, peer, server, seconds)
            case "churn":
                told = load(work, peer, server, seconds=seconds)
                return told | {"figure": told["churned"] / told["seconds"]}
            case "paced":
                told = load(work, peer, server, seconds=2 * seconds)
                return told | {"figure": told["p99_us"]}
        told = load(work, peer, server, seconds=seconds)
        return told | {"figure": told["deliveries"] / told["seconds"]}


def _options(work: Work, peer: Peer, server: Running, **more: float) -> list[str]:
    ports = server.ports
    kinds = (ports.tls, ports.wss) if work.load.get("tls") else (ports.tcp, ports.websocket)
    port = kinds[work.web]
    options = {
        "protocol": peer.protocol,
        "port": port,
        "udp": server.ports.udp,
        **peer.load(ports),
        **work.load,
        **more,
    }
    scripts = {"away": "away.py", "replay": "history.py", "filters": "filters.py", "posts": "posts.py"}
    script = scripts.get(str(work.load["work"]))
    program = [str(BUILD / "load")] if script is None else [sys.executable, str(HERE / script)]
    return [*program, *(f"{name}={value}" for name, value in options.items())]


def load(work: Work, peer: Peer, server: Running, **more: float) -> dict[str, Any]:
    """Run the load, pinned to its core, and return what it tells. Raises `Failed`."""
    began, before = time.monotonic(), waited(server.pid)
    with pinned(cores()[1]):
        process = subprocess.Popen(_options(work, peer, server, **more), stdout=subprocess.PIPE, text=True)
    try:
        output, _ = process.communicate(timeout=LOAD_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise Failed(f"the load took more than {LOAD_LIMIT:.0f} s") from None
    kept = (waited(server.pid) - before) / (time.monotonic() - began)
    told = _told(output)
    return told | {"disturbed": kept + told["waited"] / told["seconds"]}


def _told(line: str) -> dict[str, Any]:
    if not line:
        raise Failed("the load ended without a word")
    told: dict[str, Any] = json.loads(line)
    if "error" in told:
        raise Failed(told["error"])
    told["saturated"] = told["cpu"] / told["seconds"] > SATURATED
    return told


def _udp(work: Work, peer: Peer, server: Running, seconds: float) -> dict[str, Any]:
    """Blasted as fast as it goes, so the load's core is always busy; the loss shows that it was enough."""
    if peer.name != "datagrams":
        told = load(work, peer, server, seconds=seconds)
        received = told["deliveries"]
    else:
        told = load(work, peer, server, seconds=seconds, subscribers=0)
        time.sleep(SETTLE)
        with socket.create_connection(("127.0.0.1", server.ports.tcp), timeout=SETTLE * 10) as link:
            received = int(link.makefile().readline())
    loss = 1 - received / told["sent"]
    if "rate" in work.load:
        return told | {"figure": 100 * loss, "saturated": False}
    return told | {"figure": received / told["seconds"], "loss": loss, "saturated": loss < 0.01}


def _memory(work: Work, peer: Peer, server: Running) -> dict[str, Any]:
    """Growth of the resident memory by `links`, above what the first ones brought with them."""
    with pinned(cores()[1]):
        first = _hold(work, peer, server, BASELINE)
        before = _resident(server.pid)
        rest = _hold(work, peer, server, int(work.load["links"]))
    try:
        grown = _resident(server.pid) - before
    finally:
        for process in (first, rest):
            process.communicate("")
    return {
        "figure": grown / 1024 / int(work.load["links"]),
        "resident": before + grown,
        "saturated": False,
        "disturbed": 0.0,
    }


def _hold(work: Work, peer: Peer, server: Running, links: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        _options(work, peer, server, links=links, seconds=LOAD_LIMIT),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        _told(process.stdout.readline())
    except BaseException:
        process.kill()
        raise
    time.sleep(SETTLE)
    return process


def _resident(pid: int) -> int:
    """Bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Unusable(f"process {pid} has no VmRSS")
