"""Twisted's epoll reactor with a shorter way from a readable socket to its protocol.

Twisted enters a log context around each event, so that a log line can name its connection; hubbub's lines name theirs
themselves. `hubbub run` uses it, `twistd --reactor=hubbub` offers it, and every other reactor works as well.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.python import log

# Exactly these read with one `recv` and hand it on; a subclass, or a connection under TLS, may do more.
_PLAIN = frozenset({tcp.Server, tcp.Client, unix.Server, unix.Client})


class HubbubReactor(EPollReactor):
    """Reads plain connections itself and leaves every other event to Twisted."""

    _turning = False
    _endings: tuple[Callable[[], object], ...] = ()

    def call_at_turn_end(self, ending: Callable[[], object]) -> None:
        """Have `ending` called once, after the events that are there now: sooner than a timer of 0 s, and cheaper."""
        if self._turning:
            self._endings += (ending,)
        else:
            self.callLater(0, ending)

    def doPoll(self, timeout: float | None) -> None:
        """Wait up to `timeout` seconds for events (None: for ever), and act on them."""
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
        except InterruptedError:
            return
        selectables, others = self._selectables, self._doReadOrWrite
        self._turning = True
        for fd, event in events:
            selectable: Any = selectables.get(fd)
            if event == select.EPOLLIN and type(selectable) in _PLAIN and self._read(selectable):
                continue
            if selectable is not None:
                log.callWithLogger(selectable, others, selectable, fd, event)
        self._turning = False
        endings, self._endings = self._endings, ()
        for ending in endings:
            try:
                ending()
            except Exception:  # noqa: BLE001  as for what callLater calls
                log.err()

    doIteration = doPoll

    def _read(self, connection: Any) -> bool:
        """Hand on what there is to read; False where there is nothing, or an error that Twisted shall find."""
        try:
            data = connection.socket.recv(connection.bufferSize)
        except OSError:
            return False
        if not data:
            return False
        try:
            connection.protocol.dataReceived(data)
        except Exception as error:  # noqa: BLE001  one connection's fault ends that connection, as in Twisted
            log.err()
            self._disconnectSelectable(connection, error, True)
        return True


def install() -> None:
    """Make it the reactor of this process."""
    installReactor(HubbubReactor())
