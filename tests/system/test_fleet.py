"""Many dialled devices, half of which hang up as soon as they are dialled: nobody else is harmed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from devices import Fleet
from running import Daemon, LineClient
from waiting import wait_until

MiB = 1024 * 1024
DEVICES = int(os.environ.get("HUBBUB_SOAK_CLIENTS", "100"))  # `make soak` has more
ROUNDS = DEVICES // 5


def run_fleet(folder: Path, count: int, rounds: int) -> None:
    """Dial `count` devices, let those that stay talk `rounds` times, and look at the daemon meanwhile."""
    half = count // 2
    with Fleet(count, flapping=half) as fleet:
        tables = [
            f'[[connect]]\nendpoint = "tcp:127.0.0.1:{port}"\nid = "d{number}"\nend = "lf"\n'
            f'topic = "plant/{{id}}/up"\nsubscribe = "plant/{{id}}/down"\n'
            for number, port in enumerate(fleet.ports)
        ]
        (folder / "hubbub.toml").write_text('tcp = ["tcp:0"]\n' + "".join(tables))
        with Daemon("--config", "hubbub.toml", folder=folder) as daemon, LineClient(daemon.tcp[0], 60) as watcher:
            watcher.send("SUB plant/+/up")
            output = {f"d{number}": 0 for number in range(count)}
            assert watcher.line() == "OK SUB plant/+/up"
            wait_until(lambda: all(fleet.dialled) and len(fleet.open) >= count - half, 120)
            ask(watcher, output)
            memory, open_files = daemon.memory(), daemon.descriptors()
            for _ in range(rounds):
                assert fleet.say(b"T=21.5\n") == count - half
                while min(output[f"d{number}"] for number in range(half, count)) < 1:
                    count_one(watcher.line(), output)
                ask(watcher, output)  # everybody else is served meanwhile
                for number in range(half, count):
                    output[f"d{number}"] = 0
            assert max(fleet.dialled[half:]) == 1  # those that stay were dialled once
            assert daemon.memory() < memory + 32 * MiB
            assert daemon.descriptors() < open_files + half + 10
            assert len(daemon.lines) < 7 * count
            assert "Traceback" not in daemon.log


def count_one(line: str, output: dict[str, int]) -> None:
    _, topic, value = line.split(" ")
    output[topic.split("/")[1]] += value == "T=21.5"


def ask(watcher: LineClient, output: dict[str, int]) -> None:
    """Ask for a PONG; what came before it is counted."""
    watcher.send("PING")
    while (line := watcher.line()) != "PONG":
        count_one(line, output)


@pytest.mark.timeout(300)
def test_half_of_the_devices_hang_up_all_the_time(tmp_path: Path) -> None:
    run_fleet(tmp_path, DEVICES, ROUNDS)
