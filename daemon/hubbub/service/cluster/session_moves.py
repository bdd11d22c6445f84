"""Sessions move: a client that comes here gets its session of another node (kernel.sessions.registry.Owners).

    claim -> the bucket says who has it -> that node is asked to let it go -> a write that names the revision
          -> what it has missed is read from the stream -> the client gets its answer

$hubbub.CLUSTER.session.a1b2    asks the node a1b2 for a session; the answer comes once the bucket has all of it

A node that isn't there, or doesn't answer, isn't waited for: it finds another revision with its next write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, DeferredSemaphore
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Connect
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.records import Key
from hubbub.kernel.sessions.registry import TAKEN_OVER
from hubbub.kernel.steps import spread
from hubbub.message import Message
from hubbub.publish import QosPublish
from hubbub.service.cluster.connection import NatsConnection
from hubbub.service.cluster.jetstream import JetStream
from hubbub.service.cluster.jetstream_errors import Conflict, JetStreamError, Unavailable
from hubbub.service.cluster.key_value import Entry, KeyValue
from hubbub.service.cluster.message_stream import MessageStream
from hubbub.service.cluster.missed_messages import Source
from hubbub.service.cluster.nodes import Nodes
from hubbub.service.cluster.sent_before import SentBefore
from hubbub.service.cluster.session_adoption import adopt
from hubbub.service.cluster.session_codec import Record, decode, encode, name_of
from hubbub.service.cluster.session_store import Owned, SessionStore
from hubbub.service.cluster.session_sweep import SessionSweep
from hubbub.service.cluster.wire import Received

_WAITS = "the cluster doesn't answer; try again"
_TRIES = 10  # of one claim, while other nodes claim the session too


class SessionMoves:
    """Claims sessions for this node, and lets them go.

    store   where they are kept
    moved   how many have come from other nodes
    let_go  how many others have asked for
    sweep   looks after those of nodes that have gone
    """

    log = Logger(namespace="hubbub.cluster")

    def __init__(self, reactor: Any, hub: Hub, connection: NatsConnection, nodes: Nodes, stream: MessageStream) -> None:
        config = connection.config
        self.moved = 0
        self.let_go = 0
        jetstream, reader = JetStream(connection), stream.reader
        self.bucket = KeyValue(jetstream, f"{config.cluster}_sessions")
        self.store = SessionStore(reactor, hub, self.bucket, reader.numbers, nodes, self)
        self._begun: float | None = None  # seconds of the reactor's clock when the bucket was there
        self._connection = connection
        self._failing_since: float | None = None
        self._hub = hub
        self._locks: dict[Key, DeferredLock] = {}
        self._nodes = nodes
        self.sweep = SessionSweep(reactor, hub, self.bucket, jetstream, nodes, stream)
        self._prefix = f"$hubbub.{config.cluster}.session."
        self._reactor = reactor
        self._running: set[Deferred[None]] = set()
        self._some = DeferredSemaphore(limits.CLUSTER_MOVES)
        self._source = Source(jetstream, reactor, stream.names.messages, reader.decode, reader.numbers, stream.owners)
        self._stream = stream
        hub.clients.owners, stream.sent = self, self._sent
        hub.turn.stores.append(self.store.commit)
        connection.subscribe(f"{self._prefix}{nodes.own}", self._asked)

    def start(self) -> None:
        """Have a bucket; later calls see which sessions other nodes have taken meanwhile."""
        self._run(self._begin())

    def stop(self) -> None:
        """Let all sessions go."""
        for one in list(self._running):
            one.cancel()
        self.sweep.stop()
        self.store.stop()
        self._hub.clients.owners = None

    def _run(self, work: Any) -> None:
        running: Deferred[None] = Deferred.fromCoroutine(work)
        self._running.add(running)
        running.addErrback(self._failed)
        running.addBoth(lambda _: self._running.discard(running))

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("moving a session failed", failure)

    async def _begin(self) -> None:
        pause = limits.CLUSTER_RETRY_FIRST_SECONDS
        while True:
            try:
                await self.bucket.ensure(self._connection.config.replicas)
                break
            except JetStreamError as error:
                self._stream.tell("sessions", error)
            await deferLater(self._reactor, pause)
            pause = min(2 * pause, limits.CLUSTER_RETRY_SECONDS)
        self._stream.tell("sessions", None)
        self._begun = self._reactor.seconds()
        spread(self._hub.turn, "cluster", self._look_again())

    def _look_again(self) -> Iterator[None]:
        """Write all sessions: another node may have taken some, and clients have come that no node has claimed."""
        for key in self._hub.clients.shared():
            if self._hub.clients.get(key) is not None:  # it may have ended since the last step
                self.store.write_soon(self.store.owned.get(key) or self.store.own(key, 0))
            yield

    @property
    def _ready(self) -> bool:
        return self._begun is not None and self._connection.joined and self._stream.consumer is not None

    # Clients come (kernel.sessions.registry.Owners)

    def claim(self, key: Key, event: Connect, then: Callable[[Refusal | None], object]) -> None:
        if not self._ready and event.clean_start and not event.session_expiry:
            then(None)  # it has nothing that could be lost; `_look_again` claims it
        elif key in self.store.owned and key not in self._locks:
            then(None)
        else:
            self._run(self._alone(key, partial(self._claim, key, event.clean_start, then)))

    def ended(self, key: Key) -> None:
        one = self.store.owned.get(key)
        if one is not None:
            self._hub.turn.flush_later(_Ended(self, key))

    def settle(self, key: Key) -> None:
        """A session has ended at the end of this turn, unless another one has begun."""
        one = self.store.owned.get(key)
        if one is not None and key not in self._locks and self._hub.clients.get(key) is None:
            self.store.let_go(one, True)

    async def _alone(self, key: Key, work: Callable[[], Awaitable[None]]) -> None:
        """Work on a session, once those before have."""
        lock = self._locks.setdefault(key, DeferredLock())
        await lock.acquire()
        try:
            await work()
        finally:
            lock.release()
            if not lock.waiting and not lock.locked:
                self._locks.pop(key, None)

    async def _claim(self, key: Key, clean: bool, then: Callable[[Refusal | None], object]) -> None:
        refusal = None
        await self._some.acquire()
        until = self._reactor.seconds() + limits.CLUSTER_PATIENCE_SECONDS
        try:
            while key not in self.store.owned:
                try:
                    if not self._ready:
                        raise Unavailable(_WAITS)
                    await self._take(key, clean)
                except JetStreamError as error:
                    if self._reactor.seconds() > until or not isinstance(error, Unavailable):
                        refusal = Refusal("unavailable", _WAITS)
                        break
                    await deferLater(self._reactor, limits.CLUSTER_RETRY_FIRST_SECONDS)
        finally:
            self._some.release()
        then(refusal)
        self._leave_alone(key)

    def _leave_alone(self, key: Key) -> None:
        """The client of a session may have gone while it waited."""
        client, one = self._hub.clients.get(key), self.store.owned.get(key)
        if client is None:
            if one is not None:
                self.store.let_go(one, True)
        elif client.link is None and client.state.left is not None and client.delivery.queue.alone:
            client.delivery.queue.alone = False
            client.settle()

    async def _take(self, key: Key, clean: bool) -> None:
        """Have a session be this node's. Raises JetStreamError."""
        name, asked = name_of(key), ""
        for _ in range(_TRIES):
            found = await self.bucket.get(name)
            record = read_record(found)
            owner = "" if record is None else record.owner
            if owner not in ("", self._nodes.own, asked) and self._nodes.may_be_there(owner):
                await self._ask(owner, key)
                asked = owner
                continue
            if record is not None:
                await self._wait_for_reader(record)
            claimed = (record or Record(key, ""))._replace(owner=self._nodes.own)
            try:
                revision = await self.bucket.update(name, encode(claimed), found.revision)
            except Conflict:
                continue
            one = self.store.own(key, revision)
            if record is not None and record.session is not None:
                if owner and record.epoch == self._source.numbers.epoch:
                    one.sent = SentBefore(self._source, name, record.released, record.next - 1)
                await self._adopt(one, claimed, clean)
            return
        raise Unavailable("other nodes claim the session too")

    async def _wait_for_reader(self, record: Record) -> None:
        """Let a session come once this node has read what its last node had: the rest comes to it live, once.

        Raises JetStreamError: Unavailable until then.
        """
        wanted = self._stream.reader.late
        if record.epoch == self._source.numbers.epoch:
            wanted = max(wanted, record.next - 1)
        if wanted > self._position:
            last = (await self._source.jetstream.stream_info(self._source.stream)).state.last_seq
            sure = self._begun is not None and self._reactor.seconds() > self._begun + limits.CLUSTER_PATIENCE_SECONDS
            if last != self._position or not sure:  # else the stream has lost its newest messages, see OrderedConsumer
                raise Unavailable("this node hasn't read what is stored")

    @property
    def _position(self) -> int:
        return 0 if self._stream.consumer is None else self._stream.consumer.position

    async def _ask(self, owner: str, key: Key) -> None:
        """Ask a node to let a session go; it has the time that JetStream has to answer."""
        try:
            await self._connection.request(f"{self._prefix}{owner}", msgspec.msgpack.encode(key))
        except TimeoutError:
            self.log.warn("cluster: a node doesn't let a session go; it is taken")  # noqa: G010

    async def _adopt(self, one: Owned, record: Record, clean: bool) -> None:
        done = False
        try:
            late = has_expired(record, self._hub.turn.wall())
            client = await adopt(self._hub, self._source, self.store, one, record, clean or late)
            done = True
            if late:
                self._hub.clients.has_expired(client)
                client.end()
            self.moved += 1
        finally:
            if not done:
                self.store.forget(one)
                self.lost(one, False)

    # Messages of QoS 2

    def _sent(self, message: Message) -> bytes:
        """Return what tells a message from others of its session."""
        if not isinstance(message, QosPublish) or message.dedup_id is None or message.sender.link is None:
            return b""
        client = message.sender.link.client
        if client is None or not client.state.number or (one := self.store.owned.get(client.state.key)) is None:
            return b""
        return f"{one.name}.{client.state.released}.{message.dedup_id}".encode()

    def doubts(self, key: Key, id: int) -> bool:
        one = self.store.owned.get(key)
        return one is not None and one.sent is not None and one.sent.doubts(id)

    def look_for(self, key: Key, topic: str, id: int, then: Callable[[bool | Refusal], object]) -> None:
        self._run(self._look_for(self.store.owned[key].sent, topic, id, then))

    async def _look_for(
        self, sent: SentBefore | None, topic: str, id: int, then: Callable[[bool | Refusal], object]
    ) -> None:
        until = self._reactor.seconds() + limits.CLUSTER_PATIENCE_SECONDS
        while sent is not None:
            try:
                then(await sent.has(topic, id))
                return
            except JetStreamError:
                if self._reactor.seconds() > until:
                    break
            await deferLater(self._reactor, limits.CLUSTER_RETRY_FIRST_SECONDS)
        then(Refusal("unavailable", _WAITS))

    # Sessions go

    def _asked(self, question: Received) -> None:
        try:
            key = msgspec.msgpack.decode(question.payload, type=Key)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if key in self.store.owned:
            self._run(self._alone(key, partial(self._give, key, question.reply)))
        else:
            self._connection.publish(question.reply, b"")

    async def _give(self, key: Key, reply: str) -> None:
        """Let a session go to the node that asks for it."""
        one, client = self.store.owned.get(key), self._hub.clients.get(key)
        if one is not None and client is not None and client.link is not None:
            link = client.link
            link.release_client(True)
            link.close(TAKEN_OVER)
            client = self._hub.clients.get(key)  # it may have ended with its link
        if one is not None:
            if client is not None:
                client.delivery.queue.leave_logs()
            done = self.store.let_go(one, client is None)
            if client is not None:
                client.leave(TAKEN_OVER)
            self.let_go += 1
            await done
        self._connection.publish(reply, b"")

    # What the store sees (session_store.Watcher)

    def lost(self, one: Owned, held: bool) -> None:
        """What is `held` for the client of a lost session isn't written, so it may not leave."""
        client = self._hub.clients.get(one.key)
        if client is None:
            return
        link = client.link
        client.leave(TAKEN_OVER)
        if held and link is not None:
            link.cut("unstored")

    def unfit(self, one: Owned) -> None:
        client = self._hub.clients.get(one.key)
        if client is not None and client.link is not None:
            refusal = Refusal("quota", "the session is longer than a message of the cluster may be")
            client.link.cut("unstored")
            self.log.warn("cluster: {why}: {client}", why=str(refusal), client=one.key[2])  # noqa: G010

    def failing(self, error: JetStreamError | None) -> None:
        self._stream.tell("writing sessions", error)
        now = self._reactor.seconds()
        if error is None:
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since > limits.CLUSTER_PATIENCE_SECONDS:
            self._failing_since = now
            spread(self._hub.turn, "cluster", self._cut())

    def _cut(self) -> Iterator[None]:
        """Cut the links that wait: whether their sessions are written isn't known."""
        for outbox in self.store.commits.take_waiting():
            outbox.owner.cut("unstored")
            yield

    def status(self) -> dict[str, Any]:
        """Describe it, all in counts; wills and ended: of sessions of nodes that have gone."""
        return {
            "owned": len(self.store.owned), "moved": self.moved, "let_go": self.let_go, "written": self.store.written,
            "wills": self.sweep.wills, "ended": self.sweep.ended,
        }  # fmt: skip


class _Ended:
    """Looks at the end of the turn whether a session has ended for good (kernel.turn.Flushable)."""

    def __init__(self, moves: SessionMoves, key: Key) -> None:
        self.flush = partial(moves.settle, key)


def has_expired(record: Record, now: float) -> bool:
    """Return whether a session has ended by its expiry, at Unix seconds `now`."""
    session = record.session
    return session is not None and (session.expiry <= 0 or (session.left or now) + session.expiry <= now)


def read_record(found: Entry) -> Record | None:
    """Return the record of an entry of the bucket; None: it has none that can be read."""
    try:
        return None if found.value is None else decode(found.value)
    except ValueError:
        return None
