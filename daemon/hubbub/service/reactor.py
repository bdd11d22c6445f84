"""Twisted's epoll reactor with a shorter way from a readable socket to its protocol.

Twisted enters a log context around each event, so that a log line can name its connection; hubbub's lines name theirs
themselves. `hubbub run` uses it, `twistd --reactor=hubbub` offers it, and every other reactor works as well.
"""

from __future__ import annotations

import select
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.python import log

# Exactly these read with one `recv` and hand it on; a subclass, or a connection under TLS, may do more.
_PLAIN = frozenset({tcp.Server, unix.Server})


class HubbubReactor(EPollReactor):
    """Reads plain connections itself and leaves every other event to Twisted."""

    def doPoll(self, timeout: float | None) -> None:
        """Wait up to `timeout` seconds for events (None: for ever), and act on them."""
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
        except InterruptedError:
            return
        selectables, others = self._selectables, self._doReadOrWrite
        for fd, event in events:
            selectable: Any = selectables.get(fd)
            if event == select.EPOLLIN and type(selectable) in _PLAIN and self._read(selectable):
                continue
            if selectable is not None:
                log.callWithLogger(selectable, others, selectable, fd, event)

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
