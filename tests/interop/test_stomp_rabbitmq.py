"""The same frames to hubbub and to RabbitMQ: what comes back is the same, but for what is listed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from interop.stomp.rabbitmq import rabbitmq
from interop.stomp_play import play
from interop.stomp_scripts import SCRIPTS
from nats_differences import different, read
from running import Daemon
from scale import FULL

DIFFERENCES = read((Path(__file__).parents[1] / "stomp_differences.txt").read_text())


async def everything(ports: tuple[int, int]) -> dict[str, list[list[str]]]:
    """Play all scripts to both; return what came back of each."""

    async def one(number: int, name: str) -> tuple[str, list[list[str]]]:
        return name, await asyncio.gather(*(play(port, f"s{number}", SCRIPTS[name]) for port in ports))

    return dict(await asyncio.gather(*(one(number, name) for number, name in enumerate(SCRIPTS))))


if FULL:  # it takes long to unpack and to start

    def test_all_differences_are_listed_and_no_others(tmp_path):
        with Daemon("--tcp", "tcp:0:dialect=stomp", "--auth", "none") as daemon, rabbitmq(tmp_path) as port:
            played = asyncio.run(everything((daemon.tcp[0][1], port)))
        found = {name: different(*both) for name, both in played.items() if both[0] != both[1]}
        assert found == {one.script: (one.hubbub, one.other) for one in DIFFERENCES}


def test_the_list_says_why():
    assert len({one.script for one in DIFFERENCES}) == len(DIFFERENCES)
    assert {one.script for one in DIFFERENCES} <= SCRIPTS.keys()
    assert all(one.why for one in DIFFERENCES)
