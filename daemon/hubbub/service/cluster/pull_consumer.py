"""A durable consumer, from which several nodes fetch the messages of a stream: each goes to one of them.

    fetch -> $JS.API.CONSUMER.MSG.NEXT -> messages, each with the subject of its acknowledgement, or a status
    acknowledge, confirm, settle, give_back, work_on -> that subject

What is neither acknowledged nor worked on for two leases goes to another node (ADR-13 of nats-architecture-and-design).
One fetch is under way at a time. Its messages come to a subject of its own, so those of an earlier one, which JetStream
may have given to another node meanwhile, aren't taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from hubbub import limits
from hubbub.service.cluster.jetstream import API, NANOSECONDS, JetStream
from hubbub.service.cluster.jetstream_errors import CONSUMER_EXISTS, JetStreamError, Unavailable
from hubbub.service.cluster.ordered_consumer import STATUS, WORDS_OF_ACK, read_ack
from hubbub.service.cluster.wire import Listening, new_inbox

_HEARTBEAT = b"100"
_TIMED_OUT = b"408"
_PREFIX = b"NATS/1.0 "
_TRIES = 10  # of an acknowledgement that JetStream doesn't answer: two elections take less

Take = Callable[[bytes, bytes, bytes, int, str], object]
"""Takes a message: subject, payload, block of headers, sequence, and what it is acknowledged by."""


def silence_seconds() -> float:
    """Return after how long another node gets a message of which nothing is said."""
    return 2 * limits.CLUSTER_LEASE_SECONDS


def sure_seconds() -> float:
    """Return how long after its fetch was sent a message is this node's for sure, also once it is in the bucket."""
    return 0.8 * silence_seconds()


def digest(group: str) -> str:
    """Return what stands for the name of a group in subjects."""
    return blake2b(group.encode(), digest_size=16).hexdigest()


def consumer_of(group: str) -> str:
    """Return the name of the consumer of a group."""
    return f"hubbub-group-{digest(group)}"


def acknowledge_for(jetstream: JetStream, stream: str, group: str, seq: int) -> None:
    """Say that a message of a group is done with: a session has it, whose node may have died before it said so.

    Of the numbers in the subject JetStream looks at the sequence alone, if acknowledgements are explicit.
    """
    jetstream.connection.publish(f"$JS.ACK.{stream}.{consumer_of(group)}.1.{seq}.1.0.0", b"+ACK")


def deliveries_of(by: str) -> int:
    """Return how often JetStream has delivered a message, of what this delivery is acknowledged by."""
    words = by.split(".")
    return int(words[4] if len(words) <= WORDS_OF_ACK else words[6])


class _Create(msgspec.Struct):
    stream_name: str
    config: dict[str, Any]
    action: str = "create"


class _Made(msgspec.Struct):
    name: str = ""


class PullConsumer:
    """One consumer, as this node uses it.

    name   of the consumer
    unsettled  messages that are done with, of which JetStream hasn't said yet that it knows that
    begin  returns the sequence at which it begins, if this node makes it; None: this node doesn't know yet
    trouble  is called with why nothing can be fetched, and with None when it can be
    """

    def __init__(
        self,
        jetstream: JetStream,
        reactor: Any,
        stream: str,
        name: str,
        subjects: Sequence[str],
        begin: Callable[[], int | None],
        take: Take,
        trouble: Callable[[JetStreamError | None], object],
    ) -> None:
        self.name = name
        self.unsettled: dict[str, Deferred[None]] = {}
        self._begin = begin
        self._due = 0  # messages of the fetch that is under way
        self._jetstream = jetstream
        self._listening: Listening | None = None  # to what that fetch brings
        self._made = False
        self._making: Deferred[None] | None = None
        self._more: Callable[[], object] = bool
        self._reactor = reactor
        self._stream = stream
        self._subjects = tuple(subjects)
        self._take = take
        self._timer: Any = None
        self._trouble = trouble
        self._unsaid: dict[str, bytes] = {}  # without a connection: what is to be said of messages
        jetstream.connection.watchers.append(self)

    def start(self, more: Callable[[], object]) -> None:
        """Have it made; `more` is called when something may be fetched."""
        self._more = more
        self._make_soon()

    def stop(self) -> None:
        """Fetch no more."""
        self._jetstream.connection.watchers.remove(self)
        for running in list(self.unsettled.values()):
            running.cancel()
        if self._making is not None:
            self._making.cancel()
        self._end_fetch()

    # Making it

    def _make_soon(self) -> None:
        self._made = False
        self._end_fetch()
        if self._making is None:
            self._making = Deferred.fromCoroutine(self._make())
            self._making.addErrback(lambda failure: failure.trap(CancelledError))

    async def _make(self) -> None:
        pause, failed = limits.CLUSTER_RETRY_FIRST_SECONDS, False
        while not self._made:
            try:
                self._made = await self._try()
            except JetStreamError as error:
                failed = True
                self._trouble(error)
            if not self._made:
                await deferLater(self._reactor, pause)
                pause = min(2 * pause, limits.CLUSTER_RETRY_SECONDS)
        self._making = None
        if failed:
            self._trouble(None)
        self._more()

    async def _try(self) -> bool:
        begin = self._begin()
        if begin is None:
            return False
        config = {
            "durable_name": self.name,
            "name": self.name,
            "filter_subjects": self._subjects,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": begin,
            "ack_policy": "explicit",
            "ack_wait": round(silence_seconds() * NANOSECONDS),
            "max_ack_pending": -1,
            "inactive_threshold": round(limits.CLUSTER_STREAM_SECONDS * NANOSECONDS),
        }
        verb = f"CONSUMER.CREATE.{self._stream}.{self.name}"
        try:
            await self._jetstream.call(verb, _Create(self._stream, config), _Made)
        except JetStreamError as error:
            if error.code != CONSUMER_EXISTS:  # another node has made it, where it began itself
                raise
        return True

    # Fetching

    def fetch(self, count: int) -> bool:
        """Ask for so many messages. False: a fetch is under way, or the consumer isn't there yet."""
        if self._due or not self._made or count <= 0:
            return False
        self._due = count
        connection, inbox, seconds = self._jetstream.connection, new_inbox(), limits.CLUSTER_LEASE_SECONDS
        self._listening = connection.listen(inbox, self._arrived)
        body = msgspec.json.encode({"batch": count, "expires": round(seconds * NANOSECONDS)})
        connection.publish(f"{API}.CONSUMER.MSG.NEXT.{self._stream}.{self.name}", body, inbox)
        self._timer = self._reactor.callLater(seconds + limits.CLUSTER_REQUEST_SECONDS, self._make_soon)
        return True

    def _end_fetch(self) -> None:
        self._due = 0
        if self._listening is not None:
            self._listening.end()
            self._listening = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _arrived(self, subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
        if block.startswith(_PREFIX) and block[STATUS].isdigit():
            self._told(block[STATUS])
            return
        try:
            seq = read_ack(reply)[0]
        except ValueError:  # no other publisher knows the subject
            return
        self._due -= 1
        if not self._due:
            self._end_fetch()
            self._more()
        self._take(subject, payload, block, seq, reply.decode())

    def _told(self, status: bytes) -> None:
        """The server ends a fetch: it has waited for long enough, or the consumer has gone or has another leader."""
        if status == _HEARTBEAT:
            return
        self._end_fetch()
        if status == _TIMED_OUT:
            self._more()
        else:
            self._timer = self._reactor.callLater(limits.CLUSTER_RETRY_FIRST_SECONDS, self._make_soon)

    # Acknowledgements

    def acknowledge(self, by: str) -> None:
        """A message is done with."""
        self._say(by, b"+ACK")

    async def confirm(self, by: str) -> None:
        """A message is done with: say so, and wait until most servers know it. Raises Unavailable."""
        try:
            answer = await self._jetstream.connection.request(by, b"+ACK")
        except TimeoutError:
            raise Unavailable("JetStream takes no acknowledgement now") from None
        if answer.status:
            raise Unavailable("the consumer has no leader now")

    def settle(self, by: str) -> None:
        """A message is done with, and mustn't come again: say so until most servers know it."""
        if len(self.unsettled) < limits.QUEUE_MESSAGES:
            running = Deferred.fromCoroutine(self._settle(by))
            if not running.called:
                self.unsettled[by] = running
                running.addErrback(lambda failure: failure.trap(CancelledError))
                running.addBoth(lambda _: self._settled(by))
        else:
            self.acknowledge(by)

    async def _settle(self, by: str) -> None:
        pause = limits.CLUSTER_RETRY_FIRST_SECONDS
        for _ in range(_TRIES):
            try:
                await self.confirm(by)
                return
            except Unavailable:
                pass
            await deferLater(self._reactor, pause)
            pause = min(2 * pause, limits.CLUSTER_RETRY_SECONDS)

    def _settled(self, by: str) -> None:
        del self.unsettled[by]
        self._more()

    def give_back(self, by: str) -> None:
        """A message that is this node's for sure is for another one."""
        self._say_now(by, b"-NAK")

    def refuse(self, by: str) -> bool:
        """A member doesn't want a message: others get it a second later. False: it was refused often enough."""
        often = deliveries_of(by) >= limits.WORK_QUEUE_REFUSALS
        if often:
            self._say(by, b"+TERM")
        else:
            self._say_now(by, b'-NAK {"delay":%d}' % NANOSECONDS)
        return not often

    def work_on(self, by: str) -> None:
        """A message isn't done with yet."""
        self._say_now(by, b"+WPI")

    def _say_now(self, by: str, what: bytes) -> bool:
        """Say something that mustn't be said later, when another node has it. False: there is no connection."""
        connected = bool(self._jetstream.connection.max_payload)
        if connected:
            self._jetstream.connection.publish(by, what)
        return connected

    def _say(self, by: str, what: bytes) -> None:
        if not self._say_now(by, what) and len(self._unsaid) < limits.QUEUE_MESSAGES:
            self._unsaid[by] = what

    # The connection (wire.ConnectionWatcher)

    def joined(self) -> None:
        """Say what is to be said, and fetch again."""
        unsaid, self._unsaid = self._unsaid, {}
        for by, what in unsaid.items():
            self._say(by, what)
        self._make_soon()

    def left(self) -> None:
        """The fetch has ended."""
        self._made = False
        self._end_fetch()
