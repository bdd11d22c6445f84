"""Asks workers through their control sockets, and passes answers on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.control.control_socket import ControlProtocol
from hubbub.service.workers.worker import Worker

Answer = dict[str, Any]


class Answers(LineOnlyReceiver):
    """One request to one worker.

    done  fires with the last answer, or fails with ConfigError; `take` gets those before
    """

    delimiter = b"\n"
    transport: Any
    MAX_LENGTH = limits.WORKER_ANSWER_BYTES

    def __init__(self, request: Mapping[str, Any], take: Callable[[Answer], object]) -> None:
        self.done: Deferred[Answer] = Deferred(lambda done: self.abort())
        self._request = request
        self._take = take

    def connectionMade(self) -> None:
        self.sendLine(json.dumps(self._request).encode())

    def lineReceived(self, line: bytes) -> None:
        answer: Answer = json.loads(line)
        if "error" in answer:
            self._fail(str(answer["error"]))
        elif "done" in answer:
            self._end(answer)
        else:
            self._take(answer)

    def connectionLost(self, reason: Any = None) -> None:
        self._fail("a worker has ended meanwhile")

    def failed(self, failure: Failure) -> None:
        """The worker doesn't listen on its control socket."""
        self._fail(f"a worker can't be asked: {failure.getErrorMessage()}")

    def _fail(self, reason: str) -> None:
        self._end(Failure(ConfigError(reason)))

    def _end(self, result: Answer | Failure) -> None:
        if not self.done.called:
            self.done.callback(result)

    def abort(self) -> None:
        """Ask no longer."""
        if self.transport is not None:
            self.transport.abortConnection()


def ask(
    reactor: Any, worker: Worker, request: Mapping[str, Any], take: Callable[[Answer], object] = lambda answer: None
) -> Answers:
    """Ask a worker."""
    made = Answers(request, take)
    connectProtocol(UNIXClientEndpoint(reactor, worker.control), made).addErrback(made.failed)
    return made


class Relay:
    """Passes the answers of workers on to one caller, no faster than it takes them."""

    def __init__(self, reactor: Any, caller: ControlProtocol) -> None:
        self._caller = caller
        self._open: list[Answers] = []
        self._reactor = reactor
        caller.follow(self._pause)
        caller.gone = self._stop

    async def pass_on(
        self, worker: Worker, request: Mapping[str, Any], edit: Callable[[Answer], Answer | None]
    ) -> None:
        """Pass on what `edit` makes of each answer but the last; None: nothing. Raises ConfigError."""

        def take(answer: Answer) -> None:
            edited = edit(answer)
            if edited is not None:
                self._caller.answer(**edited)

        answers = ask(self._reactor, worker, request, take)
        self._open.append(answers)
        try:
            await answers.done
        finally:
            self._open.remove(answers)

    def end(self) -> None:
        """All is passed on."""
        self._caller.transport.unregisterProducer()

    def _pause(self, paused: bool) -> None:
        for one in self._open:
            if one.transport is not None:
                (one.transport.pauseProducing if paused else one.transport.resumeProducing)()

    def _stop(self) -> None:
        for one in list(self._open):
            one.done.cancel()
