"""Presence: the retained 1 and 0."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.sessions.presence import Presence
from hubbub.template import Template
from unit.kernel_help import FakeWire, Receiver, Tiny


@pytest.fixture
def watcher(world):
    receiver = Receiver()
    world.subscribe(world.session(), "#", receiver)
    return receiver


def reported(watcher):
    return [(message.topic, message.payload) for batch in watcher.batches for message in batch.messages]


def place(world, topic="on/{id}", silent=None, transport="tcp", **more):
    presence = Presence(
        world.hub.turn, world.hub.presences, Template(topic), silent, more.get("prefix"), transport != "udp"
    )
    return ListenerContext("here", DialectContext(transport), presence=presence, **more)


def link(world, where, start=True, host="192.0.2.7", port=4711):
    wire = FakeWire()
    made = wire.link = Link(world.hub, where, wire, Tiny, host, port)
    if start:
        made.start()
        world.turn()
    return made


def gone(world, one):
    one.lost()
    world.turn()


def retained(world, topic="on/here"):
    message = world.hub.retained.get(topic)
    return message and message.payload


def test_up_and_down(world, watcher):
    where = place(world)
    assert (reported(watcher), retained(world)) == ([], None)
    one = link(world, where)
    assert (reported(watcher), retained(world)) == ([("on/here", b"1")], b"1")
    gone(world, one)
    assert reported(watcher) == [("on/here", b"1"), ("on/here", b"0")]
    assert retained(world) == b"0"


def test_the_newer_of_two_has_the_topic(world):
    where = place(world)
    old, new = link(world, where), link(world, where)
    gone(world, old)
    assert retained(world) == b"1"
    gone(world, new)
    assert retained(world) == b"0"


def test_the_older_takes_it_back(world, watcher):
    where = place(world, silent=10)
    old, new = link(world, where), link(world, where)
    gone(world, new)
    assert retained(world) == b"1"
    world.sleep(10)
    assert retained(world) == b"0"
    world.say(old, b"ping\n")
    assert retained(world) == b"1"
    gone(world, old)
    assert retained(world) == b"0"


def test_a_silent_one_of_two_gives_way_to_the_one_that_sends(world):
    where = place(world, silent=10)
    old, new = link(world, where), link(world, where)
    world.sleep(10)
    world.say(old, b"ping\n")
    assert retained(world) == b"1"
    gone(world, old)
    assert retained(world) == b"1"  # until it is known to be silent
    world.sleep(10)
    assert retained(world) == b"0"
    gone(world, new)


def test_two_listeners_share_a_topic(world):
    old, new = link(world, place(world)), link(world, place(world))
    gone(world, old)
    assert retained(world) == b"1"
    gone(world, new)
    assert retained(world) == b"0"


def test_silence(world, watcher):
    where = place(world, silent=10)
    one = link(world, where)
    world.sleep(6)
    world.say(one, b"ping\n")
    world.sleep(6)
    assert retained(world) == b"1"
    world.sleep(4)
    assert retained(world) == b"0"
    world.sleep(100)
    world.say(one, b"p")  # a piece of a command is a sign of life too
    assert retained(world) == b"1"
    world.sleep(10)
    gone(world, one)
    assert [payload for _, payload in reported(watcher)] == [b"1", b"0", b"1", b"0"]


def test_a_link_that_is_not_read_is_not_silent(world):
    one = link(world, place(world, silent=1))
    world.subscribe(world.session(), "ask", Receiver())
    one.receive(b"req ask 1\nping\n")
    world.sleep(1.5)
    assert retained(world) == b"1"
    world.sleep(1)
    world.sleep(1)
    assert retained(world) == b"0"


def test_before_the_first_link_only_silence_says_something(world):
    place(world).presence.watch("here")
    world.sleep(100)
    assert retained(world) is None
    place(world, silent=10).presence.watch("here")
    world.sleep(9)
    assert retained(world) is None
    world.sleep(1)
    assert retained(world) == b"0"


def test_silence_before_a_link_is_none_where_each_has_its_own_topic(world, watcher):
    place(world, "on/{host}", silent=10).presence.watch("here")
    world.sleep(100)
    assert reported(watcher) == []


def test_watching_a_link_that_is_there_changes_nothing(world):
    where = place(world, silent=10)
    one = link(world, where)
    where.presence.watch("here")
    world.sleep(9)
    world.say(one, b"ping\n")
    world.sleep(2)
    assert retained(world) == b"1"


def test_under_a_mount_point(world):
    link(world, place(world, "on", prefix=Template("plant")))
    assert retained(world, "plant/on") == b"1"


def test_a_client_that_has_to_log_in_is_there_after_that(world, watcher):
    where = place(world, "on/{user}", anonymous=False)
    one = link(world, where)
    assert reported(watcher) == []
    one.session.user = "ada"
    one.access.identify(one)
    one.access.announce(one)
    world.turn()
    assert reported(watcher) == [("on/ada", b"1")]
    one.session.user = "bob"
    one.access.announce(one)
    world.turn()
    assert reported(watcher)[1:] == [("on/ada", b"0"), ("on/bob", b"1")]


def test_a_client_without_a_name_is_not_announced(world, watcher):
    one = link(world, place(world, "on/{client}"))
    gone(world, one)
    assert reported(watcher) == []


def test_over_udp_silence_is_the_only_sign(world, watcher):
    where = place(world, "on/{host}", silent=10, transport="udp")
    for _ in range(3):
        one = link(world, where, start=False)
        one.access.announce(one)
        world.say(one, b"pub t x\n")
        one.lost()
        world.sleep(6)
    assert reported(watcher) == [("on/192.0.2.7", b"1")] + [("t", b"x")] * 3
    world.sleep(4)
    assert reported(watcher)[-1] == ("on/192.0.2.7", b"0")
    one = link(world, where, start=False)
    one.access.announce(one)
    world.say(one, b"pub t x\n")
    assert reported(watcher)[-2:] == [("on/192.0.2.7", b"1"), ("t", b"x")]


def test_the_topics_are_bounded_and_the_longest_gone_gives_way(world):
    where = place(world, "on/{port}")
    with patch.object(limits, "PRESENCES", 2):
        first, second = (link(world, where, port=port) for port in (1, 2))
        third = link(world, where, port=3)
        assert [retained(world, f"on/{n}") for n in (1, 2, 3)] == [b"1", b"1", None]
        assert world.hub.turn.counters.refused == 1
        gone(world, third)
        gone(world, second)
        gone(world, first)
        link(world, where, port=4)
        assert [retained(world, f"on/{n}") for n in (1, 2, 3, 4)] == [b"0", None, None, b"1"]


def test_one_that_gave_way_while_its_link_was_silent(world):
    where = place(world, "on/{port}", silent=10)
    with patch.object(limits, "PRESENCES", 1):
        silent = link(world, where, port=1)
        world.sleep(10)
        link(world, where, port=2)
        assert (retained(world, "on/1"), retained(world, "on/2")) == (None, b"1")
        world.say(silent, b"ping\n")
        gone(world, silent)
        assert (retained(world, "on/1"), retained(world, "on/2")) == (None, b"1")


def test_a_full_store_breaks_nothing(world):
    world.hub.retained.max_messages = 0
    one = link(world, place(world))
    gone(world, one)
    assert world.hub.turn.counters.refused == 2


def test_another_silence_after_a_reload(world):
    gone(world, link(world, place(world, silent=10)))
    link(world, place(world, silent=1))
    world.sleep(1)
    assert retained(world) == b"0"
