"""A disk that is full, fails, tears or is slow: nothing that was acknowledged is lost, and everything else goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import apsw
import pytest

from hubbub import limits
from hubbub.storage.history import DurableHistory
from hubbub.storage.opening import open_store
from hubbub_plugins.mqtt.packets import Ack, Pingresp, Will
from mqtt_client import PUBACK, PUBREC, V5, V311, Client, MqttHub, kept, messages, subscription
from storage.faulty import NAME


class Process:
    """A hub whose store is in a thread, over a disk that may fail."""

    def __init__(self, folder: Path, durability: str = "fsync", vfs: str | None = NAME, **more: Any) -> None:
        self.calls: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        keys = {name: more.pop(name) for name in ("prefix",) if name in more}
        rules = more.pop("history", ())
        self.store = open_store(folder, durability, lambda *call: self.calls.put(call), vfs=vfs, **more)
        self.alarms: list[str] = []
        self.store.on_alarm = self.alarms.append
        self.hub = MqttHub(**keys)
        self.reading = 0  # pages that the store reads
        fetch, self.store.fetch = self.store.fetch, lambda *what: self._fetch(fetch, *what)
        self.hub.world.hub.load(self.store)
        self.hub.world.hub.keep_history(rules, DurableHistory(self.store))
        self.store.start()

    def _fetch(self, fetch: Callable[..., None], number: int, numbers: Any, then: Callable[..., None]) -> None:
        def read(*page: Any) -> None:
            self.reading -= 1
            then(*page)

        self.reading += 1
        fetch(number, numbers, read)

    def wait(self, until: Callable[[], object]) -> None:
        """Let the writer tell what it has to, until something is so."""
        while not until():
            call, *arguments = self.calls.get(timeout=30)
            call(*arguments)
            self.hub.world.turn()

    def settle(self) -> None:
        """Wait until everything is safe."""
        self.hub.world.turn()
        self.wait(lambda: self.store.commits.safe == self.store.commits.open - 1)

    def client(self, name: str = "", version: int = V5, **more: Any) -> Client:
        """A client that is connected, however long the store takes to say so."""
        client = Client(self.hub.listener, version)
        found = client.connect(name, **more)
        client.connack_at_once = found != []
        if found == []:
            self.settle()
            found = client.output()
        client.first = found[1:] if isinstance(found, list) else []
        if self.reading:
            self.wait(lambda: not self.reading)
            self.settle()  # of what is in flight now
            client.first += client.output()
        return client

    def away(self, name: str, *filters: str) -> None:
        """A session whose client has gone."""
        client = self.client(name, **kept(V5))
        client.subscribe(*(subscription(one, 2) for one in filters))
        client.end.vanish()
        self.settle()


@pytest.fixture
def process(disk, tmp_path):
    process = Process(tmp_path / "state")
    yield process
    disk.full = disk.unsynced = disk.tears = False
    disk.go.set()
    process.store.stop()


@pytest.mark.parametrize("fault", ["full", "unsynced", "tears"])
def test_nothing_is_acknowledged_that_is_not_safe(process, disk, fault):
    process.away("away", "a")
    ear = process.client("ear")
    ear.subscribe("plain")
    writer = process.client("w")
    setattr(disk, fault, True)
    assert writer.publish("a", b"kept", qos=1, id=1) == []
    process.wait(lambda: process.store.failures > 2)
    assert writer.output() == []
    other = process.client("other")
    other.publish("plain", b"live")  # QoS 0 goes on, and so does what nobody keeps
    assert messages(ear.output()) == [("plain", b"live", 0)]
    assert other.publish("nowhere", qos=1, id=2) == [Ack(kind=PUBACK, id=2, code=0x10)]
    assert len(process.alarms) == 1

    setattr(disk, fault, False)
    process.settle()
    assert writer.output() == [Ack(kind=PUBACK, id=1)]
    process.wait(lambda: len(process.alarms) == 2)
    assert process.alarms[1] == ""
    assert messages(process.client("away", **kept(V5)).first) == [("a", b"kept", 1)]


def test_a_slow_disk_delays_no_client_that_needs_no_commit(process, disk):
    process.away("away", "a")
    ear, ear_1 = process.client("ear"), process.client("ear1")
    ear.subscribe("plain/#")
    ear_1.subscribe(subscription("plain/#", 1))
    writer, other = process.client("w"), process.client("x")
    disk.go.clear()
    assert writer.publish("a", b"kept", qos=1, id=1) == []
    for n in range(3):
        assert other.publish("plain/1", b"%d" % n, qos=1, id=n + 1) == [Ack(kind=PUBACK, id=n + 1)]
    assert messages(ear.output()) == [("plain/1", b"%d" % n, 0) for n in range(3)]
    assert messages(ear_1.output()) == [("plain/1", b"%d" % n, 1) for n in range(3)]  # its session ends with its link
    assert process.client("new").connack_at_once
    disk.go.set()
    process.settle()
    assert writer.output() == [Ack(kind=PUBACK, id=1)]


def test_the_hub_rests_while_much_waits_for_a_slow_disk(process, disk):
    process.away("away", "a")
    writer = process.client("w")
    for n in range(10):
        writer.publish("a", bytes(limits.ANSWER_BYTES // 4), qos=1, id=n + 1)
    process.settle()
    disk.go.clear()
    client = Client(process.hub.listener, V5)
    assert client.connect("away", **kept(V5)) == []
    disk.go.set()
    process.settle()
    assert len(messages(client.output()[1:])) == 10


def test_publishers_are_refused_once_it_has_failed_for_long(process, disk, monkeypatch):
    monkeypatch.setattr(limits, "STORE_PATIENCE_SECONDS", 0.0)
    process.away("away", "a")
    waiting, writer, old = process.client("w"), process.client("x"), process.client("y", V311)
    lines = process.client("z")
    disk.full = True
    waiting.publish("a", b"1", qos=1, id=1)
    process.wait(lambda: process.store.commits.refuses)
    assert [(one.kind, one.code) for one in writer.publish("a", qos=1, id=1)] == [(PUBACK, 0x97)]
    assert [(one.kind, one.code) for one in writer.publish("a", qos=2, id=1)] == [(PUBREC, 0x97)]
    assert [(one.kind, one.code) for one in writer.publish("r", qos=1, id=1, retain=True)] == [(PUBACK, 0x97)]
    assert writer.publish("new", qos=1, id=1) == [Ack(kind=PUBACK, id=1, code=0x10)]  # which nobody keeps
    old.publish("a", qos=1, id=1)
    assert old.closed  # version 3.1.1 has no other way to say it
    assert isinstance(lines.ping()[0], Pingresp)

    disk.full = False
    process.settle()
    assert waiting.output() == [Ack(kind=PUBACK, id=1)]
    writer.publish("a", b"2", qos=1, id=1)
    process.settle()
    assert writer.output() == [Ack(kind=PUBACK, id=1)]
    assert messages(process.client("away", **kept(V5)).first) == [("a", b"1", 1), ("a", b"2", 1)]


class Failures:
    """True so many times."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __bool__(self) -> bool:
        self.left -= 1
        return self.left >= 0


@pytest.mark.parametrize("failures", [0, 1])
def test_a_stop_writes_no_batch_without_those_before_it(disk, tmp_path, monkeypatch, failures):
    """It would have packet identifiers of messages that were never stored."""
    monkeypatch.setattr(limits, "STORE_RETRY_SECONDS", 10.0)
    process = Process(tmp_path / "state")
    process.away("away", "a")
    writer = process.client("w", **kept(V5))
    process.settle()
    disk.full = True
    for n in (1, 2):
        writer.publish("a", b"%d" % n, qos=2, id=n)
    process.wait(lambda: process.store.failures)
    disk.full = Failures(failures)
    process.store.stop()
    later = Process(tmp_path / "state")
    found = [one.payload for one in later.client("away", **kept(V5)).first]
    assert found == ([] if failures else [b"1", b"2"])
    later.store.stop()


def test_a_will_and_presence_are_not_refused(process, disk, monkeypatch):
    """They are published once, and their publisher isn't there to try again."""
    monkeypatch.setattr(limits, "STORE_PATIENCE_SECONDS", 0.0)
    process.away("away", "a", "w")
    dying = process.client("dying", will=Will(topic="w", payload=b"gone", qos=1, retain=True))
    writer = process.client("w")
    disk.full = True
    writer.publish("a", qos=1, id=1)
    process.wait(lambda: process.store.commits.refuses)
    dying.end.vanish()
    process.hub.world.turn()
    disk.full = False
    process.settle()
    assert [one.payload for one in process.client("new").subscribe("w")[1:]] == [b"gone"]
    assert messages(process.client("away", **kept(V5)).first) == [("a", b"x", 1), ("w", b"gone", 1)]


def test_below_a_mount_point_it_is_the_topic_of_the_hub_that_counts(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "STORE_PATIENCE_SECONDS", 0.0)
    process = Process(tmp_path / "state", prefix="boat")
    process.away("away", "a")
    disk.full = True
    process.client("w").publish("a", qos=1, id=1)
    process.wait(lambda: process.store.commits.refuses)
    assert [one.code for one in process.client("x").publish("a", qos=1, id=2)] == [0x97]
    disk.full = False
    process.store.stop()


def test_publishers_are_refused_once_too_much_waits(process, disk, monkeypatch):
    monkeypatch.setattr(limits, "STORE_WAITING_BYTES", 10_000)
    process.away("away", "a")
    writer = process.client("w")
    disk.go.clear()  # a disk that takes its time
    answers = []
    for id in range(1, 31):
        answers += writer.publish("a", bytes(1_000), qos=1, id=id)
    assert process.store.waiting_bytes < 20_000
    disk.go.set()
    process.settle()
    answers += writer.output()
    refused = [one.id for one in answers if one.code]
    assert refused == list(range(refused[0], 31))  # in the order of their coming
    assert [one.id for one in answers if not one.code] == list(range(1, refused[0]))
    back = process.client("away", **kept(V5))
    assert len(back.first) == refused[0] - 1


def test_a_log_that_has_all_the_room_is_moved(disk, tmp_path, monkeypatch):
    """The disk has no room but that of the log: it can be written anew once it is moved into the database."""
    monkeypatch.setattr(limits, "STORE_WAL_PAGES", 1)
    process = Process(tmp_path / "state")
    writer = process.client("w")
    for id in range(1, 40):
        writer.publish("r", b"%d" % id, qos=1, id=id, retain=True)
        process.settle()
        monkeypatch.setattr(limits, "STORE_WAL_PAGES", 10_000)  # the database has its pages now
    writer.output()
    disk.room = False
    writer.publish("r", b"last", qos=1, id=40, retain=True)
    process.wait(lambda: process.store.failures > 5 or process.store.commits.safe == process.store.commits.open - 1)
    assert [one.id for one in writer.output()] == [40]
    process.store.stop()


@pytest.mark.parametrize("seed", range(6))
def test_a_power_loss_after_failed_syncs_loses_nothing_that_was_acknowledged(disk, tmp_path, seed, monkeypatch):
    """Pages whose sync has failed are gone, even where a later sync of the file succeeds."""
    monkeypatch.setattr(limits, "STORE_WAL_PAGES", 40)  # checkpoints fail too
    monkeypatch.setattr(limits, "STORE_RETRY_SECONDS", 0.001)
    rolls = random.Random(seed)
    process = Process(tmp_path / "state")
    process.away("away", "a")
    writer = process.client("w")
    acknowledged: list[int] = []
    for n in range(60):
        disk.unsynced = rolls.random() < 0.3
        writer.publish("a", b"%d" % n, qos=1, id=n + 1)
        if disk.unsynced:
            failures = process.store.failures
            process.wait(lambda failures=failures: process.store.failures > failures)
            disk.unsynced = False
        if rolls.random() < 0.5:
            process.settle()
        acknowledged += [one.id - 1 for one in writer.output()]
    disk.lose_power(tmp_path / "later")
    process.store.stop()
    check(tmp_path / "later" / "hubbub.db")
    process = Process(tmp_path / "later", vfs=None)
    back = process.client("away", **kept(V5))
    found = [int(one.payload) for one in back.first]
    assert found == list(range(len(found)))
    assert set(acknowledged) <= set(found)
    assert len(acknowledged) > 20
    process.store.stop()


def check(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as database:
        assert database.pragma("integrity_check") == "ok"
