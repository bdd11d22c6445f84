"""The thread that reads messages for clients that take a queue of an earlier process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

import apsw
import msgspec

from hubbub import limits
from hubbub.kernel.sessions.records import StoredMessage, Way, make_message
from hubbub.storage.codec import unpack_message, unpack_receivers
from hubbub.storage.reading import UNREADABLE

Then = Callable[[int, list[StoredMessage]], None]
_CACHED = 64  # audiences whose receivers are remembered

_QUERY = "SELECT number, audience, body FROM messages WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"


class _Job(NamedTuple):
    session: int
    numbers: Sequence[int]
    then: Then


class Reader:
    """Reads by a connection of its own, which can't write. It begins with the first job.

    connect  opens that connection; call: calls a function in the reactor
    """

    def __init__(self, connect: Callable[[], apsw.Connection], call: Callable[..., object]) -> None:
        self._audiences: OrderedDict[int, dict[int, Way]] = OrderedDict()
        self._call = call
        self._connect = connect
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def fetch(self, session: int, numbers: Sequence[int], then: Then) -> None:
        """Read messages of a session."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="store-reader", daemon=True)
            self._thread.start()
        self._jobs.put(_Job(session, numbers, then))

    def stop(self) -> None:
        """End, in any thread."""
        if self._thread is not None:
            self._stopping.set()
            self._jobs.put(None)
            self._thread.join()

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        while (job := self._jobs.get()) is not None:
            while not self._stopping.is_set():
                try:
                    connection = connection or self._connect()
                    found = self._read(connection, job)
                except (apsw.CorruptError, apsw.NotADBError):
                    found = []
                except apsw.Error:
                    self._stopping.wait(limits.STORE_RETRY_SECONDS)
                    continue
                self._call(job.then, job.numbers[-1], found)
                break
        if connection is not None:
            connection.close()

    def _read(self, connection: apsw.Connection, job: _Job) -> list[StoredMessage]:
        found: list[StoredMessage] = []
        rows: Iterable[Any] = connection.execute(_QUERY, (msgspec.json.encode(job.numbers).decode(),)).fetchall()
        for number, audience, body in rows:
            try:
                way = self._receivers(connection, audience)[job.session]
                found.append((number, make_message(unpack_message(body)), way))
            except UNREADABLE:
                continue
        return found

    def _receivers(self, connection: apsw.Connection, audience: int) -> dict[int, Way]:
        found = self._audiences.get(audience)
        if found is None:
            receivers = connection.execute("SELECT receivers FROM audiences WHERE id = ?", (audience,)).get
            found = self._audiences[audience] = dict(unpack_receivers(receivers))
            if len(self._audiences) > _CACHED:
                self._audiences.popitem(last=False)
        return found
