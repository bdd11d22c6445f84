"""Which of several servers is dialled next, and when."""

from __future__ import annotations

import random

from hubbub import limits
from hubbub.service.config.remote import Remote


class Retries:
    """The server that is dialled now, and those after it.

    remote  the server that is dialled, or was the last
    """

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._all = remote
        self._at = 0  # the number of `remote`, counted round and round
        self._wait = limits.RETRY_FIRST_SECONDS

    def lasted(self, seconds: float) -> None:
        """A connection was there so long: after a while with one the waits are short again."""
        if seconds >= limits.BACKOFF_RESET_SECONDS:
            self._wait = limits.RETRY_FIRST_SECONDS

    def next(self) -> float:
        """Turn to the next server; return after how many seconds it is dialled: at once, until all had their turn."""
        self._at += 1
        self.remote = self._all.turn(self._at)
        if self._at % self._all.servers:
            return 0.0
        wait = self._wait * random.uniform(0.5, 1.0)  # noqa: S311  so that 1,000 devices don't all come back at once
        self._wait = min(2 * self._wait, limits.RETRY_SECONDS)
        return wait
