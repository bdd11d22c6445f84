"""Two stores whose process can be killed between any two changes: a journal in memory, and the database."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from hubbub.kernel.commits import Commits
from hubbub.kernel.sessions.paged_queue import PagedQueue
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
from mqtt_client import MqttHub


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
    held_qos = 1
    keeps_wills = False

    def __init__(self, disk: Disk, slow: bool = False) -> None:
        self.commits = Commits()
        self.commits.open = 1
        self.changed = lambda: None
        self.disk = disk
        self.slow = slow
        self.journal: list[tuple[Any, ...]] = []
        self.noted: list[Recorded] = []
        self.unsafe: list[tuple[int, list[bytes]]] = []
        self.last = max((rest[-1] for what, _, *rest in map(pickle.loads, disk.safe) if what == "enqueue"), default=0)

    def _write(self, *what: Any) -> None:
        self.journal.append(what)
        self.changed()

    def begin_session(self, session: Recorded) -> int:
        return 1 + len(self.disk.safe) + sum(len(batch) for _, batch in self.unsafe) + len(self.journal)

    def enqueue(self, number: int, message: Message, way: Way, last: int) -> int:
        self.last = max(self.last, last) + 1
        self._write("enqueue", number, record_message(message), way, self.last)
        return self.last

    def enqueue_for_all(self, ways: Mapping[int, Way], message: Message, last: int | None) -> int:
        self.last = max(self.last, last or 0) + 1
        self._write("enqueue", ways, record_message(message), None, self.last)
        return self.last

    def note(self, session: Recorded, later: bool = False) -> None:
        self.noted.append(session)
        self.changed()

    def retain(self, message: Message) -> None:
        self._write("retain", record_message(message))

    def commit(self) -> None:
        for session in self.noted:
            if session.number:
                self._write("advance", session.number, session.progress())
        self.noted.clear()
        batch, self.journal = [pickle.dumps(what) for what in self.journal], []
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

    def load_keys(self):
        return ()

    def load(self):
        found: dict[int, Read] = {}
        for what, number, *rest in map(pickle.loads, self.disk.safe):
            if what == "save_session":
                found.setdefault(number, Read()).session = rest[0]
            elif what == "end_session":
                del found[number]
            elif isinstance(number, dict):
                for one, way in number.items():
                    found[one].enqueue(rest[0], way, rest[-1])
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
        return StoredSession(number, self.session, subscriptions, tuple(deliveries), self.progress, PagedQueue())


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
            call, *arguments = self.calls.get(timeout=30)
            call(*arguments)

    def fetch(self, number, numbers, then) -> None:
        def read(*page) -> None:
            self.asked -= 1
            then(*page)

        self.asked += 1
        self.changed()
        super().fetch(number, numbers, read)


def run(disk, slow=False, **more):
    """A process; the one before has been killed."""
    context = MqttHub(**more)
    context.store = disk.run(slow)
    context.world.hub.load(context.store)
    context.store.start()
    return context
