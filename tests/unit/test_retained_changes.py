"""What a connector's session remembers of retained messages while there is no link."""

from __future__ import annotations

from hubbub import limits
from hubbub.kernel.sessions.retained_changes import RetainedChanges
from hubbub.message import Message


def retained(topic, payload=b"x"):
    return Message(topic, payload, retain=True)


def taken(changes, current, only_cleared=False):
    found = changes.take("a", current.get, only_cleared)
    return [None if one is None else (one.topic, one.payload, one.retain) for one in found]


def test_each_topic_comes_once_with_its_value_of_then():
    changes = RetainedChanges()
    changes.note("a", [retained("t"), retained("gone"), Message("passing", b"x"), retained("t")])
    changes.note("b", [retained("other")])
    current = {"t": retained("t", b"now")}
    assert taken(changes, current) == [("t", b"now", True), ("gone", b"", True)]
    assert taken(changes, current) == []


def test_beside_all_retained_messages_the_cleared_ones_alone_come():
    changes = RetainedChanges()
    changes.note("a", [retained("t"), retained("gone")])
    assert taken(changes, {"t": retained("t")}, only_cleared=True) == [None, ("gone", b"", True)]


def test_what_was_not_sent_stays():
    changes = RetainedChanges()
    changes.note("a", [retained("1"), retained("2")])
    assert next(changes.take("a", {}.get, False)).topic == "1"
    assert taken(changes, {}) == [("2", b"", True)]


def test_too_many_are_reported_and_bounded(monkeypatch):
    monkeypatch.setattr(limits, "RETAINED_CHANGES", 3)
    changes = RetainedChanges()
    changes.note("a", [retained(str(n)) for n in range(5)])
    assert changes.overflown("a")
    assert not changes.overflown("a")
    assert len(taken(changes, {})) == 3


def test_long_topics_are_bounded(monkeypatch):
    monkeypatch.setattr(limits, "RETAINED_CHANGES_SIZE", 100)
    changes = RetainedChanges()
    changes.note("a", [retained(str(n) * 60) for n in range(5)])
    assert changes.overflown("a")
    assert len(taken(changes, {})) == 2
    changes.note("a", [retained("t")])
    assert not changes.overflown("a")
