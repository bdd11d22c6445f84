"""A reload changes what the history keeps."""

from __future__ import annotations

from unit.history_help import HistoryRule, hub_with, lines


def test_rules_that_change():
    """A filter that stays goes on with its messages; the others' are forgotten, and a client is told."""
    world, store = hub_with(HistoryRule("a"), HistoryRule("b"))
    (answer,) = lines(world, "POSITION")
    after = answer.replace("POSITION", "AFTER")
    lines(world, "PUB a 1", "PUB b 1", "PUB c 1")
    world.hub.change_history([HistoryRule("c"), HistoryRule("b", messages=1)])
    world.turn()
    lines(world, "PUB a 2", "PUB c 2")
    (state,) = [one for one in world.hub.history.states if one.rule.filter == "b"]
    assert (state.count, state.rule.messages) == (1, 1)
    assert set(store._rows) == {one.id for one in world.hub.history.states}
    end = f"LIVE {world.hub.history.end}"
    assert lines(world, f"SUB b {after}") == ["OK SUB b", "MSG b 1", end]
    for filter, *kept in (("a",), ("c", "MSG c 2")):
        _, lost, *rest = lines(world, f"SUB {filter} {after}")
        assert (lost[:5], rest) == ("LOST ", [*kept, end])
    world.hub.change_history([])
    assert lines(world, "SUB b LAST 1")[0].startswith("ERR bad-command")
    world.hub.change_history([HistoryRule("b")])
    lines(world, "PUB b 3")
    assert lines(world, "SUB b LAST 9")[:2] == ["OK SUB b", "MSG b 3"]
