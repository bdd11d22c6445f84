"""A Crossbar, in a venv of its own that `make test-all` installs: it needs other versions of hubbub's dependencies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ports import free_port
from waiting import wait_for_port

PROGRAM = Path(sys.prefix) / "crossbar" / "bin" / "crossbar"
SECONDS = 60.0


def configuration(port: int) -> dict[str, object]:
    """Return that of a router with one realm, in which everybody may do everything."""
    all_ = dict.fromkeys(("call", "register", "publish", "subscribe"), True)
    permission = {"uri": "", "match": "prefix", "allow": all_, "disclose": {"caller": False, "publisher": False}}
    endpoint = {"type": "tcp", "port": port, "interface": "127.0.0.1"}
    router = {
        "type": "router",
        "realms": [{"name": "realm1", "roles": [{"name": "anonymous", "permissions": [permission]}]}],
        "transports": [{"type": "rawsocket", "endpoint": endpoint, "serializers": ["json"]}],
    }
    return {"version": 2, "controller": {}, "workers": [router]}


@contextmanager
def crossbar(folder: Path) -> Iterator[int]:
    """Yields the port of its RawSocket, in JSON, with the realm realm1."""
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is missing: make servers")
    port = free_port()
    (folder / "config.json").write_text(json.dumps(configuration(port)))
    command = [PROGRAM, "start", "--cbdir", str(folder)]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, server, SECONDS)
        yield port
    finally:
        server.terminate()
        server.wait(SECONDS)
