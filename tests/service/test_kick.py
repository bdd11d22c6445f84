"""Closing links for an operator: what it costs. tests/system/test_control.py has the command."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hubbub import limits
from hubbub.dialects.lines import Lines
from hubbub.service.control import status
from hubbub.service.control.link_index import LinkIndex
from hubbub.service.control.requests import kick


@pytest.fixture
def running(world):
    index = LinkIndex()
    world.hub.subscriptions.watchers.append(index)
    listener = world.listen("tcp", Lines)
    place = SimpleNamespace(context=listener.context, config=SimpleNamespace(id="a"))
    devices = [listener.connect() for _ in range(3 * limits.PIECES_AT_ONCE)]
    return SimpleNamespace(hub=world.hub, links=index, listeners=[place], connectors=[], devices=devices)


def test_links_are_looked_at_some_at_a_time(world, running):
    kicked = []
    kick(running, {"host": "0.0.0.0/0"}).addCallback(kicked.append)
    assert not kicked
    world.turn()
    assert kicked == [3 * limits.PIECES_AT_ONCE]
    assert world.hub.turn.scheduler.deferred["kicks"] == 3
    assert {device.received() for device in running.devices} == {b"BYE\n"}


def test_one_link_is_found_without_a_look_at_the_others(world, running, monkeypatch):
    monkeypatch.setattr(status, "links_of", None)
    id = sorted(running.links._sessions)[1]
    for asked, count in (({"link": id}, 1), ({"link": id}, 0), ({"link": 0}, 0), ({"link": [1]}, 0)):
        kicked = []
        kick(running, asked).addCallback(kicked.append)
        world.turn()
        assert kicked == [count]
    assert [device.received() for device in running.devices[:3]] == [b"", b"BYE\n", b""]
