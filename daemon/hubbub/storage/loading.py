"""What an earlier process has stored."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import msgspec

from hubbub import limits
from hubbub.kernel.sessions.paged_queue import PagedQueue
from hubbub.kernel.sessions.records import (
    DeliveryRecord,
    KeyRecord,
    MessageRecord,
    Progress,
    StoredSession,
    SubscriptionRecord,
    Way,
    make_message,
)
from hubbub.message import Message
from hubbub.storage import codec
from hubbub.storage.audiences import Audiences
from hubbub.storage.blocks import Blocks
from hubbub.storage.database import Damaged
from hubbub.storage.reader import read_bodies

_SIZES = "SELECT number, audience, length(body) + size FROM messages"
_DAMAGE = (apsw.CorruptError, apsw.NotADBError, msgspec.MsgspecError, LookupError, TypeError)


class Loader:
    """Reads a database once, before anything is written; raises Damaged.

    audiences  those that have messages; blocks: the rows of the history
    last_message, last_session, last_key  the highest numbers that were given
    sessions   in the order in which they began; retained: the retained messages
    stream     how far the sessions have got what the stream of a cluster has, or None
    keys       the newest idempotency keys, as many as may be remembered, each with its number
    """

    def __init__(self, database: apsw.Connection) -> None:
        self._database = database
        try:
            self._read(database)
            self.sessions = list(self._sessions())
            self.retained = list(self._retained())
            self.keys = list(self._keys())
            self.stream: tuple[str, int] | None = database.execute("SELECT epoch, seq FROM stream").fetchone()
            self.last_key = self.keys[-1][0] if self.keys else 0
        except _DAMAGE as error:
            raise Damaged(str(error)) from None

    def _read(self, database: apsw.Connection) -> None:
        self._progress: dict[int, Progress] = {
            session: codec.unpack_progress(record)
            for session, record in database.execute("SELECT session, record FROM progress")
        }
        self.audiences = Audiences()
        self._receivers: dict[int, list[tuple[int, Way]]] = {}
        self._shared: set[int] = set()  # sessions whose messages other members of a group may get
        self._ways_of: dict[int, dict[int, Way]] = {}
        for id, receivers, first, last in database.execute(
            "SELECT id, receivers, min(number), max(number) FROM audiences JOIN messages ON audience = id GROUP BY id"
        ):
            self._receivers[id] = codec.unpack_receivers(receivers)
            self._shared.update(number for number, (_, _, share) in self._receivers[id] if share)
            self.audiences.restore(id, self._receivers[id], first, last)
        for session, progress in self._progress.items():
            self.audiences.advance(session, progress)
        newest = database.execute("SELECT max(number) FROM messages").get
        self.last_message = max([newest or 0, *(one.next - 1 for one in self._progress.values())])
        self.blocks = Blocks(database)
        members = [number for receivers in self._receivers.values() for number, _ in receivers]
        self.last_session = max([0, *self._progress, *members])

    def _sessions(self) -> Iterator[StoredSession]:
        subscriptions: dict[int, list[SubscriptionRecord]] = {}
        for number, record in self._database.execute("SELECT session, record FROM subscriptions"):
            subscriptions.setdefault(number, []).append(codec.unpack_subscription(record))
        inflight, queues = self._inflight(), self._queues()
        for number, record in self._database.execute("SELECT number, record FROM sessions ORDER BY number"):
            wishes = tuple(subscriptions.get(number, ()))
            paged, those = queues.pop(number, None) or PagedQueue(), inflight.pop(number, [])
            paged.shared = number in self._shared
            yield StoredSession(
                number, codec.unpack_session(record), wishes, tuple(those), self._progress[number], paged
            )

    def _inflight(self) -> dict[int, list[DeliveryRecord]]:
        """Return the messages of each session that are in flight, or were and wait at the front of its queue."""
        wanted = {number for progress in self._progress.values() for number, _, _ in progress.inflight}
        read = self._messages(sorted(wanted))
        found: dict[int, list[DeliveryRecord]] = {}
        for session, progress in self._progress.items():
            for number, id, received in progress.inflight:
                message, ways = read.get(number, (None, {}))
                if message is not None and session in ways:
                    record = DeliveryRecord(number, message, ways[session], id, received)
                    found.setdefault(session, []).append(record)
        return found

    def _messages(self, numbers: Sequence[int]) -> dict[int, tuple[Message, dict[int, Way]]]:
        """Read messages, each with its receivers."""
        found: dict[int, tuple[Message, dict[int, Way]]] = {}
        query = "SELECT number, audience, body, rule FROM messages WHERE number IN (SELECT value FROM json_each(?))"
        rows: list[Any] = self._database.execute(query, (msgspec.json.encode(numbers).decode(),)).fetchall()
        for _, _, body, rule in rows:
            if not rule:
                codec.unpack_message(body)  # or it is damaged
        bodies = read_bodies(self._database, [(number, body, rule) for number, _, body, rule in rows])
        for number, audience, _, _ in rows:
            if number in bodies:
                found[number] = make_message(bodies[number]), self._ways(audience)
        return found

    def _ways(self, audience: int) -> dict[int, Way]:
        found = self._ways_of.get(audience)
        if found is None:
            found = self._ways_of[audience] = dict(self._receivers.get(audience, ()))
        return found

    def _queues(self) -> dict[int, PagedQueue]:
        """Return what waits for each session; no body is read for that."""
        numbers: dict[int, array[int]] = {id: array("q") for id in self._receivers}
        sizes: dict[int, array[int]] = {id: array("q") for id in self._receivers}
        for number, audience, size in self._database.execute(_SIZES):
            numbers[audience].append(number)
            sizes[audience].append(size + limits.QUEUED_MESSAGE_BYTES)
        parts: dict[int, list[int]] = {}
        for audience, receivers in self._receivers.items():
            for session, _ in receivers:
                parts.setdefault(session, []).append(audience)
        return {
            session: self._queue(progress, [(numbers[one], sizes[one]) for one in parts[session]])
            for session, progress in self._progress.items()
            if session in parts
        }

    def _queue(self, progress: Progress, parts: Sequence[tuple[array[int], array[int]]]) -> PagedQueue:
        """Join what each audience of a session has for it."""
        cut = [(bisect_left(numbers, progress.next), numbers, sizes) for numbers, sizes in parts]
        rest = [(numbers[at:], sizes[at:]) for at, numbers, sizes in cut if at < len(numbers)]
        if len(rest) == 1 and not progress.gaps:
            return PagedQueue(*rest[0])
        gaps = frozenset(progress.gaps)
        pairs = sorted(pair for one in rest for pair in zip(*one, strict=True) if pair[0] not in gaps)
        return PagedQueue(array("q", [number for number, _ in pairs]), array("q", [size for _, size in pairs]))

    def _retained(self) -> Iterator[MessageRecord]:
        for (body,) in self._database.execute("SELECT body FROM retained"):
            yield codec.unpack_message(body)

    def _keys(self) -> Iterator[tuple[int, KeyRecord]]:
        newest = "SELECT number, record FROM keys ORDER BY number DESC LIMIT ?"
        for number, record in reversed(self._database.execute(newest, (limits.ONCE_KEYS_ALL,)).fetchall()):
            yield number, codec.unpack_key(record)
