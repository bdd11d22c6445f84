"""The same messages to hubbub and to Crossbar: what comes back is the same, but for what is listed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from interop.wamp.crossbar import crossbar
from interop.wamp_play import play
from interop.wamp_scripts import SCRIPTS
from nats_differences import different, read
from running import Daemon
from scale import FULL

DIFFERENCES = read((Path(__file__).parents[1] / "wamp_differences.txt").read_text())
AT_ONCE = 40  # scripts: a router that is busy may be silent for long


async def everything(ports: tuple[int, int]) -> dict[str, list[list[str]]]:
    """Play all scripts to both; return what came back of each."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, name: str) -> tuple[str, list[list[str]]]:
        async with places:
            return name, await asyncio.gather(*(play(port, f"com.s{number}", SCRIPTS[name]) for port in ports))

    return dict(await asyncio.gather(*(one(number, name) for number, name in enumerate(SCRIPTS))))


if FULL:  # it takes long to install and to start

    def test_all_differences_are_listed_and_no_others(tmp_path):
        with Daemon("--tcp", "tcp:0:dialect=wamp") as daemon, crossbar(tmp_path) as port:
            played = asyncio.run(everything((daemon.tcp[0][1], port)))
        found = {name: different(*both) for name, both in played.items() if both[0] != both[1]}
        assert found == {one.script: (one.hubbub, one.other) for one in DIFFERENCES}


def test_the_list_says_why():
    assert len({one.script for one in DIFFERENCES}) == len(DIFFERENCES)
    assert {one.script for one in DIFFERENCES} <= SCRIPTS.keys()
    assert all(one.why for one in DIFFERENCES)
