"""The durable store as the kernel knows it (kernel.sessions.store.Store)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from hubbub import limits
from hubbub.kernel.commits import Commits
from hubbub.kernel.sessions.records import MessageRecord, SessionRecord, StoredSession, SubscriptionRecord, Way
from hubbub.kernel.sessions.store import Recorded
from hubbub.message import Message, cost
from hubbub.storage.changes import Changes, Stored
from hubbub.storage.codec import pack_id
from hubbub.storage.database import Database
from hubbub.storage.loading import Loader
from hubbub.storage.writer import Writer


class DurableStore:
    """Keeps sessions and retained messages in a database.

    database  open, and no other thread's business until `start`
    call      calls a function with arguments in the reactor, from any thread
    """

    durable = True

    def __init__(self, database: Database, call: Callable[..., object]) -> None:
        self.commits = Commits()
        self.commits.open = 1
        self.changed: Callable[[], object] = lambda: None
        self.database = database
        self._loader = loader = Loader(database.connection)
        self._last = loader.last_message
        self._last_session = loader.last_session
        self._changes = Changes()
        self._noted: list[Recorded] = []
        self._open: dict[Message, Stored] = {}  # of this turn
        self._dirty = False
        self._closed = 0  # the last batch that was closed
        self._handed = 0  # the last that the writer got
        self._writer = Writer(database, loader.audiences, call, self._safe)

    def load(self) -> Iterable[StoredSession]:
        return self._loader.sessions()

    def load_retained(self) -> Iterable[MessageRecord]:
        return self._loader.retained()

    def start(self) -> None:
        """Begin to write; everything is loaded."""
        self._writer.start()

    def stop(self) -> None:
        """Write what was committed, and close the database, in any thread: it blocks for as long as that takes."""
        self._writer.stop()
        self.database.close()

    # Changes

    def _change(self) -> Changes:
        if not self._dirty:
            self._dirty = True
            self.changed()
        return self._changes

    def begin_session(self) -> int:
        self._last_session += 1
        return self._last_session

    def save_session(self, number: int, record: SessionRecord) -> None:
        self._change().sessions[number] = record

    def end_session(self, number: int) -> None:
        self._change().ended.append(number)

    def subscribe(self, number: int, record: SubscriptionRecord) -> None:
        id = record.filter if record.id is None else record.id
        self._change().subscriptions[number, pack_id(id)] = record

    def unsubscribe(self, number: int, id: Hashable) -> None:
        self._change().subscriptions[number, pack_id(id)] = None

    def enqueue(self, number: int, message: Message, way: Way, last: int) -> int:
        stored = self._open.get(message)
        if stored is None or stored.number <= last:
            changes = self._change()
            self._last += 1
            stored = self._open[message] = Stored(self._last, message, {})
            changes.messages.append(stored)
            changes.size += cost(message) + limits.OWED_BYTES
        stored.receivers[number] = way
        return stored.number

    def note(self, session: Recorded) -> None:
        self._noted.append(session)
        self._change()

    def retain(self, message: Message) -> None:
        changes = self._change()
        changes.retained[message.topic] = message if message.payload else None
        changes.size += cost(message) + limits.OWED_BYTES

    # Batches

    def commit(self) -> None:
        number = self._closed = self.commits.close()
        if not self._dirty:
            if self.commits.safe >= self._handed:  # or its turn comes with the batch before it
                self.commits.done(number)
            return
        for session in self._noted:
            if session.number:
                self._changes.progress[session.number] = session.progress()
        changes, self._changes = self._changes, Changes()
        self._noted = []
        self._open = {}
        self._dirty = False
        self._handed = number
        self._writer.put(number, changes)

    def _safe(self, number: int) -> None:
        self.commits.done(self._closed if number == self._handed else number)

    def figures(self) -> dict[str, Any]:
        """Return what an operator may want to know."""
        return {"folder": str(self.database.folder), "durability": self.database.durability}
