"""SUB ... LAST: the newest messages of each topic, wherever they are when a client asks."""

from __future__ import annotations

import pytest

from hubbub import limits
from unit.history_help import HistoryRule, Lines, hub_with, lines


def messages(output):
    return [line for line in output if line.startswith("MSG")]


def answered(world, store, link):
    """What a client hears until the store has answered all."""
    output = link.wire.output()
    while store.reads:
        store.answer()
        world.turn()
        output += link.wire.output()
    return output.decode().splitlines()


@pytest.mark.parametrize("committed", range(9))
@pytest.mark.parametrize("later", [0, 9])
def test_messages_that_wait_for_their_commit_count(committed, later, monkeypatch):
    monkeypatch.setattr(limits, "HISTORY_PAGE_MESSAGES", 3)
    world, store = hub_with(HistoryRule("#"), slow=True)
    lines(world, *[f"PUB {topic} {n}" for n, topic in enumerate("abacaabc")])
    store.commit(committed)
    ear = world.link(Lines)
    ear.receive(b"SUB # LAST 2\n")
    lines(world, "PUB b live")
    store.commit(later)
    expected = ["MSG b 1", "MSG c 3", "MSG a 4", "MSG a 5", "MSG b 6", "MSG c 7", "MSG b live"]
    output = answered(world, store, ear)
    assert [line for line in output if line.startswith("MSG")] == expected
    assert sum(line.startswith("LIVE") for line in output) == 1


def test_a_disk_that_fails_holds_no_client_up():
    world, store = hub_with(HistoryRule("#"), slow=True)
    lines(world, *[f"PUB a {n}" for n in range(3 * limits.HISTORY_TAIL_MESSAGES)])
    ear = world.link(Lines)
    lines(world, "SUB a LAST 3", link=ear)
    expected = [f"MSG a {n}" for n in range(3 * limits.HISTORY_TAIL_MESSAGES)][-3:]
    assert messages(answered(world, store, ear)) == expected


@pytest.mark.parametrize("last", [1, 2])
def test_last_looks_from_the_newest_back_until_it_has_as_many_as_may_be_found(monkeypatch, last):
    """So what it remembers of topics has that bound too."""
    monkeypatch.setattr(limits, "HISTORY_LAST", 5)
    monkeypatch.setattr(limits, "HISTORY_PAGE_MESSAGES", 2)
    world, _ = hub_with(HistoryRule("#"))
    for n in range(20):
        world.publish(f"t/{n}", b"%d" % n)
    output = lines(world, f"SUB # LAST {last}")
    assert messages(output) == [f"MSG t/{n} {n}" for n in range(15, 20)]


def test_last_of_topics_of_several_rules(monkeypatch):
    monkeypatch.setattr(limits, "HISTORY_PAGE_MESSAGES", 3)
    world, _ = hub_with(HistoryRule("a/#"), HistoryRule("#"))
    for n in range(20):
        world.publish(f"{'ab'[n % 2]}/{n % 4}", b"%d" % n)
    output = lines(world, "SUB # LAST 2")
    expected = [f"MSG {'ab'[n % 2]}/{n % 4} {n}" for n in range(12, 20)]
    assert messages(output) == expected
