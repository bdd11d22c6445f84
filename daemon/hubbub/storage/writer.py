"""The thread that owns the connection: no other thread writes or checkpoints.

What fails is tried again until it succeeds. A failed transaction is rolled back, and its batch is written again as a
whole, by the same connection and to the same place of the log: so its pages are dirty again, and the next fsync is
about them. A connection that was opened anew would take what the failed fsync has left in the page cache for committed,
and go on behind it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from traceback import format_exc
from typing import Any, NamedTuple, Protocol

import apsw

from hubbub import limits
from hubbub.kernel.sessions.records import record_message
from hubbub.message import cost
from hubbub.storage.audiences import Audiences, Sweep
from hubbub.storage.blocks import Blocks, HistoryBatch
from hubbub.storage.changes import Changes
from hubbub.storage.codec import pack
from hubbub.storage.database import Database
from hubbub.storage.reader import read_bodies

Row = Sequence[Any]


class Owner(Protocol):
    """Whom the writer tells, in the reactor (storage.store.DurableStore)."""

    def committed(self, number: int, seconds: float) -> None:
        """A batch is safe; its transaction took so long."""

    def recovered(self) -> None:
        """What failed succeeds again."""

    def failing(self, why: str) -> None:
        """A try to write has failed."""

    def ended(self, traceback: str) -> None:
        """The writer has a fault, and writes nothing any more."""


class Prepared(NamedTuple):
    """A batch as rows, which may be written more than once."""

    changes: Changes
    audiences: list[tuple[int, bytes]]
    messages: list[tuple[int, int, bytes, int, int]]
    sweeps: list[Sweep]
    history: HistoryBatch


class Writer:
    """Writes batches; `call` calls a function in the reactor.

    oldest  Unix seconds of the oldest message, as of a look some seconds ago; None: there was none
    """

    def __init__(
        self, database: Database, audiences: Audiences, blocks: Blocks, call: Callable[..., object], owner: Owner
    ) -> None:
        self.oldest: float | None = None
        self._audiences = audiences
        self._blocks = blocks
        self._call = call
        self._database = database
        self._owner = owner
        self._queue: SimpleQueue[tuple[int, Changes] | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._failing = False
        self._looked = -math.inf  # for the oldest, in monotonic seconds
        self._swept = 0.0  # when, in monotonic seconds
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, number: int, changes: Changes) -> None:
        """Take a batch."""
        self._queue.put((number, changes))

    def stop(self) -> None:
        """Write what is there, and end; what can't be written now is given up."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (batch := self._next()) is not None:
                number, changes = batch
                if not self._write(number, self._prepare(changes)):
                    return
                self._try(self._database.checkpoint)
                self._look()
        except Exception:  # noqa: BLE001  a fault here must not look like a slow disk
            self._call(self._owner.ended, format_exc())

    def _next(self) -> tuple[int, Changes] | None:
        """Wait for a batch; meanwhile try a checkpoint again that has failed, and delete what no session waits for."""
        while True:
            seconds = limits.STORE_SWEEP_SECONDS if self._audiences.unswept else self._blocks.patience
            try:
                return self._queue.get(timeout=limits.STORE_RETRY_SECONDS if self._failing else seconds)
            except Empty:
                self._try(self._database.checkpoint)
            self._trim()

    def _trim(self) -> None:
        """Delete what no session waits for, and what is too much in the history."""
        batch = self._prepare(Changes())
        some = any(one.ranges for one in batch.sweeps) or batch.history.trims
        if some and self._try(partial(self._transact, batch)):
            self._written(batch)

    def _written(self, batch: Prepared) -> None:
        self._audiences.swept(batch.sweeps)
        self._blocks.written(batch.history)

    def _write(self, number: int, batch: Prepared) -> bool:
        """Write a batch, however long it takes. False: it was given up, so nothing behind it may be written either."""
        while True:
            began, last = time.monotonic(), self._stopping.is_set()
            if self._try(partial(self._transact, batch)):
                self._written(batch)
                self._call(self._owner.committed, number, time.monotonic() - began)
                return True
            if last:
                return False
            self._stopping.wait(limits.STORE_RETRY_SECONDS)

    def _try(self, write: Callable[[], object]) -> bool:
        """Write. False: it failed, which is told; the first success after that too."""
        try:
            write()
        except apsw.Error as error:
            self._failing = True
            self._call(self._owner.failing, self._database.why(error))
            return False
        if self._failing and not self._database.has_unmoved():
            self._failing = False
            self._call(self._owner.recovered)
        return True

    def _look(self) -> None:
        """Look for the oldest message now and then."""
        if (now := time.monotonic()) >= self._looked + limits.STORE_LOOK_SECONDS:
            self._looked = now
            self._try(self._find_oldest)

    def _find_oldest(self) -> None:
        query = "SELECT number, body, rule FROM messages ORDER BY number LIMIT 1"
        self.oldest = None
        rows: list[Any] = self._database.connection.execute(query).fetchall()
        bodies = read_bodies(self._database.connection, [(number, body, rule) for number, body, rule in rows])
        self.oldest = next((one.time for one in bodies.values()), None)

    # One batch

    def _prepare(self, changes: Changes) -> Prepared:
        new: list[tuple[int, bytes]] = []
        take = self._audiences.take
        messages = [
            (number, take(number, receivers, shared, new), b"", rule, cost(message))
            if rule
            else (number, take(number, receivers, shared, new), pack(record_message(message)), 0, 0)
            for number, message, receivers, shared, rule in changes.messages
        ]
        for session, progress in changes.progress.items():
            self._audiences.advance(session, progress)
        for session in changes.ended:
            self._audiences.end(session)
        return Prepared(changes, new, messages, self._sweep(), self._blocks.prepare(changes))

    def _sweep(self) -> list[Sweep]:
        now = time.monotonic()
        if now < self._swept + limits.STORE_SWEEP_SECONDS:
            return []
        self._swept = now
        return list(self._audiences.sweep())

    def _transact(self, batch: Prepared) -> None:
        try:
            with self._database.transaction():
                self._blocks.write(batch.history)
                self._insert(batch)
                self._delete(batch)
        except apsw.FullError:
            self._database.make_room()
            raise

    def _insert(self, batch: Prepared) -> None:
        changes = batch.changes
        self._replace("audiences (id, receivers)", batch.audiences)
        self._replace("messages (number, audience, body, rule, size)", batch.messages)
        self._replace("sessions (number, record)", [(one, pack(record)) for one, record in changes.sessions.items()])
        there = [(*key, pack(record)) for key, record in changes.subscriptions.items() if record is not None]
        self._replace("subscriptions (session, id, record)", there)
        self._replace("progress (session, record)", [(one, pack(record)) for one, record in changes.progress.items()])
        kept = [(topic, pack(record_message(one))) for topic, one in changes.retained.items() if one is not None]
        self._replace("retained (topic, body)", kept)
        self._replace("keys (number, record)", [(number, pack(record)) for number, record in changes.keys])
        if changes.stream is not None:
            self._replace("stream (rowid, epoch, seq)", [(1, *changes.stream)])

    def _replace(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows, many with one statement: each statement gives up the interpreter's lock, and has to get it."""
        at, execute = 0, self._database.connection.execute
        while at < len(rows):
            count = _largest(len(rows) - at)
            values = ", ".join([f"({', '.join('?' * len(rows[0]))})"] * count)
            execute(f"INSERT OR REPLACE INTO {table} VALUES {values}", _flat(rows[at : at + count]))  # noqa: S608
            at += count

    def _delete(self, batch: Prepared) -> None:
        changes, execute = batch.changes, self._database.connection.execute
        for session in changes.ended:
            execute("DELETE FROM sessions WHERE number = ?", (session,))
            execute("DELETE FROM subscriptions WHERE session = ?", (session,))
            execute("DELETE FROM progress WHERE session = ?", (session,))
        for key, record in changes.subscriptions.items():
            if record is None:
                execute("DELETE FROM subscriptions WHERE session = ? AND id = ?", key)
        for topic, message in changes.retained.items():
            if message is None:
                execute("DELETE FROM retained WHERE topic = ?", (topic,))
        if changes.forgotten:
            execute("DELETE FROM keys WHERE number <= ?", (changes.forgotten,))
        for one in batch.sweeps:
            for first, last in one.ranges:
                where = one.audience.id, first, last
                execute("DELETE FROM messages WHERE audience = ? AND number BETWEEN ? AND ?", where)
            if one.ended:
                execute("DELETE FROM audiences WHERE id = ?", (one.audience.id,))


def _largest(count: int) -> int:
    """Return how many rows the next statement takes: one of few numbers, so that it is prepared already."""
    return next(size for size in (256, 64, 16, 4, 1) if size <= count)


def _flat(rows: Iterable[Row]) -> tuple[Any, ...]:
    return tuple(value for row in rows for value in row)
