"""Gives memory back to the system once a crowd has gone, and keeps the garbage collector from stopping the reactor.

Young objects are collected in short runs, and old ones are never looked through while there are many: a run over the
subscriptions of 60 busy clients takes more than a second. hubbub's own objects hold no circles of references, so what
a full run finds is little; it takes place when few objects are left.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Any

from hubbub import limits


class Memory:
    """Looks every limits.MEMORY_SECONDS whether much less is in use than before."""

    def __init__(self, reactor: Any, hub: Any) -> None:
        self._hub = hub
        self._look: Any = None
        self._owed = False  # circles wait to be found
        self._most = 0  # bytes since memory was given back, what has come and gone between two looks too
        self._reactor = reactor
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc

    def start(self) -> None:
        """Set the collector, and begin to look."""
        gc.freeze()  # what is here now stays
        gc.set_threshold(*limits.GC_THRESHOLDS)
        self._wait()

    def collect(self) -> None:
        """Find circles among all objects, once these are few: a run over many stops the reactor."""
        self._owed = self._objects() >= limits.GC_OBJECTS
        if not self._owed:
            gc.collect()

    def stop(self) -> None:
        """Look no more."""
        if self._look is not None and self._look.active():
            self._look.cancel()

    def _wait(self) -> None:
        self._look = self._reactor.callLater(limits.MEMORY_SECONDS, self._looked)

    def _looked(self) -> None:
        self._wait()
        hub, clients = self._hub, self._clients()
        used: int = clients + hub.slow_consumers.size + hub.clients.queued_bytes
        most = clients + hub.slow_consumers.take_most() + hub.clients.take_most_queued_bytes()
        self._most = max(self._most, most)
        if self._most - used >= limits.MEMORY_SLACK:
            self._most = used
            self.collect()
            if self._trim is not None:
                self._trim(0)
        elif self._owed:
            self.collect()

    def _clients(self) -> int:
        """Return about how many bytes clients take, with their subscriptions and retained messages."""
        hub = self._hub
        sessions, subscriptions = len(hub.subscriptions.sessions), int(hub.subscriptions.count)
        retained: int = hub.retained.size
        return retained + sessions * limits.SESSION_BYTES + subscriptions * limits.SUBSCRIPTION_BYTES

    def _objects(self) -> int:
        """Return about how many objects a full run of the collector looks at."""
        hub = self._hub
        sessions, subscriptions = len(hub.subscriptions.sessions), int(hub.subscriptions.count)
        messages = int(hub.clients.queued) + int(hub.retained.count)
        return 50 * sessions + 10 * subscriptions + 2 * messages
