"""A program that a supervisor runs, and starts again when it ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.service.workers import begin

_STANDARD = {0: 0, 1: 1, 2: 2}


class Child(ProcessProtocol):
    """One program, from `start` to `stop`; meanwhile it is started again after growing waits.

    name     for people; starts: how often it was started
    command  attribute: the program and its arguments
    folder   attribute: where it runs, None: here
    hands    attribute: sockets that it gets as sd_listen_fds(3) says, by name: their descriptors
    ended    attribute: is called with the reason when it has ended unasked; True: that was the last time
    """

    log = Logger(namespace="hubbub.workers")

    def __init__(self, reactor: Any, name: str) -> None:
        self.command: Sequence[str] = ()
        self.ended: Callable[[str], bool] = lambda why: False
        self.environment: Mapping[str, str] = os.environ
        self.folder: Path | None = None
        self.hands: Mapping[str, int] = {}
        self.name = name
        self.starts = 0
        self._began = 0.0
        self._gone: Deferred[None] | None = None
        self._reactor = reactor
        self._timer: Any = None
        self._wait = limits.WORKER_RETRY_FIRST_SECONDS

    @property
    def pid(self) -> int | None:
        """Its process, None: there is none now."""
        return None if self.transport is None else self.transport.pid

    def start(self) -> None:
        """Run it."""
        self._timer = None
        self._began = self._reactor.seconds()
        self.starts += 1
        self._reactor.spawnProcess(
            self,
            sys.executable,
            [sys.executable, "-I", "-S", begin.__file__, str(os.getpid()), ":".join(self.hands), *self.command],
            self.environment,
            None if self.folder is None else str(self.folder),
            childFDs=_STANDARD | {3 + at: number for at, number in enumerate(self.hands.values())},
        )

    def processEnded(self, reason: Failure) -> None:
        self.transport = None
        if self._gone is not None:
            self._gone.callback(None)
            return
        why = _ending(reason.value)
        if self.ended(why):
            return
        if self._reactor.seconds() - self._began >= limits.WORKER_LASTED_SECONDS:
            self._wait = limits.WORKER_RETRY_FIRST_SECONDS
        self.log.error("{name} {why}: it starts again in {wait:g} s", name=self.name, why=why, wait=self._wait)
        self._timer = self._reactor.callLater(self._wait, self.start)
        self._wait = min(2 * self._wait, limits.WORKER_RETRY_SECONDS)

    def stop(self) -> Deferred[None]:
        """Have it end, and don't start it again; the Deferred fires when it has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.transport is None:
            self._gone = succeed(None)
        if self._gone is None:
            self._gone = Deferred()
            self.signal(signal.SIGTERM)
        return self._gone

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.transport is not None:
            os.kill(self.transport.pid, number)  # it is yet to be waited for: the number is no other process's


def _ending(error: Any) -> str:
    if error.signal is not None:
        return f"was ended by {signal.Signals(error.signal).name}"
    return f"has ended with status {error.exitCode}"
