"""A clock on the wall that jumps moves no deadline: those count the seconds that really pass."""

from __future__ import annotations

import pytest

from hubbub.dialects.detect import Auto
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.testing.world import World

HOUR = 3600


class Jumping(World):
    """A world whose clock on the wall is wrong by some seconds."""

    wrong = 0.0

    def wall(self) -> float:
        return super().wall() + self.wrong


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_jumps(jump):
    world = Jumping()
    dialect = Auto.among([Json, Lines], Lines)
    tcp = world.listen("tcp", dialect, idle=300).connect()
    websocket = world.listen("websocket", dialect, idle=300).connect()
    udp = world.listen("udp", dialect).connect()
    undecided = world.listen("tcp", dialect).connect()
    mouth = world.listen("tcp", Lines).connect()
    for client in (tcp, websocket, udp):
        assert client.say(b"SUB a\n")
    undecided.send(b" ")
    world.turn()
    for wrong in (jump, 0, jump):
        world.wrong = wrong
        world.advance(1)
        mouth.say(b"PUB a x\n")
        for client in (tcp, websocket, udp):
            assert client.received()
            assert not getattr(client, "closed", False)
    world.advance(61)
    mouth.say(b"PUB a x\n")
    assert not udp.received()  # its lease is over, when it should be
    assert tcp.received() == b"MSG a x\n"
    assert not undecided.closed
