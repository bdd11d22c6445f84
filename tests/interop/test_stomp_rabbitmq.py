"""The same frames to hubbub and to RabbitMQ: what comes back is the same, but for what is listed."""

from __future__ import annotations

import asyncio

from differences import check_list, listed, play_all, read
from interop.stomp.rabbitmq import rabbitmq
from interop.stomp_play import play
from interop.stomp_scripts import SCRIPTS
from running import Daemon
from scale import FULL

DIFFERENCES = read("stomp")


if FULL:  # it takes long to unpack and to start

    def test_all_differences_are_listed_and_no_others(tmp_path):
        with Daemon("--tcp", "tcp:0:dialect=stomp", "--auth", "none") as daemon, rabbitmq(tmp_path) as port:
            found = asyncio.run(play_all(play, SCRIPTS, (daemon.tcp[0][1], port)))
        assert found == listed(DIFFERENCES)


def test_the_list_says_why():
    check_list(DIFFERENCES, SCRIPTS)
