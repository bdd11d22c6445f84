"""Requests to NATS that wait for their answer."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from hubbub import limits
from hubbub.service.cluster.wire import Received, new_inbox


class NoAnswer(TimeoutError):
    """A request has no answer; whether it was acted on isn't known."""


class PendingRequests:
    """Requests by their reply subject.

    inbox  the subject of all replies
    """

    def __init__(self, reactor: Any) -> None:
        self._prefix = f"{new_inbox()}."
        self.inbox = f"{self._prefix}*"
        self._reactor = reactor
        self._last = 0
        self._waiting: dict[str, tuple[Deferred[Received], float]] = {}
        self._sweep: Any = None

    def add(self, timeout: float) -> tuple[str, Deferred[Received]]:
        """Return a reply subject, and what fires with the answer or fails with NoAnswer. Raises NoAnswer."""
        if len(self._waiting) >= limits.CLUSTER_REQUESTS:
            raise NoAnswer(f"{limits.CLUSTER_REQUESTS} requests to NATS wait for an answer already")
        self._last += 1
        subject = f"{self._prefix}{self._last}"
        done: Deferred[Received] = Deferred()
        self._waiting[subject] = done, self._reactor.seconds() + timeout
        if self._sweep is None:
            self._sweep = self._reactor.callLater(limits.CLUSTER_SWEEP_SECONDS, self._look)
        return subject, done

    def arrived(self, answer: Received) -> None:
        """Take an answer; one that is waited for no longer is dropped."""
        done, _ = self._waiting.pop(answer.subject, (None, 0.0))
        if done is not None:
            done.callback(answer)

    def _look(self) -> None:
        """Let those fail whose time is over."""
        self._sweep = None
        now = self._reactor.seconds()
        for subject in [one for one, (_, until) in self._waiting.items() if until <= now]:
            done, _ = self._waiting.pop(subject)
            done.errback(NoAnswer("NATS sent no answer in time"))
        if self._waiting:
            self._sweep = self._reactor.callLater(limits.CLUSTER_SWEEP_SECONDS, self._look)

    def fail_all(self, reason: str) -> None:
        """The connection has gone, and with it all answers."""
        waiting, self._waiting = self._waiting, {}
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for done, _ in waiting.values():
            done.errback(NoAnswer(reason))
