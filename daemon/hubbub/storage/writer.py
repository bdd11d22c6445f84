"""The thread that owns the connection: it writes, it checkpoints, and nobody else does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from hubbub import limits
from hubbub.kernel.sessions.records import record_message
from hubbub.storage.audiences import Audiences, Sweep
from hubbub.storage.changes import Changes
from hubbub.storage.codec import pack
from hubbub.storage.database import Database

Row = Sequence[Any]


class Writer:
    """Writes batches.

    call  calls a function in the reactor; safe: is called there with the number of a batch that is committed
    """

    def __init__(
        self, database: Database, audiences: Audiences, call: Callable[..., object], safe: Callable[[int], object]
    ) -> None:
        self._audiences = audiences
        self._call = call
        self._database = database
        self._queue: SimpleQueue[tuple[int, Changes] | None] = SimpleQueue()
        self._safe = safe
        self._swept = 0.0  # when, in monotonic seconds
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, number: int, changes: Changes) -> None:
        """Take a batch."""
        self._queue.put((number, changes))

    def stop(self) -> None:
        """Write what is there, and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            number, changes = batch
            ends = False
            while not ends and len(changes.messages) < limits.STORE_MESSAGES:
                try:
                    more = self._queue.get_nowait()
                except Empty:
                    break
                ends = more is None
                if more is not None:
                    number = more[0]
                    changes.add(more[1])
            self._write(changes)
            self._call(self._safe, number)
            self._database.checkpoint()
            if ends:
                return

    def _write(self, changes: Changes) -> None:
        new: list[tuple[int, bytes]] = []
        take = self._audiences.take
        messages = [
            (number, take(number, receivers, new), pack(record_message(message)))
            for number, message, receivers in changes.messages
        ]
        for session, progress in changes.progress.items():
            self._audiences.advance(session, progress)
        for session in changes.ended:
            self._audiences.end(session)
        sweeps = self._sweep()
        with self._database.transaction():
            self._insert(changes, new, messages)
            self._delete(changes, sweeps)
        self._audiences.swept(sweeps)

    def _insert(self, changes: Changes, new: list[tuple[int, bytes]], messages: Sequence[Row]) -> None:
        self._replace("audiences (id, receivers)", new)
        self._replace("messages (number, audience, body)", messages)
        self._replace("sessions (number, record)", [(one, pack(record)) for one, record in changes.sessions.items()])
        there = [(*key, pack(record)) for key, record in changes.subscriptions.items() if record is not None]
        self._replace("subscriptions (session, id, record)", there)
        self._replace("progress (session, record)", [(one, pack(record)) for one, record in changes.progress.items()])
        kept = [(topic, pack(record_message(one))) for topic, one in changes.retained.items() if one is not None]
        self._replace("retained (topic, body)", kept)

    def _replace(self, table: str, rows: Sequence[Row]) -> None:
        """Insert rows, many with one statement: each statement gives up the interpreter's lock, and has to get it."""
        at, execute = 0, self._database.connection.execute
        while at < len(rows):
            count = _largest(len(rows) - at)
            values = ", ".join([f"({', '.join('?' * len(rows[0]))})"] * count)
            execute(f"INSERT OR REPLACE INTO {table} VALUES {values}", _flat(rows[at : at + count]))  # noqa: S608
            at += count

    def _delete(self, changes: Changes, sweeps: Iterable[Sweep]) -> None:
        execute = self._database.connection.execute
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
        for one in sweeps:
            for first, last in one.ranges:
                where = one.audience.id, first, last
                execute("DELETE FROM messages WHERE audience = ? AND number BETWEEN ? AND ?", where)
            if one.ended:
                execute("DELETE FROM audiences WHERE id = ?", (one.audience.id,))

    def _sweep(self) -> list[Sweep]:
        now = time.monotonic()
        if now < self._swept + limits.STORE_SWEEP_SECONDS:
            return []
        self._swept = now
        return list(self._audiences.sweep())


def _largest(count: int) -> int:
    """Return how many rows the next statement takes: one of few numbers, so that it is prepared already."""
    return next(size for size in (256, 64, 16, 4, 1) if size <= count)


def _flat(rows: Iterable[Row]) -> tuple[Any, ...]:
    return tuple(value for row in rows for value in row)
