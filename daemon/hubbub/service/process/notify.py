"""Tells systemd how the daemon fares (sd_notify(3)): ready, reloading, stopping, its links, and that it is alive.

A notification never blocks: what finds no room in systemd's queue is sent a moment later, in its order. Without
NOTIFY_SOCKET nothing is sent, so callers needn't ask whether systemd is there.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hubbub import limits


class Notifier:
    """The way to the supervisor that started this process, if it wants notifications.

    links        tells how many links there are, for STATUS=
    environment  where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked for
    """

    log = Logger(namespace="hubbub.notify")

    def __init__(self, reactor: Any, links: Callable[[], int], environment: Mapping[str, str] = os.environ) -> None:
        self._reactor = reactor
        self._links = links
        self._waiting: deque[str] = deque(maxlen=limits.NOTIFICATIONS)
        self._timer: Any = None
        self._shown: str | None = None
        self._state = "serving"
        self._watchdog = _watchdog_seconds(environment)
        self._loops: list[LoopingCall] = []
        self._socket = self._connect(environment.get("NOTIFY_SOCKET"))

    def _connect(self, address: str | None) -> socket.socket | None:
        """Connect to the socket at `address`; a leading @ is that of the abstract namespace (unix(7))."""
        if not address:
            return None
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            made.connect("\0" + address[1:] if address[0] == "@" else address)
        except OSError as error:
            made.close()
            self.log.warn("NOTIFY_SOCKET {address}: {why}", address=address, why=error.strerror)  # noqa: G010  Twisted calls it so
            return None
        return made

    # Notifications

    def ready(self) -> None:
        """All listeners are open: after the start, and after a reload, one that was refused too."""
        self._state = "serving"
        self._send(f"READY=1\n{self._status()}")
        self._keep_telling()

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end begins; the links are counted down."""
        self._state = "draining"
        self._send(f"STOPPING=1\n{self._status()}")

    def stop(self) -> None:
        """Tell nothing any more."""
        for loop in self._loops:
            loop.stop()
        self._loops.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _status(self) -> str:
        self._shown = f"STATUS={self._state}, links: {self._links()}"
        return self._shown

    def _keep_telling(self) -> None:
        """Start the loops in the reactor: one that is stuck tells nothing, and systemd starts the daemon anew."""
        if self._socket is None or self._loops:
            return
        for seconds, tell in ((limits.STATUS_SECONDS, self._tell_status), (self._watchdog, self._tell_alive)):
            if seconds is not None:
                loop = LoopingCall(tell)
                loop.clock = self._reactor
                loop.start(seconds)
                self._loops.append(loop)

    def _tell_status(self) -> None:
        shown = self._shown
        if self._status() != shown and not self._waiting:
            self._send(str(self._shown))

    def _tell_alive(self) -> None:
        if not self._waiting:
            self._send("WATCHDOG=1")

    # How

    def _send(self, what: str) -> None:
        if self._socket is not None:
            self._waiting.append(what)
            if self._timer is None or not self._timer.active():
                self._flush()

    def _flush(self) -> None:
        """Send what waits; what finds the queue full is tried again."""
        while self._waiting and self._socket is not None:
            try:
                self._socket.send(self._waiting[0].encode())
            except BlockingIOError:
                self._timer = self._reactor.callLater(limits.NOTIFY_SECONDS, self._flush)
                return
            except OSError as error:
                self.log.warn("systemd can't be notified: {why}", why=error.strerror)  # noqa: G010  Twisted calls it so
            self._waiting.popleft()


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Return how often WATCHDOG=1 is wanted: twice as often as its absence is noticed (sd_watchdog_enabled(3))."""
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
        process = int(environment.get("WATCHDOG_PID", os.getpid()))
    except ValueError:
        return None
    return microseconds / 2e6 if microseconds > 0 and process == os.getpid() else None
