"""Reloads and restarts while mixed clients talk: nobody who may stay is disconnected, nobody who comes is refused.

`make soak` asks for 1,000 clients, 100 reloads and 20 restarts, with the names below; `make test` does a few of each.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from running import Daemon
from soak.clients import Client, Datagrams, Json, Lines, Raw, Tally, Unix, Web
from system.activated import activated, bound

CLIENTS = int(os.environ.get("HUBBUB_SOAK_CLIENTS", "60"))
RELOADS = int(os.environ.get("HUBBUB_SOAK_RELOADS", "10"))
RESTARTS = int(os.environ.get("HUBBUB_SOAK_RESTARTS", "3"))
RATE = min(5.0, 300 / CLIENTS)  # messages of each client in a second: their number is what this is about
KINDS: tuple[type[Client], ...] = (Lines, Unix, Json, Raw, Web, Datagrams)

pytestmark = pytest.mark.timeout(900)


def reported(supervisor: socket.socket) -> str:
    """What the next notification is about."""
    while True:
        first = supervisor.recv(4096).decode().partition("\n")[0]
        if not first.startswith("STATUS"):
            return first


@pytest.fixture
def supervisor(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield made


def where(daemon: Daemon, folder: Path) -> dict[str, Any]:
    return {
        "tcp": daemon.tcp[0], "raw": daemon.tcp[1], "unix": str(folder / "hub.sock"),
        "udp": daemon.udp[0], "websocket": daemon.websocket[0],
    }  # fmt: skip


async def settled(tally: Tally, count: int) -> None:
    """Wait until each client has heard itself."""
    while tally.output < count and not tally.faults:
        await asyncio.sleep(0.05)


def test_reloads_lose_no_client(tmp_path, supervisor):
    """Each time the options have changed, and a plugin has; each client has one life, and hears all that it says."""
    config = tmp_path / "hubbub.toml"
    (tmp_path / "mine").mkdir()

    def write(n: int) -> None:
        (tmp_path / "mine/extra.py").write_text(f"from hubbub import Handler\n\nclass Extra(Handler):\n    n = {n}\n")
        more = '[[tcp]]\nendpoint = "tcp:0"\nid = "more"\n' if n % 2 else ""
        config.write_text(
            f'plugin-dir = ["mine"]\nhandler = ["extra"]\ndrain = "{5 + n % 3}s"\n'
            '[[tcp]]\nendpoint = "tcp:0"\nid = "lines"\n'
            '[[tcp]]\nendpoint = "tcp:0"\nid = "raw"\ndialect = "raw"\nend = "lf"\ntopic = "raw"\nsubscribe = "raw"\n'
            f'[[tcp]]\nendpoint = "unix:{tmp_path}/hub.sock"\n'
            f'[[udp]]\nendpoint = "udp:0"\n[[websocket]]\nendpoint = "tcp:0"\n{more}'
        )

    async def run(daemon: Daemon) -> Tally:
        tally, ending = Tally(), asyncio.Event()
        contexts = where(daemon, tmp_path)
        lives = [
            asyncio.ensure_future(KINDS[n % len(KINDS)](contexts, RATE).live(lambda: not ending.is_set(), tally))
            for n in range(CLIENTS)
        ]
        await settled(tally, CLIENTS)
        for n in range(1, RELOADS + 1):
            write(n)
            daemon.process.send_signal(signal.SIGHUP)
            assert (await asyncio.to_thread(reported, supervisor)).startswith("RELOADING=1")
            assert await asyncio.to_thread(reported, supervisor) == "READY=1"
        await settled(tally, tally.output + CLIENTS)
        ending.set()
        await asyncio.gather(*lives)
        return tally

    write(0)
    with Daemon("--config", str(config)) as daemon:
        assert reported(supervisor) == "READY=1"
        tally = asyncio.run(run(daemon))
        assert "not reloaded" not in daemon.log
        assert "Traceback" not in daemon.log
    assert tally.faults == Counter()
    assert sum(tally.lives.values()) == CLIENTS
    assert tally.sent == tally.output >= 2 * CLIENTS


async def come_back(kind: type[Client], contexts: dict[str, Any], going: Callable[[], bool], tally: Tally) -> None:
    """Connect again whenever the daemon has sent this client away, a moment later, as clients do."""
    while not await kind(contexts, RATE).live(going, tally):
        await asyncio.sleep(random.uniform(0.0, 0.5))


def test_activated_restarts_refuse_no_client(tmp_path, supervisor):
    """The sockets stay while the daemon goes and comes."""
    tcp, raw, web = (bound(socket.SOCK_STREAM) for _ in range(3))
    unix, udp = bound(socket.SOCK_STREAM, str(tmp_path / "hub.sock")), bound(socket.SOCK_DGRAM)
    sockets = [("tcp", tcp), ("raw", raw), ("unix", unix), ("udp", udp), ("web", web)]
    options = (
        "--tcp", "systemd:domain=INET:name=tcp",
        "--tcp", "systemd:domain=INET:name=raw:dialect=raw:end=lf:topic=raw:subscribe=raw",
        "--tcp", "systemd:domain=UNIX:name=unix", "--udp", "systemd:domain=INET:name=udp",
        "--websocket", "systemd:domain=INET:name=web", "--drain", "20s",
    )  # fmt: skip

    async def run() -> Tally:
        tally, ending = Tally(), asyncio.Event()
        lives: list[asyncio.Future[None]] = []
        for start in range(RESTARTS + 1):
            daemon = activated(*options, sockets=sockets)
            await asyncio.to_thread(daemon.__enter__)
            assert await asyncio.to_thread(reported, supervisor) == "READY=1"
            contexts = where(daemon, tmp_path)
            for n in range(CLIENTS if not lives else 0):
                kind = KINDS[n % len(KINDS)]
                lives.append(asyncio.ensure_future(come_back(kind, contexts, lambda: not ending.is_set(), tally)))
            before = tally.output
            while tally.output < before + CLIENTS:
                await asyncio.sleep(0.05)
            if start == RESTARTS:
                ending.set()
                await asyncio.gather(*lives)
            daemon.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(reported, supervisor) == "STOPPING=1"
            await asyncio.to_thread(daemon.process.wait, 60)
            await asyncio.to_thread(daemon.__exit__, None, None, None)
            assert daemon.process.returncode == 0
            assert "Traceback" not in daemon.log
        return tally

    tally = asyncio.run(run())
    for _, one in sockets:
        one.close()
    # Told to go, as lines, by WebSocket, by datagram; or gone without having read that yet.
    sent_away = ("IncompleteReadError", "ConnectionClosedError received 1012", "its lease has ended")
    missed = ("talking: BrokenPipeError", "talking: ConnectionResetError")
    assert not {fault: n for fault, n in tally.faults.items() if not any(why in fault for why in sent_away + missed)}
    assert sum(tally.lives.values()) == CLIENTS
