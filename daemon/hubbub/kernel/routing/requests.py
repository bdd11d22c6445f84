"""Requests that wait for their reply."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.routes import Route
from hubbub.kernel.sessions.session import REPLIES
from hubbub.kernel.turn import Turn
from hubbub.message import Message
from hubbub.publish import PartialReply, Request

_TOKENS = 256  # random ones for which the kernel is asked at once
_TOKEN = 16  # bytes
MANAGED = "$hubbub/"  # the topics of requests to the hub itself
Done = Callable[[Message | Refusal], None]


class Requests:
    """All requests that wait for a reply, by their reply topic.

    manager  attribute: replies to requests on topics below MANAGED, now or later, or None
    replies  attribute: what reply topics begin with
    """

    def __init__(self, turn: Turn, router: Router) -> None:
        self.pending: dict[str, PendingReply] = {}
        self.replies = REPLIES
        self.manager: Callable[[Request, Done], None] | None = None
        self._router = router
        self._tokens = _random_tokens()
        self._turn = turn

    def new_topic(self) -> str:
        """Return a new reply topic, which ends with 128 random bits in hexadecimal: a client can't guess it."""
        return self.replies + next(self._tokens)

    def request(self, message: Request, done: Done) -> None:
        """Publish `message` with a reply topic of its own; `done` is called once, with the reply or a Refusal.

        Raises Refusal: no subscriber, too many requests, or as Router.publish.
        """
        if message.topic.startswith(MANAGED):
            self._manage(message, done)
            return
        if not self._router.has_answerer(message.topic):
            raise Refusal("no-responders", "no client is subscribed to that topic")
        if len(self.pending) >= limits.REQUESTS:
            raise Refusal("unavailable", f"{limits.REQUESTS} requests wait for a reply already")
        reply = PendingReply(self._turn, self, message, done)
        self._router.replies[reply.topic] = Route.to_one(reply)
        self.pending[reply.topic] = reply
        message.reply_to = reply.topic
        try:
            reply.receivers = self._router.publish(message)
            if not reply.receivers:
                raise Refusal("no-responders", "no client is subscribed to that topic")
        except Refusal:
            reply.end()
            raise
        reply.wait(reply.seconds)

    def _manage(self, message: Request, done: Done) -> None:
        """Let the hub itself reply; where the client has rights, they name that topic. Raises Refusal."""
        if self.manager is None:
            raise Refusal("no-responders", "this hub isn't managed by messages")
        ManagedReply(self._turn, self.manager, message, done)

    def reconsidering(self) -> Iterator[None]:
        """What clients may do has changed: refuse requests that might not be sent any more, piece by piece."""
        for reply in list(self.pending.values()):
            rights = getattr(reply.sender, "rights", None)
            if rights is not None and not reply.asked.startswith(REPLIES):
                try:
                    rights.publish(reply.asked)
                except Refusal as refusal:
                    reply.refuse(refusal)
            yield

    def receiver_failed(self, topic: str, refusal: Refusal) -> None:
        """One receiver of the request with this reply topic can't reply; `refusal` is the answer if no other can."""
        reply = self.pending.get(topic)
        if reply is not None:
            reply.receivers -= 1
            if reply.receivers <= 0:
                self._router.commit()  # a reply that was published before counts
                reply.refuse(refusal)

    def cancel(self, topic: str | None) -> None:
        """Wait no longer for the reply on a reply topic, if it is waited for."""
        reply = self.pending.get(topic or "")
        if reply is not None:
            reply.refuse(Refusal("timeout", "the request was cancelled"))

    def end(self, topic: str | None) -> None:
        """The client that waits for the reply on a reply topic has gone."""
        reply = self.pending.get(topic or "")
        if reply is not None:
            reply.end()

    def forget(self, reply: PendingReply) -> None:
        """End a request."""
        if self.pending.pop(reply.topic, None) is not None:
            del self._router.replies[reply.topic]


def _random_tokens() -> Iterator[str]:
    digits = 2 * _TOKEN
    while True:
        many = secrets.token_hex(_TOKEN * _TOKENS)
        for at in range(0, len(many), digits):
            yield many[at : at + digits]


class ManagedReply:
    """The reply of the hub itself: one job makes it, and one hands it over, as it may be long."""

    def __init__(self, turn: Turn, manager: Callable[[Request, Done], None], message: Request, done: Done) -> None:
        self._turn = turn
        self._manager = manager
        self._message = message
        self._done = done
        self._settled = False
        turn.do_later("management", self._make)

    def _make(self) -> None:
        sender: Any = self._message.sender
        if sender.revoked:
            return
        try:
            if sender.rights is not None:  # they may have changed meanwhile
                sender.rights.publish(self._message.topic)
            self._manager(self._message, self._settle)
        except Refusal as refusal:
            self._settle(refusal)

    def _settle(self, result: Message | Refusal) -> None:
        """This is the result."""
        if not self._settled:
            self._settled = True
            self._turn.do_later("management", partial(self._done, result))


class PendingReply:
    """One request: it is the receiver of a single message.

    done    is called once, with the reply or a Refusal, unless `end` comes first
    topic   the reply topic
    sender  the session that asks; asked: the topic of the request
    receivers  how many may still reply
    """

    __slots__ = (
        "alarm_at", "asked", "receivers", "seconds", "sender", "topic",
        "_done", "_left", "_partial", "_parts", "_requests", "_result", "_turn", "_until",
    )  # fmt: skip

    def __init__(self, turn: Turn, requests: Requests, message: Request, done: Done) -> None:
        self.asked = message.topic
        self.receivers = 0
        self.sender = message.sender
        self.topic = requests.new_topic()
        self.alarm_at: tuple[float, int] | None = None
        self._turn = turn
        self._requests = requests
        self._done: Callable[[Message | Refusal], None] | None = done
        self._result: Message | Refusal | None = None
        self._until: float | None = None  # monotonic seconds; None while the clock stands
        self._left: float | None = None  # seconds that it still has while the clock stands
        self._partial = message.partial
        self._parts: list[Message] = []  # of this turn
        self.seconds = min(message.timeout, limits.REQUEST_SECONDS_MAX)

    def wait(self, seconds: float) -> None:
        """Wait so long from now on, or from when the clock goes again."""
        if self._left is not None:
            self._left = seconds
        elif self._done is not None:
            self._until = self._turn.now() + seconds
            self._turn.alarms.at(self, self._until)

    def suspend(self) -> None:
        """Stop the clock: the command waits in a line (kernel.connection.half_duplex)."""
        if self._left is None:
            self._left = 0.0 if self._until is None else max(0.0, self._until - self._turn.now())
            self._until = None

    def resume(self) -> None:
        """Let the clock go again: the command is written."""
        if self._left is not None:
            left, self._left = self._left, None
            self.wait(left)

    def refuse(self, refusal: Refusal) -> None:
        """The receiver of the request can't reply."""
        self._settle(refusal)

    def put(self, batch: Batch) -> None:
        """Take the reply (routing.subscription.Receiver)."""
        for message in batch.messages:
            if type(message) is not PartialReply:
                self._settle(message)
            elif self._partial and self._result is None and len(self._parts) < limits.REPLY_PARTS:
                self._parts.append(message)
                self._schedule()

    def miss(self, count: int) -> None:
        """A request takes any message."""

    def _settle(self, result: Message | Refusal) -> None:
        if self._result is None and self._done is not None:
            self._result = result
            self._schedule()

    def _schedule(self) -> None:
        self._turn.inboxes.append(self)
        self._turn.schedule_flush()

    def flush(self) -> None:
        """Hand over the parts that have come, and the result."""
        done, result = self._done, self._result
        parts, self._parts = self._parts, []
        if parts and done is not None:
            self.wait(self.seconds)
            for part in parts:
                done(part)
        if done is not None and result is not None:
            self.end()
            done(result)

    def alarm(self, now: float) -> None:
        """The time may be over (kernel.alarms.AlarmTarget)."""
        done = self._done
        if done is None or self._until is None:
            return
        if now < self._until:
            self._turn.alarms.at(self, self._until)
            return
        self.end()
        done(Refusal("timeout", "no reply came in time"))

    def end(self) -> None:
        """Wait no longer."""
        self._done = self._result = None
        self._turn.alarms.cancel(self)
        self._requests.forget(self)
