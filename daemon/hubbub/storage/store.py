"""The durable store as the kernel knows it (kernel.sessions.store.Store)."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from hubbub import limits
from hubbub.kernel.commits import Commits
from hubbub.kernel.history.position import number_at
from hubbub.kernel.history.rule import HistoryRule, RuleState
from hubbub.kernel.sessions.records import (
    KeyRecord,
    MessageRecord,
    SessionRecord,
    StoredSession,
    SubscriptionRecord,
    Way,
)
from hubbub.kernel.sessions.store import Recorded
from hubbub.message import Message, cost
from hubbub.storage.changes import Changes, Stored
from hubbub.storage.codec import pack_id
from hubbub.storage.database import Database
from hubbub.storage.loading import Loader
from hubbub.storage.reader import Reader, Then
from hubbub.storage.reading import file_bytes
from hubbub.storage.writer import Writer

_WAITS = "more waits for the disk than the hub holds; try again"


class DurableStore:
    """Keeps sessions and retained messages in a database.

    database  open, and no other thread's business until `start`; loader: what it had
    call      calls a function with arguments in the reactor, from any thread
    on_alarm  attribute: is called with why nothing can be written, and with "" when it can be again
    observed  attribute: is called with the seconds of each transaction
    failures  tries to write that have failed; stored: messages
    """

    durable = True
    held_qos = 1
    keeps_wills = False

    def __init__(self, database: Database, loader: Loader, call: Callable[..., object]) -> None:
        self.commits = Commits()
        self.commits.open = 1
        self.changed: Callable[[], object] = lambda: None
        self.on_alarm: Callable[[str], object] = lambda why: None
        self.observed: Callable[[float], object] = lambda seconds: None
        self.database = database
        self.failures = 0
        self.stored = 0
        self._sessions = loader.sessions
        self._retained = loader.retained
        self._keys = loader.keys
        self._stream = loader.stream
        self.stream_position: Callable[[], tuple[str, int] | None] = lambda: None
        self._last = loader.last_message
        self._last_key = loader.last_key
        self._last_session = loader.last_session
        self._changes = Changes()
        self._noted: list[Recorded] = []
        self._open: dict[Message, Stored] = {}  # of the open batch
        self._dirty = False
        self._written: list[tuple[int, int]] = []  # of the batches that the writer has: bytes, and the newest message
        self._kept: dict[Message, int] = {}  # those of the open batch that the history has, with their rule
        self._readable = self._last
        self._early: list[tuple[int, Sequence[int], Then]] = []  # asked for before they are committed
        self._failing = 0.0  # since when, in monotonic seconds
        self._why = ""
        self.blocks = loader.blocks
        self._writer = Writer(database, loader.audiences, loader.blocks, call, self)
        self.reader = Reader(database.connect_reader, call)

    def load(self) -> Iterable[StoredSession]:
        sessions, self._sessions = self._sessions, []
        return sessions

    def load_retained(self) -> Iterable[MessageRecord]:
        retained, self._retained = self._retained, []
        return retained

    def load_keys(self) -> Iterable[tuple[int, KeyRecord]]:
        keys, self._keys = self._keys, []
        return keys

    def load_stream(self) -> tuple[str, int] | None:
        return self._stream

    def start(self) -> None:
        """Begin to write; everything is loaded."""
        self._writer.start()

    def stop(self) -> None:
        """Write what the writer has, and close the database, in any thread: it blocks for as long as that takes."""
        self.reader.stop()
        self._writer.stop()
        self.database.close()

    # Changes

    def _change(self) -> Changes:
        if not self._dirty:
            self._dirty = True
            self._last = number_at(self._last, time.time())
            self.changed()
        return self._changes

    def begin_session(self, session: Recorded) -> int:
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
        stored = self._stored(message, last)
        stored.receivers[number] = way
        return stored.number

    def enqueue_for_all(self, ways: Mapping[int, Way], message: Message, last: int | None) -> int:
        stored = self._stored(message, last)
        stored.shared.append(ways)
        return stored.number

    def _stored(self, message: Message, last: int | None) -> Stored:
        stored = self._open.get(message)
        if stored is None or last is None or stored.number <= last:
            changes = self._change()
            rule = self._kept.get(message, 0)
            kept = int(message.position.rpartition("-")[2]) if rule else 0
            if last is None or kept <= last:  # it stands behind messages that the session got before it
                self._last, kept, rule = self._last + 1, self._last + 1, 0
                self.stored += 1
            stored = self._open[message] = Stored(kept, message, {}, [], rule)
            changes.messages.append(stored)
            changes.size += cost(message) + limits.QUEUED_MESSAGE_BYTES
        return stored

    def begin_history(self, rules: Sequence[HistoryRule]) -> list[RuleState]:
        """Keep messages of these rules from now on, see kernel.history.store. Raises apsw.Error."""
        states, self._last = self.blocks.begin(rules, self._last)
        self._readable = self._last
        return states

    def begin_rule(self, rule: HistoryRule) -> RuleState:
        """Keep messages of one more rule from now on."""
        changes = self._change()
        self._last += 1
        state = RuleState(rule, self.blocks.next_rule(), self._last, time.time())
        changes.rules.append(state)
        return state

    def end_rule(self, state: RuleState) -> None:
        """Forget the messages of a rule, which is NOTHING now."""
        self._change().rules.append(state)

    def keep(self, state: RuleState, message: Message) -> int:
        """Keep a message in the history. Returns its number."""
        changes, rule = self._changes if self._dirty else self._change(), state.id
        self._last = number = self._last + 1
        messages = changes.history.get(rule)
        if messages is None:
            messages = changes.history[rule] = []
        messages.append((number, message))
        self._kept[message] = rule
        self.stored += 1
        changes.size += cost(message) + limits.QUEUED_MESSAGE_BYTES
        return number

    def skip(self, state: RuleState, time: float) -> None:
        """A message of that time can't be kept in the history."""
        self._last += 1
        state.missing, state.missing_time = self._last, time
        self._change().lost[state.id] = self._last, time

    @property
    def newest(self) -> int:
        """The number of the newest message."""
        return self._last

    @property
    def readable(self) -> int:
        """All messages up to that number are committed."""
        return self._readable

    def fetch(self, number: int, numbers: Sequence[int], then: Then) -> None:
        readable = [one for one in numbers if one <= self._readable]
        if readable:
            self.reader.fetch(number, readable, then)
        else:
            self._early.append((number, numbers, then))

    def note(self, session: Recorded, later: bool = False) -> None:
        self._noted.append(session)
        self._change()

    def retain(self, message: Message) -> None:
        changes = self._change()
        changes.retained[message.topic] = message if message.payload else None
        changes.size += cost(message) + limits.QUEUED_MESSAGE_BYTES

    def remember(self, record: KeyRecord) -> int:
        changes = self._change()
        self._last_key += 1
        changes.keys.append((self._last_key, record))
        changes.size += len(record.key) + limits.QUEUED_MESSAGE_BYTES
        return self._last_key

    def forget_keys(self, number: int) -> None:
        self._change().forgotten = number

    # Batches

    def commit(self) -> None:
        """Hand the open batch to the writer, or leave it open while that has enough."""
        if not self._dirty:
            if not self._written:
                self.commits.done(self.commits.close())
            return
        for session in self._noted:  # also if the batch stays open: those of many turns would be too many for one
            if session.number:
                self._changes.progress[session.number] = session.progress()
        self._noted = []
        if len(self._written) >= limits.STORE_BATCHES:
            self._refuse()
            return
        changes, self._changes = self._changes, Changes()
        changes.stream = self.stream_position()
        self._open = {}
        self._kept = {}
        self._dirty = False
        self._written.append((changes.size, self._last))
        self._writer.put(self.commits.close(), changes)

    def _refuse(self) -> None:
        """Refuse what can't be kept now, and take it again once it can be."""
        if self._why and time.monotonic() >= self._failing + limits.STORE_PATIENCE_SECONDS:
            self.commits.refuses = "the hub can't write to its disk; try again"
        else:
            self.commits.refuses = _WAITS if self.waiting_bytes > limits.STORE_WAITING_BYTES else ""

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for their commit."""
        return self._changes.size + sum(size for size, _ in self._written)

    # What the writer tells (storage.writer.Owner)

    def committed(self, number: int, seconds: float) -> None:
        """A batch is safe."""
        _, self._readable = self._written.pop(0)
        early, self._early = self._early, []
        for one in early:
            self.fetch(*one)
        self.observed(seconds)
        self._refuse()
        self.commits.done(number)
        if self._dirty or not self._written:
            self.changed()

    def recovered(self) -> None:
        """What failed succeeds again."""
        self._why = ""
        self.on_alarm("")
        self._refuse()

    def failing(self, why: str) -> None:
        """A try to write has failed."""
        self.failures += 1
        if not self._why:
            self._failing = time.monotonic()
            self.on_alarm(why)
        self._why = why
        self._refuse()

    def ended(self, traceback: str) -> None:
        """The writer has a fault: nothing is acknowledged any more."""
        self.failing(f"the writer has ended: {traceback}")
        self._failing = 0.0
        self._refuse()

    def metrics(self) -> dict[str, Any]:
        """Return what an operator may want to know.

        folder, durability  as asked for
        bytes    of the files; stored: messages that were written; oldest: Unix seconds of the oldest that is there
        waiting_bytes, waiting_links  what waits for its commit, and links that hold something back for one
        failing  why nothing can be written, or ""; failures: tries that have failed
        """
        return {
            "folder": str(self.database.folder),
            "durability": self.database.durability,
            "bytes": file_bytes(self.database.path),
            "stored": self.stored,
            "oldest": self._writer.oldest,
            "waiting_bytes": self.waiting_bytes,
            "waiting_links": self.commits.waiting,
            "failing": self._why,
            "failures": self.failures,
        }
