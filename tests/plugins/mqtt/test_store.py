"""kernel/sessions/store.py: a store that records each change has all that a new process needs."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from hubbub import limits
from hubbub.kernel.commits import Commits
from hubbub.kernel.sessions.backlog import Backlog
from hubbub.kernel.sessions.records import (
    DeliveryRecord,
    Progress,
    StoredSession,
    Way,
    make_message,
    record_message,
)
from hubbub.kernel.sessions.store import Recorded
from hubbub.message import Message
from hubbub.storage.database import Database
from hubbub.storage.loading import Loader
from hubbub.storage.store import DurableStore
from hubbub_plugins.mqtt.packets import Ack, Pingreq, Pingresp, Publish, Will
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, MqttHub, kept, messages, subscription


class Disk:
    """What outlives the process: only what was committed."""

    def __init__(self) -> None:
        self.safe: list[bytes] = []

    def run(self, slow: bool) -> JournalStore:
        """The store of a new process."""
        return JournalStore(self, slow)


class JournalStore:
    """Writes records on such a disk, one after the other. With `slow` a batch is safe when the test says so."""

    durable = True

    def __init__(self, disk: Disk, slow: bool = False) -> None:
        self.commits = Commits()
        self.commits.open = 1
        self.changed = lambda: None
        self.disk = disk
        self.slow = slow
        self.journal: list[bytes] = []
        self.noted: list[Recorded] = []
        self.unsafe: list[tuple[int, list[bytes]]] = []
        self.last = max((rest[-1] for what, _, *rest in map(pickle.loads, disk.safe) if what == "enqueue"), default=0)

    def _write(self, *what: Any) -> None:
        self.journal.append(pickle.dumps(what))
        self.changed()

    def begin_session(self) -> int:
        return 1 + len(self.disk.safe) + sum(len(batch) for _, batch in self.unsafe) + len(self.journal)

    def enqueue(self, number: int, message: Message, way: Way, last: int) -> int:
        self.last = max(self.last, last) + 1
        self._write("enqueue", number, record_message(message), way, self.last)
        return self.last

    def enqueue_for_all(self, ways: Mapping[int, Way], message: Message, last: int) -> int:
        self.last = max(self.last, last) + 1
        for number, way in ways.items():
            self._write("enqueue", number, record_message(message), way, self.last)
        return self.last

    def note(self, session: Recorded) -> None:
        self.noted.append(session)
        self.changed()

    def retain(self, message: Message) -> None:
        self._write("retain", record_message(message))

    def commit(self) -> None:
        for session in self.noted:
            if session.number:
                self._write("advance", session.number, session.progress())
        self.noted.clear()
        batch, self.journal = self.journal, []
        self.unsafe.append((self.commits.close(), batch))
        if not self.slow or not any(changes for _, changes in self.unsafe):
            self.finish()

    def start(self) -> None:
        """The journal needs no thread."""

    def finish(self) -> None:
        """All batches are safe."""
        unsafe, self.unsafe = self.unsafe, []
        for number, batch in unsafe:
            self.disk.safe += batch
            self.commits.done(number)

    def load(self):
        found: dict[int, Read] = {}
        for what, number, *rest in map(pickle.loads, self.disk.safe):
            if what == "save_session":
                found.setdefault(number, Read()).session = rest[0]
            elif what == "end_session":
                del found[number]
            elif what != "retain":
                getattr(found[number], what)(*rest)
        return [one.stored(number) for number, one in found.items()]

    def load_retained(self):
        found = {record.topic: record for what, record, *_ in map(pickle.loads, self.disk.safe) if what == "retain"}
        return [record for record in found.values() if record.payload]


for name in ("save_session", "end_session", "subscribe", "unsubscribe"):
    setattr(JournalStore, name, lambda self, *what, name=name: self._write(name, *what))


class Read:
    """A session as it is read."""

    def __init__(self):
        self.session = None
        self.subscriptions = {}
        self.messages = {}
        self.progress = Progress(0, (), (), ())

    def subscribe(self, record):
        self.subscriptions[record.filter if record.id is None else record.id] = record

    def unsubscribe(self, id):
        del self.subscriptions[id]

    def enqueue(self, message, way, number):
        self.messages[number] = make_message(message), way

    def advance(self, progress):
        self.progress = progress

    def stored(self, number):
        subscriptions, inflight = tuple(self.subscriptions.values()), self.progress.inflight
        waiting = [(one, 0, False) for one in sorted(self.messages)]
        queue = [one for one in waiting if one[0] >= self.progress.next and one[0] not in self.progress.gaps]
        deliveries = [DeliveryRecord(one, *self.messages[one], *rest) for one, *rest in (*inflight, *queue)]
        return StoredSession(number, self.session, subscriptions, tuple(deliveries), self.progress, Backlog())


class DatabaseDisk:
    """The same for the database: what a killed process leaves is a copy of its files."""

    def __init__(self, folder: Path) -> None:
        self.folders = (folder / str(n) for n in count())
        self.folder: Path | None = None
        self.stores: list[PromptStore] = []

    def run(self, slow: bool) -> PromptStore:
        assert not slow
        before, self.folder = self.folder, next(self.folders)
        if before is not None:
            shutil.copytree(before, self.folder)
        self.stores.append(PromptStore(self.folder))
        return self.stores[-1]


class PromptStore(DurableStore):
    """A DurableStore whose batches are safe at the end of their turn, and whose pages are read by then."""

    def __init__(self, folder: Path) -> None:
        self.asked = 0
        self.calls: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        database = Database(folder)
        database.open("process")
        super().__init__(database, Loader(database.connection), lambda *call: self.calls.put(call))

    def commit(self) -> None:
        super().commit()
        while self.commits.safe < self.commits.open - 1 or self.asked:
            call, *arguments = self.calls.get(timeout=10)
            call(*arguments)

    def fetch(self, number, numbers, then) -> None:
        def read(*page) -> None:
            self.asked -= 1
            then(*page)

        self.asked += 1
        self.changed()
        super().fetch(number, numbers, read)


@pytest.fixture
def journal():
    return Disk()


@pytest.fixture(params=["journal", "database"])
def disk(request, tmp_path, journal):
    if request.param == "journal":
        yield journal
        return
    database = DatabaseDisk(tmp_path)
    yield database
    for store in database.stores:
        store.stop()


def run(disk, slow=False, **more):
    """A process; the one before has been killed."""
    context = MqttHub(**more)
    context.store = disk.run(slow)
    context.world.hub.load(context.store)
    context.store.start()
    return context


def back(context, name="c", **more):
    client = context.client(name, **(kept(V5) | more))
    assert client.connack.present
    return client


def test_what_waits_is_there_after_a_restart(disk):
    context = run(disk)
    context.client("c", **kept(V5)).subscribe(subscription("a", 2), subscription("zero"))
    context.client("c", **kept(V5)).end.vanish()
    context.world.turn()
    writer = context.client("w")
    for n in range(3):
        writer.publish("a", b"%d" % n, qos=1, id=1)

    context = run(disk)
    assert context.world.hub.clients.queued_bytes > 0
    context.client("w").publish("a", b"3", qos=1, id=1)
    client = back(context)
    assert messages(client.first) == [("a", b"%d" % n, 1) for n in range(4)]
    context.client("w").publish("zero")
    assert messages(client.heard()) == [("zero", b"x", 0)]


def test_what_flew_is_sent_again_with_its_id_and_once(disk):
    context = run(disk)
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(subscription("a", 2))
    for n in range(4):
        writer.publish("a", b"%d" % n, qos=2, id=n + 1)
    sent = client.heard()
    client.ack(PUBREC, sent[1].id)
    client.ack(PUBREC, sent[3].id)
    client.ack(PUBCOMP, sent[3].id)

    context = run(disk)
    first, second, third = back(context).first
    assert [(one.id, one.dup) for one in (first, third)] == [(sent[0].id, True), (sent[2].id, True)]
    assert second == Ack(kind=PUBREL, id=sent[1].id)
    assert context.world.hub.clients.queued_bytes > 0
    client = context.client("c", clean=True)
    client.subscribe(subscription("a", 2))
    assert context.world.hub.clients.queued_bytes == 0


def test_what_is_acknowledged_was_saved_before(journal):
    context = run(journal)
    ear, writer = context.client("ear", **kept(V5)), context.client("w", **kept(V5))
    ear.subscribe(subscription("a", 1))
    answered = []
    for wire in [link.wire for link in context.listener.context.links]:
        wire.write = lambda data, write=wire.write: (answered.append((data[0] >> 4, len(journal.safe))), write(data))
    before = len(journal.safe)
    writer.publish("a", qos=2, id=9)
    (to_ear, to_writer) = sorted(answered)
    assert (to_ear[0], to_writer[0]) == (3, PUBREC)
    assert to_ear[1] == to_writer[1] > before
    context = run(journal)
    writer = back(context, "w")
    writer.publish("a", qos=2, id=9, dup=True)
    assert len(back(context, "ear").first) == 1
    assert writer.ack(PUBREL, 9) == [Ack(kind=PUBCOMP, id=9)]


def test_ids_that_fly_are_not_given_again(disk):
    context = run(disk)
    client = context.client("c", **kept(V5))
    client.subscribe(subscription("a", 1))
    writer = context.client("w")
    for n in range(3):
        writer.publish("a", b"%d" % n, qos=1, id=1)
    client.ack(PUBACK, 1)
    context = run(disk)
    client = back(context)
    context.client("w").publish("a", b"3", qos=1, id=1)
    assert [one.id for one in client.first + client.heard()] == [2, 3, 4]


def test_a_will_of_a_client_that_the_end_of_the_process_cut_off(disk):
    context = run(disk)
    context.client("now", **kept(V5), will=Will(topic="w", payload=b"now", qos=1))
    later = Will(topic="w", payload=b"later", qos=1, properties={"will_delay_interval": 50})
    context.client("later", **kept(V5), will=later)
    context.client("never", **kept(V5), will=Will(topic="w", payload=b"never", qos=1)).goodbye()
    ear = context.client("ear", **kept(V5))
    ear.subscribe(subscription("w", 1))

    context = run(disk)
    context.world.advance(49)
    ear = back(context, "ear")
    assert messages(ear.first) == [("w", b"now", 1)]
    context.world.advance(1)
    assert messages(ear.heard()) == [("w", b"later", 1)]
    assert context.world.hub.clients.will_bytes == 0
    assert context.world.hub.clients.queued_bytes > 0


def test_a_session_that_has_ended_is_gone(disk):
    context = run(disk)
    context.client("c", **kept(V5)).goodbye(session_expiry_interval=5)
    context = run(disk)
    assert len(context.world.hub.clients) == 1
    context.world.advance(6)
    context = run(disk)
    assert len(context.world.hub.clients) == 0
    context.client("d").subscribe(subscription("a", 1))
    assert len(run(disk).world.hub.clients) == 0


def test_nothing_is_left_of_sessions_that_ended_in_the_midst(journal):
    context = run(journal)
    writer = context.client("w")
    for n, ends in enumerate(
        (lambda one: one.end.vanish(), lambda one: one.goodbye(), lambda one: context.client("c0"))
    ):
        client = context.client(f"c{n % 2}", will=Will(topic="a", payload=b"will"))
        client.subscribe(subscription("a", 2), subscription("$share/g/a", 2))
        for id in range(1, 4):
            writer.publish("a", qos=2, id=id)
            writer.ack(PUBREL, id)
        client.publish("b", qos=2, id=1)
        ends(client)
        context.world.turn()
        assert context.world.hub.clients.queued_bytes == 0
    writer.end.vanish()
    context.world.turn()
    assert journal.safe == []  # a session that ends with its link is never written


def test_a_member_of_a_group(disk):
    context = run(disk)
    context.client("c", **kept(V5)).subscribe(subscription("$share/g/a", 1))
    context = run(disk)
    context.client("w").publish("a", qos=1, id=1)
    assert messages(back(context).first) == [("a", b"x", 1)]


@pytest.mark.parametrize("full", ["drop-oldest", "drop-newest"])
def test_what_was_dropped_is_dropped_on_the_disk_too(disk, full, monkeypatch):
    monkeypatch.setattr(limits, "QUEUE_MESSAGES", 3)
    context = run(disk, full=full)
    context.client("c", **kept(V5)).subscribe(subscription("a", 1))
    context.client("c", **kept(V5)).end.vanish()
    context.world.turn()
    writer = context.client("w")
    for n in range(6):
        writer.publish("a", b"%d" % n, qos=1, id=1)
    wanted = [b"3", b"4", b"5"] if full == "drop-oldest" else [b"0", b"1", b"2"]
    assert [payload for _, payload, _ in messages(back(run(disk)).first)] == wanted


def test_a_store_that_fails_keeps_everybody_from_being_told(journal, monkeypatch):
    context = run(journal)
    ear, writer = context.client("ear", **kept(V5)), context.client("w")
    ear.subscribe(subscription("a", 1))

    def full():
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(context.world.hub.turn, "commit", full)
        with pytest.raises(OSError, match="no space"):
            writer.publish("a", qos=1, id=1)
        assert writer.heard() == ear.heard() == []
    context.world.hub.turn.schedule_flush()
    context.world.turn()
    assert writer.heard() == [Ack(kind=PUBACK, id=1)]
    assert messages(ear.heard()) == [("a", b"x", 1)]


class Broken:
    """An inbox (kernel.turn.Flushable)."""

    def flush(self):
        raise ZeroDivisionError


def test_a_turn_in_which_something_failed_is_saved_before_anybody_is_told(journal):
    context = run(journal)
    writer = context.client("w", **kept(V5))
    context.world.hub.turn.inboxes.append(Broken())
    with pytest.raises(ZeroDivisionError):
        writer.publish("a", qos=2, id=9)
    assert (9,) in [rest[0].received for what, _, *rest in map(pickle.loads, journal.safe) if what == "advance"]
    assert [one.id for one in writer.heard()] == [9]


def test_what_flies_amid_a_flush_is_saved_before(journal, monkeypatch):
    monkeypatch.setattr(limits, "ANSWER_BYTES", 1)  # the answer to a ping holds back what comes behind it
    context = run(journal)
    writer, ear, other = context.client("w", **kept(V5)), context.client("ear", **kept(V5)), context.client("other")
    writer.subscribe("other")
    ear.subscribe(subscription("a", 1), "b")
    saved = []
    for link in context.listener.context.links:
        if link.session.client == "ear":
            link.wire.write = lambda data: saved.extend(
                id
                for what, _, *rest in map(pickle.loads, journal.safe)
                if what == "advance"
                for _, id, _ in rest[0].inflight
            )
    writer.end.send(Pingreq().encode(V5) + Publish(topic="a", qos=1, id=7).encode(V5))
    writer.end.move()
    other.end.send(Publish(topic="b").encode(V5))  # so that the ear stands behind the writer
    other.end.move()
    context.world.turn()
    assert saved == [1]


def test_a_slow_commit_holds_back_what_depends_on_it_and_nothing_else(journal):
    context = run(journal)
    ear, writer, away = context.client("ear"), context.client("w"), context.client("away", **kept(V5))
    ear.subscribe(subscription("plain"))
    away.subscribe(subscription("kept", 1))
    context.store.slow = True

    assert writer.publish("kept", qos=1, id=1) == []  # neither the acknowledgement
    assert away.heard() == []  # nor the message, whose packet identifier could be forgotten
    writer.publish("plain", b"live")  # QoS 0 goes on
    assert messages(ear.heard()) == [("plain", b"live", 0)]
    assert [one.id for one in ear.publish("nowhere", qos=1, id=5)] == [5]  # nothing of it is kept
    assert writer.end.send(Pingreq().encode(V5)) is None  # its own order stays
    writer.end.move()
    assert writer.heard() == []
    context.store.finish()
    context.world.turn()
    first, second = writer.heard()
    assert (first, type(second)) == (Ack(kind=PUBACK, id=1), Pingresp)
    assert messages(away.heard()) == [("kept", b"x", 1)]


def test_retained_messages_are_there_after_a_restart(disk):
    context = run(disk)
    writer = context.client("w")
    writer.publish("r/1", b"old", retain=True)
    writer.publish("r/1", b"new", retain=True, qos=1, id=1)
    writer.publish("r/2", b"gone", retain=True)
    writer.publish("r/2", b"", retain=True)
    context = run(disk)
    client = context.client("c")
    assert messages(client.subscribe(subscription("r/#"))[1:]) == [("r/1", b"new", 0)]
