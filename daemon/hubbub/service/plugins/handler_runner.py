"""Runs handlers: each is a session with an inbox, drained at the end of the turn. Deferreds stay in here."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar, copy_context
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Subscribe
from hubbub.handler import Handler, Incoming, filters_of
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.subscription import as_is
from hubbub.kernel.sessions.session import REPLIES, Session
from hubbub.message import Message, cost
from hubbub.publish import QosPublish, Request
from hubbub.topics import check_topic, matches

_hops: ContextVar[int] = ContextVar("hubbub_hops", default=0)
"""How many publishes of handlers led to what runs now; it follows a coroutine through its awaits."""


class HandlerRunner:
    """One running handler. Making it raises ConfigError where an option in a filter of its makes no filter."""

    log = Logger(namespace="hubbub.handler")

    def __init__(self, hub: Hub, handler: Handler, id: str, clock: Any) -> None:
        self.id = id
        self.handler = handler
        self.dropped = 0
        self.failed = 0
        self.error = ""  # the last one, in a line
        self._hub = hub
        self._clock = clock
        self._session = Session("", 0, "handler", id)
        self._inbox: deque[Any] = deque()
        self._count = 0  # messages in it, and those that the handler is at work on
        self._size = 0  # bytes of them
        self._queued = False
        self._loops: list[LoopingCall] = []
        self._timers: set[IDelayedCall] = set()
        self._running: set[Deferred[Any]] = set()
        self._logged: set[str] = set()
        self._begun = False
        self._stopping = False
        self._methods = _methods(handler)
        handler.runner = self

    def start(self) -> Deferred[Any]:
        """Call the handler's `start`, then let messages come, and first the peers that are connected already."""
        self._listen(())
        return self._begin()

    def replace(self, old: HandlerRunner) -> Deferred[Any]:
        """Stop `old` and start in its place; what it hasn't worked off comes here, so that nothing is lost or doubled.

        Messages come to this one from now on. It works on them once `old` has stopped, which may be at once.
        """
        old._retire()
        waiting = [item for item in old._inbox if not isinstance(item, tuple)]
        old._inbox.clear()
        stopped = old._end()
        self._listen(waiting)
        return stopped.addCallback(lambda _: self._begin())

    def _listen(self, waiting: Iterable[Message]) -> None:
        """Take the messages that wait already, and subscribe."""
        kind = type(self.handler)
        if kind.peer_joined is not Handler.peer_joined or kind.peer_left is not Handler.peer_left:
            self._hub.subscriptions.watchers.append(self)
            for session in self._hub.subscriptions.sessions:
                self.joined(session)
        for message in waiting:
            self._enqueue(message, cost(message))
        encoding = self._hub.subscriptions.encoding(as_is, None, stream=False)
        for filter in dict.fromkeys(filter for _, filters in self._methods for filter in filters):
            try:
                wish = Subscribe(filter, echo=False)
                self._hub.subscriptions.subscribe(self._session, wish, encoding, self)
            except Refusal:
                self._failure(Failure())
                continue
            for found in self._hub.subscriptions.retained(wish):
                kept = found.left(self._hub.turn.wall()) if isinstance(found, QosPublish) else found
                if kept is not None:
                    self._enqueue(kept, cost(kept))

    def _begin(self) -> Deferred[Any]:
        if self._stopping:  # before it began
            return succeed(None)
        self._begun = True
        if self._inbox:
            self._ask()
        return self._call(self.handler.start)

    def stop(self) -> Deferred[Any]:
        """Let nothing more come, work off what has, call the handler's `stop`, and cancel what it left running."""
        self._retire()
        self.flush()
        self._inbox.clear()
        return self._end()

    def _retire(self) -> None:
        """Let nothing more come."""
        self._stopping = True
        for filter in list(self._session.subscriptions or ()):
            self._hub.subscriptions.unsubscribe(self._session, filter)
        if self in self._hub.subscriptions.watchers:
            self._hub.subscriptions.watchers.remove(self)

    def _end(self) -> Deferred[Any]:
        """Call the handler's `stop`, and cancel what it left running. Fires once `stop` has ended, and never fails."""
        for loop in self._loops:
            if loop.running:
                loop.stop()
        while self._timers:
            self._timers.pop().cancel()
        stopped = self._call(self.handler.stop) if self._begun else succeed(None)
        others = [running for running in self._running if running is not stopped]
        for running in others:
            running.cancel()
        return gatherResults([stopped.addTimeout(limits.HANDLER_STOP_SECONDS, self._clock)]).addErrback(self._failure)

    # What the hub brings (kernel.sessions.session.Box)

    def put(self, batch: Batch) -> None:
        for message in batch.messages:
            self._enqueue(message, cost(message))

    def miss(self, count: int) -> None:
        """A handler takes any message."""

    # joined and left are never dropped, or a handler would take a gone peer for present; links bound their number.

    def joined(self, session: Session) -> None:
        self._inbox.append((self.handler.peer_joined, session))
        self._ask()

    def left(self, session: Session) -> None:
        self._inbox.append((self.handler.peer_left, session))
        self._ask()

    def _enqueue(self, message: Message, size: int) -> None:
        if self._count >= limits.INBOX_MESSAGES or self._size + size > limits.INBOX_BYTES:
            self.dropped += 1
            self._hub.turn.counters.dropped += 1
            return
        self._inbox.append(message)
        self._count += 1
        self._size += size
        self._ask()

    def _ask(self) -> None:
        if not self._queued:
            self._queued = True
            self._hub.turn.inboxes.append(self)
            self._hub.turn.schedule_flush()

    def flush(self) -> None:
        """Work off what has come, up to limits.INBOX_TURN at once."""
        self._queued = False
        if not self._begun:
            return
        for _ in range(min(len(self._inbox), limits.INBOX_TURN)):
            item = self._inbox.popleft()
            if isinstance(item, tuple):
                self._call(*item)
                continue
            to = item.reply_to
            message = Incoming(item, self, mute=to is not None and not self._may_reply(item.sender, to))
            methods = [method for method, filters in self._methods if any(matches(one, item.topic) for one in filters)]
            failed = self._unanswered(to, len(methods)) if to is not None else None
            running = [self._call(method, message, hops=item.hops + 1, failed=failed) for method in methods]
            self._count_out(cost(item), [one for one in running if not one.called])
        if self._inbox:
            self._ask()

    def _count_out(self, size: int, running: list[Deferred[Any]]) -> None:
        """Count a message of that size no more, once the methods that are still at work on it have ended."""
        if running:
            last = running.pop()
            last.addCallback(lambda _: self._count_out(size, [one for one in running if not one.called]))
        else:
            self._count -= 1
            self._size -= size

    # What the handler wants (handler.Runner)

    def publish(self, message: Message) -> int:
        """Publish for the handler. Raises Refusal; a publish that handlers cause in a loop is refused too."""
        message.hops = _hops.get()
        if message.hops > limits.HOPS:
            raise Refusal("internal", f"handlers publish in a loop on {message.topic}")
        check_topic(message.topic)
        message.sender = self._session
        return self._hub.router.publish(message)

    def reply(self, message: Incoming, reply: Message) -> None:
        """Send a reply where the message wants it."""
        sender, now = message.sender, self._hub.turn.wall()
        if isinstance(sender, Session) and not sender.is_valid(now):  # it has lost its rights since it asked
            self._hub.turn.counters.unanswered += 1
            return
        if message.mute or (message.reply_to and not self._may_reply(sender, message.reply_to)):
            self._hub.turn.counters.unanswered += 1  # the sender chose that topic
            return
        if message.reply_to is not None:
            try:
                self.publish(reply)
            except Refusal:
                if _hops.get() > limits.HOPS:
                    raise
                self._hub.turn.counters.unanswered += 1
            return
        link = sender.link if sender is not None else None
        if link is None or not link.send(reply):
            self._hub.turn.counters.unanswered += 1

    def _may_reply(self, sender: Any, topic: str) -> bool:
        """Tell whether the sender itself may publish to the topic that it named; a handler may not do it instead."""
        rights = sender.rights if isinstance(sender, Session) else None
        if rights is not None and not topic.startswith(REPLIES):
            try:
                rights.publish(topic)
            except Refusal:
                return False
        return True

    def request(self, message: Message, timeout: float) -> Deferred[Incoming]:
        """Publish, and give the reply or a Refusal."""
        waiting: Deferred[Incoming] = Deferred()

        def done(result: Message | Refusal) -> None:
            if not waiting.called:
                if isinstance(result, Refusal):
                    waiting.errback(result)
                else:
                    waiting.callback(Incoming(result, self))

        topic, kind = check_topic(message.topic), message.content_type
        wish = Request(topic, message.payload, timeout, content_type=kind, properties=message.properties)
        wish.sender, wish.hops = self._session, _hops.get()
        try:
            self._hub.requests.request(wish, done)
        except Refusal as refusal:
            waiting.errback(refusal)
        return waiting

    def every(self, seconds: float, call: Callable[[], Any]) -> None:
        """Call again and again; one call that fails doesn't end it."""
        if self._stopping:
            return
        loop = LoopingCall(self._call, call)
        loop.clock = self._clock
        self._loops.append(loop)
        loop.start(seconds, now=False)

    def later(self, seconds: float, call: Callable[[], Any]) -> Callable[[], None]:
        """Call once; what it publishes counts as caused by what runs now, so that a loop is found here too."""
        if self._stopping:
            return lambda: None
        hops = _hops.get()

        def due() -> None:
            self._timers.discard(timer)
            self._call(call, hops=hops)

        def cancel() -> None:
            if timer in self._timers:
                self._timers.discard(timer)
                timer.cancel()

        timer: IDelayedCall = self._clock.callLater(seconds, due)
        self._timers.add(timer)
        return cancel

    def now(self) -> float:
        """Tell the hub's monotonic time in seconds."""
        return self._hub.turn.now()

    # Calls into the handler

    def _unanswered(self, topic: str, methods: int) -> Callable[[Failure], None]:
        """Return what is called with the failure of each method: once all have failed, so has the request."""
        left = methods

        def failed(failure: Failure) -> None:
            nonlocal left
            left -= 1
            if left:
                return
            why = Refusal("internal", f"the handler {self.id} failed; the hub's log has the reason")
            self._hub.requests.receiver_failed(topic, failure.value if isinstance(failure.value, Refusal) else why)

        return failed

    def _call(
        self,
        method: Callable[..., Any],
        *arguments: Any,
        hops: int = 0,
        failed: Callable[[Failure], None] | None = None,
    ) -> Deferred[Any]:
        """Call code of the handler; what it raises, now or later, is logged and counted, and breaks nothing else.

        failed  is called too if it raises
        """
        context = copy_context()
        context.run(_hops.set, hops)
        running: Deferred[Any] = context.run(maybeDeferred, method, *arguments)
        if not running.called:
            self._running.add(running)
            running.addBoth(self._ended, running)
        if failed is not None:
            running.addErrback(lambda failure: failed(failure) or failure)
        running.addErrback(self._failure)
        return running

    def _ended(self, result: Any, running: Deferred[Any]) -> Any:
        self._running.discard(running)
        return result

    def _failure(self, failure: Failure) -> None:
        if self._stopping and failure.check(CancelledError):
            return
        self.failed += 1
        self._hub.turn.counters.failed += 1
        self.error = " ".join(f"{type(failure.value).__name__}: {failure.value}".split())[: limits.LOG_CHARACTERS]
        refused = failure.check(Refusal) is not None
        kind = "refusals" if refused else "failures"  # a client may cause the first and hide the other
        if kind in self._logged:
            return
        self._logged.add(kind)
        if refused:
            says = "handler {id} was refused something: {refusal}; later refusals are only counted"
            self.log.warn(says, id=self.id, refusal=failure.value)  # noqa: G010  Twisted's logger
        else:
            self.log.failure("handler {id} failed; later failures are only counted", failure, id=self.id)


def _methods(handler: Handler) -> list[tuple[Callable[[Incoming], Any], list[str]]]:
    """Find the methods that `on` has marked, with their filters. Raises ConfigError."""
    found = inspect.getmembers(handler, lambda member: hasattr(member, "hubbub_filters"))
    return [(method, filters_of(handler, method)) for _, method in found]
