"""The same packets to hubbub and to Debian's Mosquitto: what comes back is the same, but for what is listed."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop import mqtt_malformed, mqtt_scripts, mqtt_scripts_sessions  # noqa: F401  which fill SCRIPTS
from interop.mqtt_play import play
from interop.mqtt_script import SCRIPTS
from mqtt_differences import DIFFERENCES
from ports import free_port
from running import Daemon
from waiting import wait_for_port

ALL = SCRIPTS | mqtt_malformed.scripts()
AT_ONCE = 40  # scripts
NAMES = {4: "3.1.1", 5: "5"}


@contextlib.contextmanager
def mosquitto(folder: Path, program: str) -> Iterator[int]:
    """Run one; yield its port."""
    port = free_port()
    config = folder / "mosquitto.conf"
    user = "user root\n" if os.getuid() == 0 else ""
    config.write_text(f"{user}listener {port} 127.0.0.1\nallow_anonymous true\nlog_type none\n")
    process = subprocess.Popen([program, "-c", config], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(20)


async def everything(ports: tuple[int, int]) -> dict[str, tuple[list[str], list[str]]]:
    """Play all scripts to both; return what came back of each."""
    several = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, name: str, version: int) -> tuple[str, tuple[list[str], list[str]]]:
        async with several:
            ours, theirs = await asyncio.gather(
                *(play(f"s{number}", version, port, ALL[name, version]) for port in ports)
            )
        return f"{name} ({NAMES[version]})", (ours, theirs)

    return dict(await asyncio.gather(*(one(number, *key) for number, key in enumerate(ALL))))


@pytest.fixture(scope="module")
def played(tmp_path_factory, need):
    with Daemon("--tcp", "tcp:0:dialect=mqtt") as daemon:
        with mosquitto(tmp_path_factory.mktemp("mosquitto"), need("mosquitto")) as port:
            yield asyncio.run(everything((daemon.tcp[0][1], port)))
        assert "Traceback" not in daemon.log


def different(ours: list[str], theirs: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines of each that the other has not."""
    lines = list(difflib.ndiff(theirs, ours))
    return tuple(one[2:] for one in lines if one[0] == "+"), tuple(one[2:] for one in lines if one[0] == "-")


def test_all_differences_are_listed_and_no_others(played):
    found = {name: different(*both) for name, both in played.items() if both[0] != both[1]}
    listed = {one.script: (one.hubbub, one.mosquitto) for one in DIFFERENCES}
    assert found == listed
    assert len(played) > 100


def test_the_list_says_why():
    assert len({one.script for one in DIFFERENCES}) == len(DIFFERENCES)
    assert all(one.why for one in DIFFERENCES)
