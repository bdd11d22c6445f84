"""A damaged file is named, set aside as it is, and what can be read of it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubbub.errors import ConfigError
from hubbub.storage.database import FILE
from hubbub.storage.opening import open_store
from mqtt_client import V5, kept, messages, subscription
from storage.test_faults import Process
from storage.test_paging import take

PAGE = 4096
SESSIONS = 20
MESSAGES = 200


@pytest.fixture
def folder(tmp_path):
    """A store with some sessions that wait for messages."""
    process = Process(tmp_path / "state", "process", None)
    for n in range(SESSIONS):
        process.away(f"c{n}", "a/#")
    writer = process.client("w")
    for n in range(MESSAGES):
        writer.publish(f"a/{n}", b"%0500d" % n, qos=1, id=n + 1)
        process.settle()
    writer.publish("r", b"retained", retain=True)
    process.settle()
    process.store.stop()
    return tmp_path / "state"


def open_again(folder: Path, **more) -> tuple[Process, list[str]]:
    warnings: list[str] = []
    return Process(folder, "process", None, warn=warnings.append, **more), warnings


def damaged(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if ".damaged-" in one.name]


def test_pages_in_the_midst(folder):
    file = folder / FILE
    data = bytearray(file.read_bytes())
    middle = len(data) // PAGE // 2 * PAGE
    data[middle : middle + 3 * PAGE] = bytes(b"garbage." * (3 * PAGE // 8))
    file.write_bytes(data)
    process, (warning,) = open_again(folder)
    (aside,) = damaged(folder)
    assert aside.read_bytes() == data
    assert warning.startswith(f"{file} is damaged: ")
    assert f"it is renamed to {aside.name}, with {SESSIONS} sessions, " in warning
    back = process.client("c7", **kept(V5))
    found = take(process, back, MESSAGES - 1)
    assert found == sorted(set(found))
    assert MESSAGES / 2 < len(found) < MESSAGES
    assert messages(process.client("d").subscribe(subscription("r"))[1:]) == [("r", b"retained", 0)]
    process.store.stop()


@pytest.mark.parametrize("harm", [lambda data: b"x" * len(data), lambda data: data[: len(data) // 3]], ids=["x", "cut"])
def test_all_of_it(folder, harm):
    file = folder / FILE
    data = harm(file.read_bytes())
    file.write_bytes(data)
    process, (warning,) = open_again(folder)
    assert "is damaged" in warning
    (aside,) = damaged(folder)
    assert aside.read_bytes() == data
    process.away("new", "a/#")
    process.store.stop()
    later, warnings = open_again(folder)
    assert warnings == []
    assert damaged(folder) == [aside]
    later.store.stop()


def test_records_that_are_nothing_known(folder):
    store = open_store(folder, "process", print)
    store.database.connection.execute(
        "UPDATE messages SET body = x'c1' WHERE number = (SELECT min(number) FROM messages)"
    )
    store.database.connection.execute("UPDATE progress SET record = x'c1' WHERE session = 1")
    store.database.close()
    process, (warning,) = open_again(folder)
    assert f"{SESSIONS} sessions, {MESSAGES - 1} messages, 1 retained" in warning
    assert len(process.hub.world.hub.clients) == SESSIONS
    process.store.stop()


def test_an_operator_may_rather_not_start(folder):
    (folder / FILE).write_bytes(b"x" * 10_000)
    with pytest.raises(ConfigError, match=r"is damaged: .*; --on-damage set-aside starts with the readable records"):
        open_store(folder, "fsync", print, "refuse")
    assert damaged(folder) == []
