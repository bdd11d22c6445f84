"""The same bytes to hubbub and to nats-server: what comes back is the same, but for what is listed."""

from __future__ import annotations

import asyncio

import pytest

from interop.nats.server import nats_server
from interop.nats_play import play
from interop.nats_scripts import SCRIPTS
from nats_differences import LIST, different, read
from running import Daemon

DIFFERENCES = read(LIST.read_text())


async def everything(ports: tuple[int, int]) -> dict[str, list[list[str]]]:
    """Play all scripts to both; return what came back of each."""

    async def one(number: int, name: str) -> tuple[str, list[list[str]]]:
        return name, await asyncio.gather(*(play(port, f"s{number}", SCRIPTS[name]) for port in ports))

    return dict(await asyncio.gather(*(one(number, name) for number, name in enumerate(SCRIPTS))))


@pytest.fixture(scope="module")
def played():
    with Daemon("--tcp", "tcp:0:dialect=nats") as daemon, nats_server() as port:
        yield asyncio.run(everything((daemon.tcp[0][1], port)))
    assert "Traceback" not in daemon.log


def test_all_differences_are_listed_and_no_others(played):
    found = {name: different(*both) for name, both in played.items() if both[0] != both[1]}
    assert found == {one.script: (one.hubbub, one.other) for one in DIFFERENCES}
    assert len(played) > 75


def test_the_list_says_why():
    assert len({one.script for one in DIFFERENCES}) == len(DIFFERENCES)
    assert all(one.why for one in DIFFERENCES)
