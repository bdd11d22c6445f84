"""Dials the servers of one outbound connection, each in its turn, for as long as the connection is wanted."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.config.remote import Remote
from hubbub.service.links.dial import Attempt
from hubbub.transports.dial import Lost

Begin = Callable[[Remote, Lost], tuple[Attempt | None, Deferred[Any]]]
"""Begins an attempt: returns what makes its wire, and what fires once there is one. Raises ConfigError.

The Deferred fails if nothing answers; the loss of a wire is reported to `Lost`.
"""
Ended = Callable[[Remote, BaseException | str], object]
"""Called when an attempt or a connection has ended, with its server and the reason; `remote` is the next one then."""


class Dialler:
    """Begins one attempt after the other, from `start` to `stop`; each ends once.

    remote   the server that is dialled or connected, or is next
    running  between `start` and `stop`
    up_at    seconds of the reactor's clock since when there is a connection; None: there is none
    """

    def __init__(self, reactor: Any, remote: Remote, begin: Begin, ended: Ended) -> None:
        self.remote = remote
        self.running = False
        self.up_at: float | None = None
        self._reactor = reactor
        self._begin = begin
        self._ended = ended
        self._all = remote
        self._at = 0  # the number of `remote`, counted round and round
        self._wait = limits.RETRY_FIRST_SECONDS
        self._tries = 0  # counts the attempts and their ends, so that a late report is known as such
        self._attempt: Attempt | None = None
        self._dialling: Deferred[Any] | None = None
        self._timer: Any = None

    @property
    def left(self) -> float | None:
        """Seconds until it dials again; None: it doesn't wait for that."""
        return None if self._timer is None else self._timer.getTime() - self._reactor.seconds()

    def start(self, delay: float = 0.0) -> None:
        """Dial, `delay` seconds from now, and go on until `stop`."""
        self.running = True
        self._timer = self._reactor.callLater(delay, self._dial)

    def stop(self) -> None:
        """Dial no more, and cut an attempt; a connection stays."""
        self.running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dialling is not None:
            self._dialling.cancel()
        if self._attempt is not None and self.up_at is None:
            self._attempt.abort()

    def connected(self) -> None:
        """The attempt has become a connection."""
        self.up_at = self._reactor.seconds()

    def _dial(self) -> None:
        self._timer = None
        self._tries += 1
        attempt = self._tries
        try:
            self._attempt, self._dialling = self._begin(self.remote, partial(self._lost, attempt))
        except ConfigError as error:  # a certificate that was good at the start
            self._lost(attempt, error)
            return
        self._dialling.addCallbacks(self._dialled, self._failed, errbackArgs=(attempt,))

    def _dialled(self, result: object) -> None:
        self._dialling = None

    def _failed(self, failure: Failure, attempt: int) -> None:
        self._dialling = None
        if failure.check(CancelledError) is None:
            self._lost(attempt, failure.value or "")

    def _lost(self, attempt: int, problem: BaseException | str) -> None:
        if attempt != self._tries:
            return
        self._attempt = None
        self._tries += 1
        server = self.remote
        if self.running:
            self._timer = self._reactor.callLater(self._next(), self._dial)
        self.up_at = None
        self._ended(server, problem)

    def _next(self) -> float:
        """Turn to the next server; return after how many seconds it is dialled: at once, until all had their turn."""
        if self.up_at is not None and self._reactor.seconds() - self.up_at >= limits.BACKOFF_RESET_SECONDS:
            self._wait = limits.RETRY_FIRST_SECONDS
        self._at += 1
        self.remote = self._all.turn(self._at)
        if self._at % self._all.servers:
            return 0.0
        wait = self._wait * random.uniform(0.5, 1.0)  # noqa: S311  so that 1,000 devices don't all come back at once
        self._wait = min(2 * self._wait, limits.RETRY_SECONDS)
        return wait
