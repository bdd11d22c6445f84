"""Runs handlers: each is a session with an inbox, drained at the end of the turn. Deferreds stay in here."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Request, Subscribe
from hubbub.handler import Handler, Incoming
from hubbub.kernel.hub import Hub, as_it_is
from hubbub.kernel.session import Batch, Session
from hubbub.message import Message
from hubbub.topics import check_topic, matches

_hops: ContextVar[int] = ContextVar("hubbub_hops", default=0)
"""How many publishes of handlers led to what runs now; it follows a coroutine through its awaits."""


class HandlerRunner:
    """One running handler."""

    log = Logger(namespace="hubbub.handler")

    def __init__(self, hub: Hub, handler: Handler, id: str, clock: Any) -> None:
        self.id = id
        self.handler = handler
        self.dropped = 0
        self.failed = 0
        self._hub = hub
        self._clock = clock
        self._session = Session("", 0, "handler", id)
        self._inbox: deque[Any] = deque()
        self._size = 0
        self._queued = False
        self._loops: list[LoopingCall] = []
        self._running: set[Deferred[Any]] = set()
        self._methods = _methods(handler)
        handler.runner = self

    def start(self) -> Deferred[Any]:
        """Call the handler's `start`, then let messages come."""
        started = self._call(self.handler.start)
        for filter in dict.fromkeys(filter for filter, _ in self._methods):
            encoding = self._hub.encoding(as_it_is, None, stream=False)
            for message in self._hub.subscribe(self._session, Subscribe(filter, echo=False), encoding, self):
                self._enqueue(message, len(message.payload))
        kind = type(self.handler)
        if kind.peer_joined is not Handler.peer_joined or kind.peer_left is not Handler.peer_left:
            self._hub.watchers.append(self)
        return started

    def stop(self) -> Deferred[Any]:
        """Call the handler's `stop`, and cancel what it left running."""
        for loop in self._loops:
            if loop.running:
                loop.stop()
        stopped = self._call(self.handler.stop)
        self._hub.leave(self._session)
        if self in self._hub.watchers:
            self._hub.watchers.remove(self)
        others = [running for running in self._running if running is not stopped]
        for running in others:
            running.cancel()
        return gatherResults([stopped.addTimeout(limits.DRAIN_SECONDS, self._clock)]).addErrback(self._failure)

    # What the hub brings (kernel.session.Box)

    def put(self, batch: Batch) -> None:
        for message in batch.messages:
            self._enqueue(message, len(message.payload))

    def miss(self, count: int) -> None:
        """A handler takes any message."""

    def joined(self, session: Session) -> None:
        self._enqueue((self.handler.peer_joined, session), 0)

    def left(self, session: Session) -> None:
        self._enqueue((self.handler.peer_left, session), 0)

    def _enqueue(self, item: Any, size: int) -> None:
        if len(self._inbox) >= limits.INBOX_MESSAGES or self._size + size > limits.INBOX_BYTES:
            self.dropped += 1
            self._hub.counters.dropped += 1
            return
        self._inbox.append(item)
        self._size += size
        self._ask()

    def _ask(self) -> None:
        if not self._queued:
            self._queued = True
            self._hub.inboxes.append(self)
            self._hub.rouse()

    def flush(self) -> None:
        """Work off what has come, up to limits.INBOX_TURN at once."""
        self._queued = False
        for _ in range(min(len(self._inbox), limits.INBOX_TURN)):
            item = self._inbox.popleft()
            if isinstance(item, tuple):
                self._call(*item)
                continue
            self._size -= len(item.payload)
            message = Incoming(item, self)
            for filter, method in self._methods:
                if matches(filter, item.topic):
                    self._call(method, message)
        if self._inbox:
            self._ask()

    # What the handler wants (handler.Runner)

    def publish(self, message: Message) -> int:
        """Publish for the handler. Raises Refusal; a publish that handlers cause in a loop is refused too."""
        message.hops = _hops.get()
        if message.hops > limits.HOPS:
            raise Refusal("internal", f"handlers publish in a loop on {message.topic}")
        check_topic(message.topic)
        message.sender = self._session
        return self._hub.publish(message)

    def reply(self, message: Incoming, reply: Message) -> None:
        """Send a reply where the message wants it."""
        if message.reply_to is not None:
            self.publish(reply)
            return
        send = message.sender.send if message.sender is not None else None
        if send is None or not send(reply):
            self._hub.counters.unanswered += 1

    def request(self, message: Message, timeout: float) -> Deferred[Incoming]:
        """Publish, and give the reply or a Refusal."""
        waiting: Deferred[Incoming] = Deferred()

        def done(result: Message | Refusal) -> None:
            if not waiting.called:
                if isinstance(result, Refusal):
                    waiting.errback(result)
                else:
                    waiting.callback(Incoming(result, self))

        wish = Request(check_topic(message.topic), message.payload, timeout, content_type=message.content_type)
        wish.sender, wish.hops = self._session, _hops.get()
        try:
            self._hub.request(wish, done)
        except Refusal as no:
            waiting.errback(no)
        return waiting

    def every(self, seconds: float, call: Callable[[], Any]) -> None:
        """Call again and again; one call that fails doesn't end it."""
        loop = LoopingCall(self._call, call)
        loop.clock = self._clock
        self._loops.append(loop)
        loop.start(seconds, now=False)

    # Calls into the handler

    def _call(self, method: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Call code of the handler; what it raises, now or later, is logged and counted, and breaks nobody else."""
        context = copy_context()
        context.run(_hops.set, arguments[0].hops + 1 if arguments and isinstance(arguments[0], Message) else 0)
        running: Deferred[Any] = context.run(maybeDeferred, method, *arguments)
        if not running.called:
            self._running.add(running)
            running.addBoth(self._ended, running)
        running.addErrback(self._failure)
        return running

    def _ended(self, result: Any, running: Deferred[Any]) -> Any:
        self._running.discard(running)
        return result

    def _failure(self, failure: Failure) -> None:
        self.failed += 1
        self._hub.counters.failed += 1
        if self.failed == 1:
            self.log.failure("handler {id} failed; later failures are only counted", failure, id=self.id)


def _methods(handler: Handler) -> list[tuple[str, Callable[[Incoming], Any]]]:
    """Find the methods that `on` has marked, with their filters."""
    found = inspect.getmembers(handler, lambda member: hasattr(member, "hubbub_filters"))
    return [(filter, method) for _, method in found for filter in method.hubbub_filters]
