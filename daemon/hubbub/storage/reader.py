"""The thread that reads for clients: messages of a queue of an earlier process, and pages of the history."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Any, Protocol

import apsw
import msgspec

from hubbub import limits
from hubbub.kernel.sessions.records import MessageRecord, StoredMessage, Way, make_message
from hubbub.storage.blocks import find_bodies
from hubbub.storage.codec import unpack_message, unpack_receivers
from hubbub.storage.reading import UNREADABLE

Then = Callable[[int, list[StoredMessage]], None]
_CACHED = 64  # audiences whose receivers are remembered

_QUERY = (
    "SELECT number, audience, body, rule FROM messages WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"
)


class Job(Protocol):
    """What is read at once."""

    def read(self, connection: apsw.Connection) -> Callable[[], object]:
        """Return what is to be called in the reactor. Raises apsw.Error."""

    def damaged(self) -> Callable[[], object]:
        """Return the same for a file that can't be read."""


class Reader:
    """Reads by a connection of its own, which can't write. It begins with the first job.

    connect  opens that connection; call: calls a function in the reactor
    """

    def __init__(self, connect: Callable[[], apsw.Connection], call: Callable[..., object]) -> None:
        self._audiences: OrderedDict[int, dict[int, Way]] = OrderedDict()
        self._call = call
        self._connect = connect
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, job: Job) -> None:
        """Read behind what waits already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="store-reader", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def fetch(self, session: int, numbers: Sequence[int], then: Then) -> None:
        """Read messages of a session."""
        self.put(_Messages(self._audiences, session, numbers, then))

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
                    found = job.read(connection)
                except (apsw.CorruptError, apsw.NotADBError):
                    found = job.damaged()
                except apsw.Error:
                    self._stopping.wait(limits.STORE_RETRY_SECONDS)
                    continue
                self._call(found)
                break
        if connection is not None:
            connection.close()


class _Messages:
    """Messages of a session (Job).

    audiences  the receivers that are remembered, by audience
    """

    def __init__(
        self, audiences: OrderedDict[int, dict[int, Way]], session: int, numbers: Sequence[int], then: Then
    ) -> None:
        self._audiences = audiences
        self._numbers = numbers
        self._session = session
        self._then = then

    def read(self, connection: apsw.Connection) -> Callable[[], object]:
        with connection:  # one snapshot: a body may move meanwhile
            found = self._read(connection)
        return self._answer(found)

    def damaged(self) -> Callable[[], object]:
        return self._answer([])

    def _answer(self, found: list[StoredMessage]) -> Callable[[], object]:
        return lambda: self._then(self._numbers[-1], found)

    def _read(self, connection: apsw.Connection) -> list[StoredMessage]:
        found: list[StoredMessage] = []
        encoded = msgspec.json.encode(self._numbers).decode()
        rows: Iterable[Any] = connection.execute(_QUERY, (encoded,)).fetchall()
        bodies = read_bodies(connection, [(number, body, rule) for number, _, body, rule in rows])
        for number, audience, _, _ in rows:
            try:
                way = self._receivers(connection, audience)[self._session]
                found.append((number, make_message(bodies[number]), way))
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


def read_bodies(connection: apsw.Connection, rows: Iterable[tuple[int, bytes, int]]) -> dict[int, MessageRecord]:
    """Return those messages that can be read, by number, of rows (number, body, rule). Raises apsw.Error."""
    found: dict[int, MessageRecord] = {}
    elsewhere: dict[int, list[int]] = {}
    for number, body, rule in rows:
        if rule:
            elsewhere.setdefault(rule, []).append(number)
            continue
        try:
            found[number] = unpack_message(body)
        except UNREADABLE:
            continue
    for rule, numbers in elsewhere.items():
        try:
            found.update(find_bodies(connection, rule, numbers))
        except UNREADABLE:
            continue
    return found
