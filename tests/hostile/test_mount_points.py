"""What a client below a mount point can tell of what is above it."""

from __future__ import annotations

import pytest

from running import Daemon, LineClient
from system.clients import WebSocketClient


@pytest.fixture(scope="module")
def hub():
    with Daemon(
        "--tcp", "tcp:0:id=hub", "--tcp", "tcp:0:id=boat:prefix=boat", "--websocket", "tcp:0:prefix=boat"
    ) as one:
        yield one


def test_a_message_on_the_mount_point_itself_is_not_hinted_at(hub):
    inside = LineClient(hub.tcp[1]), WebSocketClient(hub.websocket[0], protocol="hubbub.lines")
    for one in inside:
        assert one.ask("SUB #") == "OK SUB #"
    with LineClient(hub.tcp[0]) as outside:
        outside.send("PUB boat 1", "PUB! boat 2", "PUB boat/a 3", "PUB boats/a 4")
        assert outside.ask("PING") == "PONG"
        for one in inside:
            assert one.line() == "MSG a 3"
            assert one.ask("SUB #") == "OK SUB #"  # the retained one isn't hinted at either
            assert one.ask("PING") == "PONG"
            one.close()
        outside.send("PUB! boat")
        assert outside.ask("PING") == "PONG"
