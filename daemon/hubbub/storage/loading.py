"""What an earlier process has stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import msgspec

from hubbub.kernel.sessions.records import (
    DeliveryRecord,
    MessageRecord,
    Progress,
    StoredSession,
    SubscriptionRecord,
    Way,
    make_message,
)
from hubbub.storage import codec
from hubbub.storage.audiences import Audiences
from hubbub.storage.database import Damaged

_DAMAGE = (apsw.CorruptError, apsw.NotADBError, msgspec.MsgspecError, LookupError, TypeError)


class Loader:
    """Reads a database once, before anything is written; raises Damaged.

    audiences  those that have messages
    last_message, last_session  the highest numbers that were given
    sessions   in the order in which they began; retained: the retained messages
    """

    def __init__(self, database: apsw.Connection) -> None:
        self._database = database
        try:
            self._read(database)
            self.sessions = list(self._sessions())
            self.retained = list(self._retained())
        except _DAMAGE as error:
            raise Damaged(str(error)) from None

    def _read(self, database: apsw.Connection) -> None:
        self._progress: dict[int, Progress] = {
            session: codec.unpack_progress(record)
            for session, record in database.execute("SELECT session, record FROM progress")
        }
        self.audiences = Audiences()
        self._receivers: dict[int, list[tuple[int, Way]]] = {}
        for id, receivers, first, last in database.execute(
            "SELECT id, receivers, min(number), max(number) FROM audiences JOIN messages ON audience = id GROUP BY id"
        ):
            self._receivers[id] = codec.unpack_receivers(receivers)
            self.audiences.restore(id, self._receivers[id], first, last)
        for session, progress in self._progress.items():
            self.audiences.advance(session, progress)
        newest = database.execute("SELECT max(number) FROM messages").get
        self.last_message = max([newest or 0, *(one.next - 1 for one in self._progress.values())])
        members = [number for receivers in self._receivers.values() for number, _ in receivers]
        self.last_session = max([0, *self._progress, *members])

    def _sessions(self) -> Iterator[StoredSession]:
        subscriptions: dict[int, list[SubscriptionRecord]] = {}
        for number, record in self._database.execute("SELECT session, record FROM subscriptions"):
            subscriptions.setdefault(number, []).append(codec.unpack_subscription(record))
        deliveries = self._deliveries()
        for number, record in self._database.execute("SELECT number, record FROM sessions ORDER BY number"):
            progress = self._progress[number]
            wishes = tuple(subscriptions.get(number, ()))
            yield StoredSession(
                number, codec.unpack_session(record), wishes, tuple(deliveries.pop(number, ())), progress
            )

    def _deliveries(self) -> dict[int, list[DeliveryRecord]]:
        """Return the messages of each session, those in flight first."""
        inflight = {
            session: {number: (at, id, received) for at, (number, id, received) in enumerate(progress.inflight)}
            for session, progress in self._progress.items()
        }
        flown: dict[int, list[tuple[int, DeliveryRecord]]] = {}
        queued: dict[int, list[DeliveryRecord]] = {}
        gaps = {session: frozenset(progress.gaps) for session, progress in self._progress.items()}
        rows: Any = self._database.execute("SELECT number, audience, body FROM messages ORDER BY number")
        for number, audience, body in rows:
            message = make_message(codec.unpack_message(body))
            for session, way in self._receivers.get(audience, ()):
                progress = self._progress.get(session)
                if progress is None:  # it has ended
                    continue
                if number >= progress.next:
                    if number not in gaps[session]:
                        queued.setdefault(session, []).append(DeliveryRecord(number, message, way, 0, False))
                elif number in inflight[session]:
                    at, id, received = inflight[session][number]
                    flown.setdefault(session, []).append((at, DeliveryRecord(number, message, way, id, received)))
        for session, those in flown.items():
            those.sort(key=lambda one: one[0])
            queued[session] = [one for _, one in those] + queued.get(session, [])
        return queued

    def _retained(self) -> Iterator[MessageRecord]:
        for (body,) in self._database.execute("SELECT body FROM retained"):
            yield codec.unpack_message(body)
