"""Signals of a daemon: SIGTERM and SIGINT end it politely with status 0, a second one at once; SIGHUP is harmless."""

from __future__ import annotations

import signal
from typing import Any

from twisted.logger import Logger


def install(reactor: Any, log: Logger) -> None:
    """Take the signals over from twistd, which would end with the signal's own status (143 for SIGTERM)."""

    def stop(number: int, frame: object) -> None:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_DFL)
        reactor.callFromThread(_stop, reactor, log, number)

    def hang_up(number: int, frame: object) -> None:
        reactor.callFromThread(log.info, "SIGHUP: there is nothing to reload yet")

    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, stop)
    signal.signal(signal.SIGHUP, hang_up)


def _stop(reactor: Any, log: Logger, number: int) -> None:
    log.info("stopping: {name}", name=signal.Signals(number).name)
    reactor.stop()
