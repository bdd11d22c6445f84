"""Hands messages of QoS 2 of one group over to sessions here, each for good: no other member gets it (MQTT-4.8.2-5).

    in flight in a session -> the bucket has the session -> JetStream has the acknowledgement -> sent to the client

So what a client was sent is the group's no more, whatever becomes of its node. JetStream answers an acknowledgement
once a majority of its servers knows it. Another node may have a message too if it was delivered before, or if that
answer comes late. Then a session has to become its owner, and one that can't gives it up, as its client wasn't sent it
yet. If a node dies before, the next node of the session does the same: see session_adoption.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hubbub import limits
from hubbub.kernel.commits import Commits
from hubbub.kernel.sessions.delivery import Delivery
from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.sessions.qos_receiver import QosReceiver
from hubbub.kernel.turn import Turn
from hubbub.publish import QosPublish
from hubbub.service.cluster.jetstream_errors import JetStreamError
from hubbub.service.cluster.message_owners import MessageOwners
from hubbub.service.cluster.pull_consumer import PullConsumer, deliveries_of, sure_seconds
from hubbub.service.cluster.session_codec import name_of


class Offer(NamedTuple):
    """A message that no member has yet.

    seq    its sequence in the stream
    by     what it is acknowledged by
    asked  monotonic seconds when its fetch was sent
    """

    message: QosPublish
    seq: int
    by: str
    asked: float


class _HandOver(NamedTuple):
    """A message that a session gets, whose record is safe with a batch."""

    offer: Offer
    delivery: Delivery
    message: InflightMessage
    commits: Commits
    batch: int


class HandOvers:
    """What members here are to get of one group (kernel.commits.Waiting, kernel.turn.Flushable).

    decided  attribute: is called when one is
    owner    itself, see `cut`
    pending  what isn't decided yet, by sequence
    """

    log = Logger(namespace="hubbub.cluster")

    def __init__(self, reactor: Any, turn: Turn, owners: MessageOwners, group: str) -> None:
        self.decided: Callable[[], object] = bool
        self.owner = self
        self.pending: dict[int, _HandOver] = {}
        self._consumer: PullConsumer
        self._group = group
        self._marked = False
        self._owners = owners
        self._reactor = reactor
        self._running: set[Deferred[None]] = set()
        self._turn = turn
        self._unsafe: deque[_HandOver] = deque()  # the bucket doesn't have these sessions yet

    def start(self, consumer: PullConsumer) -> None:
        """Have messages acknowledged there."""
        self._consumer = consumer

    def stop(self) -> None:
        """Decide nothing more."""
        self._unsafe.clear()
        for running in list(self._running):
            running.cancel()

    def begin(self, receiver: QosReceiver, offer: Offer) -> None:
        """Have a session get a message, for which it has room."""
        delivery, commits = receiver.delivery, receiver.state.store.commits
        message = InflightMessage(offer.message, receiver.wish, 2, self._group)
        delivery.hand_over(message)
        one = self.pending[offer.seq] = _HandOver(offer, delivery, message, commits, commits.open)
        if receiver.state.recorded:
            self._unsafe.append(one)
            commits.wait(self, commits.open)
        else:
            self._decide_soon(one)

    # The store (kernel.commits.Waiting)

    def mark(self) -> None:
        """Go on at the end of this turn with those whose sessions are safe."""
        if not self._marked:
            self._marked = True
            self._turn.flush_later(self)

    def cut(self, reason: str) -> None:
        """Go on to wait where batches aren't safe for long; an outbox would lose its link."""
        self.mark()

    def flush(self) -> None:
        """Go on with some of those whose sessions are safe."""
        self._marked = False
        for _ in range(min(limits.WORK_QUEUE_TURN, len(self._unsafe))):
            if self._unsafe[0].commits.safe < self._unsafe[0].batch:
                self._unsafe[0].commits.wait(self, self._unsafe[0].batch)
                return
            self._decide_soon(self._unsafe.popleft())
        if self._unsafe:
            self.mark()

    # Decisions

    def _decide_soon(self, one: _HandOver) -> None:
        running = Deferred.fromCoroutine(self._decide(one))
        self._running.add(running)
        running.addErrback(self._failed)
        running.addBoth(lambda _: self._running.discard(running))

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError) is None:
            self.log.failure("handing a message over failed", failure)

    async def _decide(self, one: _HandOver) -> None:
        """Find out whether a message is its session's, for as long as that session is here."""
        pause = limits.CLUSTER_RETRY_FIRST_SECONDS
        try:
            while one.delivery.has(one.message):
                try:
                    owned = await self._is_owned(one)
                except JetStreamError:
                    await deferLater(self._reactor, pause)
                    pause = min(2 * pause, limits.CLUSTER_RETRY_SECONDS)
                else:
                    (one.delivery.release if owned else one.delivery.withdraw)(one.message)
                    break
        finally:
            del self.pending[one.offer.seq]
            self.decided()

    async def _is_owned(self, one: _HandOver) -> bool:
        """Return whether a message is its session's. Raises JetStreamError, while that isn't known."""
        offer = one.offer
        if self._is_alone(offer):
            await self._consumer.confirm(offer.by)
            if self._is_alone(offer):
                return True
        owned = await self._owners.claim(self._group, offer.seq, name_of(one.delivery.state.key), offer.by)
        self._consumer.settle(offer.by)
        return owned

    def _is_alone(self, offer: Offer) -> bool:
        """Return whether no other node has a message by now."""
        return deliveries_of(offer.by) == 1 and self._turn.now() < offer.asked + sure_seconds()
