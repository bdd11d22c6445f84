"""hubbub.testing.World: a hub whose turns a test ends."""

from __future__ import annotations

import pytest

from hubbub.dialects.lines import Lines
from hubbub.kernel.connection.outbox import Outbox
from hubbub.testing import World


def test_an_outbox_that_nothing_flushes_is_found(monkeypatch):
    """Every path that puts something into an outbox schedules its flush; all tests with a world watch that."""
    world = World()
    client = world.listen("tcp", Lines).connect()
    assert client.say(b"SUB a\n") == b"OK SUB a\n"
    put = Outbox.put

    def forgets(self, batch):
        self._dirty = True  # so that it isn't marked
        put(self, batch)

    monkeypatch.setattr(Outbox, "put", forgets)
    client.send(b"PUB a x\n")
    with pytest.raises(AssertionError, match="no flush is scheduled"):
        world.turn()
