"""Threads in which passwords are compared: few, since each takes 64 MiB, and a queue before them that is bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from hubbub import limits
from hubbub.errors import Refusal

T = TypeVar("T")


class Workers:
    """A pool of limits.LOGIN_THREADS threads, which starts with the first work and ends with the reactor."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool: ThreadPool | None = None
        self._waiting = 0
        self._stopping = False

    def call(self, work: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Have `work` done. Raises Refusal (unavailable) where too much waits already."""
        if self._waiting >= limits.LOGIN_QUEUE:
            raise Refusal("unavailable", f"{limits.LOGIN_QUEUE} logins wait to be checked already; try again")
        if self._stopping:
            raise Refusal("unavailable", "the hub is stopping")
        if self._pool is None:
            self._pool = ThreadPool(0, limits.LOGIN_THREADS, "hubbub-login")
            self._pool.start()
            self._reactor.addSystemEventTrigger("during", "shutdown", self.stop)
        self._waiting += 1
        return deferToThreadPool(self._reactor, self._pool, self._work, work, *arguments).addBoth(self._done)

    def stop(self) -> None:
        """End the threads, once they have done what they are at; what still waits isn't begun."""
        pool, self._pool, self._stopping = self._pool, None, True
        if pool is not None:
            pool.stop()

    def _work(self, work: Callable[..., T], *arguments: Any) -> T:
        if self._stopping:
            raise Refusal("unavailable", "the hub is stopping")
        return work(*arguments)

    def _done(self, result: Any) -> Any:
        self._waiting -= 1
        return result
