"""The sessions that this node has, in the key-value bucket of the cluster (kernel.sessions.store.Store).

    Turn.flush -> commit -> each session that has changed is written -> Commits: what waits in outboxes leaves

A write names the revision that it follows. Where another node has written meanwhile, that one has the session now.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hubbub import limits
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.records import Key, SessionRecord, SubscriptionRecord, Way
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.kernel.sessions.store import MemoryStore, Recorded
from hubbub.message import Message
from hubbub.publish import number_of
from hubbub.service.cluster.jetstream_errors import Conflict, JetStreamError, Unavailable
from hubbub.service.cluster.key_value import KeyValue
from hubbub.service.cluster.nodes import Nodes
from hubbub.service.cluster.numbers import Numbers
from hubbub.service.cluster.sent_before import SentBefore
from hubbub.service.cluster.session_codec import Record, decode, encode, make_record, name_of


class Watcher(Protocol):
    """Learns what becomes of the sessions that are written."""

    def lost(self, one: Owned, held: bool) -> None:
        """Another node has a session now; `held`: its client waits for a write of this one."""

    def unfit(self, one: Owned) -> None:
        """A session is longer than NATS takes, and isn't written."""

    def failing(self, error: JetStreamError | None) -> None:
        """Nothing can be written for now. None: it can be again."""


class Owned:
    """One session that this node has.

    revision  of its newest write; 0: there was none
    state     the session; None: it ends with its link, and only its owner is written
    since     by id of a subscription: the number behind which its messages begin
    sent      what its client may have sent to a node that has died, or None
    record    what is written while its queue isn't whole here, or None
    batch     the first one with changes that aren't written; 0: there are none
    busy, queued  whether it is written now, or next
    last      what is written last, as it leaves this node; b"": it is deleted; None: it stays
    done      fires when that is written
    """

    __slots__ = (
        "batch",
        "busy",
        "done",
        "key",
        "last",
        "name",
        "queued",
        "record",
        "revision",
        "sent",
        "since",
        "state",
    )

    def __init__(self, key: Key, revision: int) -> None:
        self.batch = 0
        self.busy = False
        self.done: Deferred[None] = Deferred()
        self.key = key
        self.last: bytes | None = None
        self.name = name_of(key)
        self.queued = False
        self.record: Record | None = None
        self.revision = revision
        self.sent: SentBefore | None = None
        self.since: dict[Hashable, int] = {}
        self.state: PersistentSession | None = None


class SessionStore(MemoryStore):
    """Keeps sessions.

    owned    those of this node, by key
    written  how many writes there were
    """

    durable = True
    held_qos = 2
    keeps_wills = True
    log = Logger(namespace="hubbub.cluster")

    def __init__(
        self, reactor: Any, hub: Hub, bucket: KeyValue, numbers: Numbers, nodes: Nodes, watcher: Watcher
    ) -> None:
        super().__init__()
        self.changed = hub.turn.schedule_flush
        self.commits.open = 1
        self.owned: dict[Key, Owned] = {}
        self.written = 0
        self._bucket = bucket
        self._by_number: dict[int, Owned] = {}
        self._changed: dict[Owned, None] = {}
        self._last_number = 0
        self._later: dict[Owned, None] = {}
        self._nodes = nodes
        self._numbers = numbers
        self._queue: deque[Owned] = deque()
        self._reactor = reactor
        self._router = hub.router
        self._running: set[Deferred[None]] = set()
        self._timer: Any = None
        self._unsafe: OrderedDict[int, int] = OrderedDict()  # by batch: sessions of it that aren't written
        self._watcher = watcher

    # Sessions come and go

    def own(self, key: Key, revision: int) -> Owned:
        """Have a session from now on."""
        self.owned[key] = one = Owned(key, revision)
        return one

    def expect(self, one: Owned, number: int) -> None:
        """That number is that of a session which another node had."""
        self._by_number[number] = one

    def new_number(self) -> int:
        """Return a number for a session."""
        self._last_number += 1
        return self._last_number

    def forget(self, one: Owned) -> None:
        """Write a session no more."""
        if self.owned.get(one.key) is one:
            del self.owned[one.key]
        if one.state is not None:
            self._by_number.pop(one.state.number, None)
            one.state.number = 0
        self._changed.pop(one, None)
        self._later.pop(one, None)

    def let_go(self, one: Owned, ended: bool) -> Deferred[None]:
        """Write a session, or that it has `ended`, for the last time; the Deferred fires when that is done."""
        self._router.commit()  # what was read of the stream is the sessions' now
        one.last = b"" if ended or one.state is None else encode(self._record(one, ""))
        self.forget(one)
        self.write_soon(one)
        return one.done

    def _record(self, one: Owned, owner: str) -> Record:
        if one.record is not None:
            return one.record._replace(owner=owner)
        if one.state is None:
            return Record(one.key, owner)
        return make_record(one.state, owner, one.since, self._numbers, owner != self._nodes.own)

    # Changes, as a Store

    def begin_session(self, session: Recorded) -> int:
        assert isinstance(session, PersistentSession)
        one = self.owned.get(session.key) or self.own(session.key, 0)
        one.since = {}
        number = self.new_number()
        self._by_number[number], one.state = one, session
        return number

    def save_session(self, number: int, record: SessionRecord) -> None:
        self._touch(self._by_number[number])

    def end_session(self, number: int) -> None:
        one = self._by_number.pop(number)
        if one.state is not None and one.state.number == number:
            one.state = None

    def subscribe(self, number: int, record: SubscriptionRecord) -> None:
        one = self._by_number[number]
        one.since.setdefault(record.filter if record.id is None else record.id, self._numbers.newest)
        self._touch(one)

    def unsubscribe(self, number: int, id: Hashable) -> None:
        one = self._by_number[number]
        one.since.pop(id, None)
        self._touch(one)

    def enqueue(self, number: int, message: Message, way: Way, last: int) -> int:
        return number_of(message)

    def enqueue_for_all(self, ways: Mapping[int, Way], message: Message, last: int | None) -> int:
        return number_of(message)

    def note(self, session: Recorded, later: bool = False) -> None:
        one = self._by_number[session.number]
        if not later:
            self._touch(one)
            return
        if self.owned.get(one.key) is one:
            self._later[one] = None
        if self._timer is None:
            self._timer = self._reactor.callLater(limits.CLUSTER_PROGRESS_SECONDS, self._write_later)

    def _touch(self, one: Owned) -> None:
        if self.owned.get(one.key) is one:
            self._changed[one] = None
            self.changed()

    def _write_later(self) -> None:
        self._timer = None
        later, self._later = self._later, {}
        for one in later:
            self._enqueue(one)
        self._write_some()

    # Batches

    def commit(self) -> None:
        number = self.commits.close()
        for one in self._changed:
            if not one.batch:
                one.batch = number
                self._unsafe[number] = self._unsafe.get(number, 0) + 1
            self._enqueue(one)
        self._changed.clear()
        self._tell_safe()
        self._write_some()

    def _tell_safe(self) -> None:
        safe = next(iter(self._unsafe), self.commits.open) - 1
        if safe > self.commits.safe:
            self.commits.done(safe)

    def _are_safe(self, batches: list[int]) -> None:
        for batch in batches:
            self._unsafe[batch] -= 1
            if not self._unsafe[batch]:
                del self._unsafe[batch]
        self._tell_safe()

    # Writes

    def write_soon(self, one: Owned) -> None:
        """Write a session, changed or not."""
        self._enqueue(one)
        self._write_some()

    def _enqueue(self, one: Owned) -> None:
        if not one.queued:
            one.queued = True
            if not one.busy:
                self._queue.append(one)

    def _write_some(self) -> None:
        while self._queue and len(self._running) < limits.CLUSTER_SESSION_WRITES:
            one = self._queue.popleft()
            one.queued, one.busy = False, True
            running: Deferred[None] = Deferred.fromCoroutine(self._write(one))
            self._running.add(running)
            running.addErrback(self._failed)
            running.addBoth(self._ended, running, one)

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("a session can't be written", failure)

    def _ended(self, result: object, running: Deferred[None], one: Owned) -> None:
        self._running.discard(running)
        one.busy = False
        if one.queued:
            self._queue.append(one)
        if self._queue:
            self._reactor.callLater(0, self._write_some)

    async def _write(self, one: Owned) -> None:
        """Write a session until that has succeeded, or another node has it."""
        pause, batches = limits.CLUSTER_RETRY_FIRST_SECONDS, []
        while True:
            if one.batch:
                batches.append(one.batch)
                one.batch = 0
            try:
                if not await self._try(one) and self.owned.get(one.key) is one:
                    self.forget(one)
                    self._watcher.lost(one, bool(batches or one.batch))
                break
            except JetStreamError as error:
                self._watcher.failing(error)
                await deferLater(self._reactor, pause)
                pause = min(2 * pause, limits.CLUSTER_RETRY_SECONDS)
        self.written += 1
        self._watcher.failing(None)
        self._are_safe(batches)
        if one.last is not None and not one.queued and not one.done.called:
            one.done.callback(None)

    async def _try(self, one: Owned) -> bool:
        """Write a session once. False: another node has it. Raises JetStreamError."""
        for _ in range(2):
            if one.last is None and self.owned.get(one.key) is not one:
                return False
            self._router.commit()
            self._later.pop(one, None)
            data = encode(self._record(one, self._nodes.own)) if one.last is None else one.last
            if len(data) > self._bucket.max_bytes > 0:
                self._watcher.unfit(one)
                return True
            try:
                if data:
                    one.revision = await self._bucket.update(one.name, data, one.revision)
                elif one.revision:
                    await self._bucket.delete(one.name, one.revision)
            except Conflict:
                if one.last is not None and one.key in self.owned:
                    return True  # it has come back here meanwhile
                if not await self._is_here(one):
                    return False
            else:
                return True
        raise Unavailable("earlier writes of a session are still in flight")

    async def _is_here(self, one: Owned) -> bool:
        """Look at the revision again: a write may have succeeded without an answer. Raises JetStreamError."""
        found = await self._bucket.get(one.name)
        owner = _owner_of(found.value)
        elsewhere = found.value is not None and owner != self._nodes.own
        taken = elsewhere and (one.revision > 0 or self._nodes.may_be_there(owner))
        ended = found.value is None and found.revision > one.revision > 0
        one.revision = found.revision
        return not taken and not ended

    def stop(self) -> None:
        """Say of all sessions that this node has them no more, and write nothing else."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for running in list(self._running):
            running.cancel()
        for one in list(self.owned.values()):
            if not one.busy:
                self.let_go(one, False)
        for running in list(self._running):
            running.cancel()


def _owner_of(value: bytes | None) -> str:
    try:
        return decode(value).owner if value else ""
    except ValueError:
        return ""
