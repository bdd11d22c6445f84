"""storage/: what is on the disk, and when it goes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import apsw
import pytest

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.kernel.sessions.records import Progress, SessionRecord
from hubbub.publish import QosPublish
from hubbub.storage import schema
from hubbub.storage.database import FILE, Database
from hubbub.storage.loading import Loader
from hubbub.storage.opening import open_store
from hubbub.storage.store import DurableStore
from waiting import wait_until

MESSAGES = 100  # of 100 bytes


class Away:
    """A session without a link, as the store sees it."""

    def __init__(self, store: Recording, name: str) -> None:
        self.store = store
        self.number = store.begin_session(self)
        self.at = Progress(1, (), (), ())
        self.last = 0
        record = SessionRecord(
            ("", None, name), "", 0, "tcp", "", frozenset(), None, None, None, 60.0, 1.0, None, 0.0, 100, "drop-oldest"
        )
        store.save_session(self.number, record)
        store.note(self)

    def progress(self) -> Progress:
        return self.at

    def get(self, message: QosPublish, way=("a/#", 1, "")) -> int:
        self.last = self.store.enqueue(self.number, message, way, self.last)
        return self.last

    def advance(self, next: int, *inflight: int) -> None:
        self.at = Progress(next, tuple((number, at + 1, False) for at, number in enumerate(inflight)), (), ())
        self.store.note(self)


class Recording(DurableStore):
    """A store without a reactor: `settle` ends a turn, and waits until it is safe."""

    def __init__(self, folder: Path) -> None:
        self.calls: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        database = Database(folder)
        database.open("process")
        super().__init__(database, Loader(database.connection), lambda *call: self.calls.put(call))

    def settle(self) -> None:
        self.commit()
        while self.commits.safe < self.commits.open - 1:
            call, *arguments = self.calls.get(timeout=30)
            call(*arguments)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "STORE_SWEEP_SECONDS", 0.0)
    found = Recording(tmp_path / "state")
    found.start()
    yield found
    found.stop()


def publish(n: int = 0) -> QosPublish:
    return QosPublish(f"a/{n}", b"%100d" % n, 1)


def stored(store: Recording) -> list[int]:
    with closing(apsw.Connection(str(store.database.folder / FILE), flags=apsw.SQLITE_OPEN_READONLY)) as reader:
        return [number for (number,) in reader.execute("SELECT number FROM messages ORDER BY number")]


def count(store: Recording, table: str) -> int:
    with closing(apsw.Connection(str(store.database.folder / FILE), flags=apsw.SQLITE_OPEN_READONLY)) as reader:
        return reader.execute(f"SELECT count(*) FROM {table}").get


def test_a_message_for_many_sessions_is_stored_once(store):
    """A 20th of the bytes that a row for each session takes."""
    sessions = [Away(store, str(n)) for n in range(1_000)]
    store.settle()
    before = size(store)
    for n in range(MESSAGES):
        message = publish(n)
        assert len({one.get(message) for one in sessions}) == 1
        store.settle()
    assert len(stored(store)) == MESSAGES
    assert count(store, "audiences") == 1
    row = len(publish().payload) + len("a/0")  # and at least that, for each session and message
    assert size(store) - before < MESSAGES * len(sessions) * row / 20


def size(store: Recording) -> int:
    """Bytes of the database, once everything has moved there."""
    with closing(apsw.Connection(str(store.database.folder / FILE), flags=apsw.SQLITE_OPEN_READONLY)) as reader:
        return reader.pragma("page_count") * reader.pragma("page_size")


def test_a_message_goes_when_all_have_passed_it(store):
    one, two = Away(store, "one"), Away(store, "two")
    messages = [publish(n) for n in range(4)]
    numbers = [one.get(message) for message in messages]
    assert [two.get(message) for message in messages] == numbers
    _, second, _, fourth = numbers
    store.settle()
    one.advance(fourth + 1, second)
    store.settle()
    assert stored(store) == numbers
    two.advance(fourth)
    settle_twice(store)
    assert stored(store) == [second, fourth]  # the second is in flight to one, the fourth waits for two
    one.advance(fourth + 1)
    settle_twice(store)
    assert stored(store) == [fourth]
    store.end_session(two.number)
    settle_twice(store)
    assert stored(store) == []
    assert count(store, "audiences") == 0
    assert count(store, "sessions") == 1


def settle_twice(store: Recording) -> None:
    """What one batch frees is gone with the next at the latest."""
    store.settle()
    store.retain(publish())
    store.settle()


def test_a_message_goes_without_any_other_coming(store, monkeypatch):
    one = Away(store, "one")
    number = one.get(publish())
    store.settle()
    monkeypatch.setattr(limits, "STORE_SWEEP_SECONDS", 0.05)  # the batch comes before the next sweep is due
    one.advance(number + 1)
    store.settle()
    wait_until(lambda: stored(store) == [], 5)


def test_a_message_that_a_session_gets_late_is_a_new_one(store):
    """The order of a session is that of its numbers."""
    one, two = Away(store, "one"), Away(store, "two")
    first, second = publish(1), publish(2)
    numbers = [one.get(first), two.get(second), two.get(first), two.get(first, ("a/1", 1, ""))]
    store.settle()
    numbers.append(one.get(first))
    assert numbers == sorted(set(numbers))


def test_numbers_are_not_given_again(store, tmp_path):
    one = Away(store, "one")
    number = one.get(publish())
    store.settle()
    one.advance(number + 1)
    settle_twice(store)
    assert stored(store) == []
    store.stop()
    later = Recording(tmp_path / "state")
    assert later.begin_session(None) == 2
    assert later.enqueue(one.number, publish(), ("a/#", 1, ""), 0) > number
    later.start()
    later.stop()
    store._writer.put = store._writer.stop = store.database.close = lambda *_: None


def test_two_daemons_share_no_folder(store, tmp_path):
    with pytest.raises(ConfigError, match="another daemon has it"):
        open_store(tmp_path / "state", "fsync", print)


def write(folder: Path, **pragmas: int) -> None:
    folder.mkdir()
    with closing(apsw.Connection(str(folder / FILE))) as database:
        database.execute("CREATE TABLE other (x)")
        for name, value in pragmas.items():
            database.pragma(name, value)


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    write(tmp_path / "state", application_id=schema.APPLICATION_ID, user_version=schema.VERSION + 1)
    with pytest.raises(ConfigError, match="a newer hubbub wrote"):
        open_store(tmp_path / "state", "fsync", print)


def test_a_file_of_another_program_is_refused(tmp_path):
    write(tmp_path / "state")
    with pytest.raises(ConfigError, match="another program"):
        open_store(tmp_path / "state", "fsync", print)
