"""The same bytes to hubbub and to nats-server: what comes back is the same, but for what is listed."""

from __future__ import annotations

import asyncio

from differences import check_list, listed, play_all, read
from interop.nats.server import nats_server
from interop.nats_play import play
from interop.nats_scripts import SCRIPTS
from running import Daemon

DIFFERENCES = read("nats")


def test_all_differences_are_listed_and_no_others():
    with Daemon("--tcp", "tcp:0:dialect=nats") as daemon, nats_server() as port:
        found = asyncio.run(play_all(play, SCRIPTS, (daemon.tcp[0][1], port)))
    assert "Traceback" not in daemon.log
    assert found == listed(DIFFERENCES)
    assert len(SCRIPTS) > 75


def test_the_list_says_why():
    check_list(DIFFERENCES, SCRIPTS)
