"""Sessions whose node has gone: their wills are published, and their ends come, though no node has them.

The first of the nodes that are left looks through the bucket when a node has gone, and when a will or an end is due.
It keeps nothing of them in memory. It publishes a will while the bucket says that it has the session, so no other node
does; and says that the will is published once it is stored.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, DeferredSemaphore
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hubbub import limits
from hubbub.kernel.hub import Hub
from hubbub.service.cluster.jetstream import JetStream
from hubbub.service.cluster.jetstream_errors import Conflict, JetStreamError
from hubbub.service.cluster.key_value import KeyValue
from hubbub.service.cluster.message_stream import MessageStream
from hubbub.service.cluster.nodes import Nodes
from hubbub.service.cluster.session_codec import Record, decode, encode
from hubbub.service.cluster.stream_pages import PageMessage, read_page

_OFTEN = 10.0  # a look is at most every tenth part of the time
_FAR = 300.0  # seconds until the next look, where nothing is due before


class SessionSweep:
    """Looks after sessions that no node has.

    wills, ended  how many wills were published, and how many sessions have ended here
    """

    log = Logger(namespace="hubbub.cluster")

    def __init__(
        self, reactor: Any, hub: Hub, bucket: KeyValue, jetstream: JetStream, nodes: Nodes, stream: MessageStream
    ) -> None:
        self.wills = 0
        self.ended = 0
        self._bucket = bucket
        self._due = 0.0  # Unix seconds of the next look
        self._hub = hub
        self._jetstream = jetstream
        self._known: frozenset[str] = frozenset()
        self._nodes = nodes
        self._reactor = reactor
        self._running: Deferred[None] | None = None
        self._some = DeferredSemaphore(limits.CLUSTER_SWEEP_SESSIONS)
        self._stream = stream

    def sweep(self) -> None:
        """Look through the bucket if this is the first node, and something may be due; called again and again."""
        there = frozenset(self._nodes.all)
        if self._nodes.own != min([self._nodes.own, *there]):
            self._due = 0.0
            return
        if self._known - there:
            self._due = 0.0
        self._known = there
        if self._running is None and self._hub.turn.wall() >= self._due and self._stream.consumer is not None:
            self._running = Deferred.fromCoroutine(self._look())
            self._running.addErrback(self._failed).addBoth(self._done)

    def stop(self) -> None:
        """Look no more."""
        if self._running is not None:
            self._running.cancel()

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError, JetStreamError) is None:
            self.log.failure("looking after sessions failed", failure)

    def _done(self, result: object) -> None:
        self._running = None

    async def _look(self) -> None:
        """Look at all sessions once. Raises JetStreamError: it is tried again."""
        began, at, due = self._hub.turn.wall(), 0, _FAR
        while page := await read_page(self._jetstream, self._reactor, self._bucket.stream, ">", at):
            looks = [self._some.run(self._begin_look, message) for message in page]
            results: Any = await DeferredList(looks, consumeErrors=True)
            for succeeded, found in results:
                if not succeeded:
                    found.raiseException()
                due = min(due, found)
            at = page[-1].seq
            await deferLater(self._reactor, 0)
        now = self._hub.turn.wall()
        self._due = now + max(due, _OFTEN * (now - began))

    def _begin_look(self, message: PageMessage) -> Deferred[float]:
        return Deferred.fromCoroutine(self._look_at(message))

    async def _look_at(self, message: PageMessage) -> float:
        """Do what is due for one session. Returns in how many seconds something is. Raises JetStreamError."""
        name, found = self._bucket.read(message)
        try:
            record = None if found.value is None else decode(found.value)
        except ValueError:
            return _FAR
        if record is None or (record.owner and self._nodes.is_there(record.owner)):
            return _FAR
        session, now = record.session, self._hub.turn.wall()
        left = now if session is None or session.left is None else session.left
        ends = now if session is None else left + session.expiry
        will = None if session is None or session.will is None else min(ends, left + session.will_delay)
        try:
            if will is not None and will <= now:
                await self._publish_will(name, record._replace(owner=self._nodes.own), found.revision, left, ends)
            elif ends <= now:
                await self._bucket.delete(name, found.revision)
                self.ended += 1
            elif session is not None and session.left is None:
                await self._bucket.update(name, encode(_left(record, left)), found.revision)
        except Conflict:
            return _FAR  # a node has it now
        return max(0.0, min(ends, ends if will is None else max(will, now)) - now)

    async def _publish_will(self, name: str, record: Record, revision: int, left: float, ends: float) -> None:
        """Publish the will of a session. Raises JetStreamError."""
        assert record.session is not None
        revision = await self._bucket.update(name, encode(record), revision)
        self._hub.clients.publish_will(record.session)
        publisher = self._stream.publisher
        number = publisher.last
        while publisher.safe < number:
            await deferLater(self._reactor, limits.CLUSTER_RETRY_FIRST_SECONDS)
        self.wills += 1
        if ends <= self._hub.turn.wall():
            await self._bucket.delete(name, revision)
            self.ended += 1
        else:
            record = record._replace(session=record.session._replace(will=None))
            await self._bucket.update(name, encode(_left(record._replace(owner=""), left)), revision)


def _left(record: Record, when: float) -> Record:
    """Return the record of a session whose client left then.

    It goes on naming a node that has gone: that one may come back, and its client may have sent what isn't noted.
    """
    assert record.session is not None
    return record._replace(session=record.session._replace(left=when))
