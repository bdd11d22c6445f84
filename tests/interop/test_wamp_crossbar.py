"""The same messages to hubbub and to Crossbar: what comes back is the same, but for what is listed."""

from __future__ import annotations

import asyncio

from differences import check_list, listed, play_all, read
from interop.wamp.crossbar import crossbar
from interop.wamp_play import play
from interop.wamp_scripts import SCRIPTS
from running import Daemon
from scale import FULL

DIFFERENCES = read("wamp")
AT_ONCE = 40  # scripts: a router that is busy may be silent for long


if FULL:  # it takes long to install and to start

    def test_all_differences_are_listed_and_no_others(tmp_path):
        with Daemon("--tcp", "tcp:0:dialect=wamp") as daemon, crossbar(tmp_path) as port:
            found = asyncio.run(play_all(play, SCRIPTS, (daemon.tcp[0][1], port), "com.s", AT_ONCE))
        assert found == listed(DIFFERENCES)


def test_the_list_says_why():
    check_list(DIFFERENCES, SCRIPTS)
