"""Signals of a daemon: SIGTERM and SIGINT end it politely with status 0, a second one at once; SIGHUP reloads."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from hubbub import limits


def ignore_hang_up() -> None:
    """Outlive a SIGHUP that comes before `install`: what it asks for is read at the start anyway."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def install(reactor: Any, log: Logger, reload: Callable[[], object], hurry: Callable[[], object]) -> None:
    """Take the signals over from twistd, which would end with the signal's own status (143 for SIGTERM).

    reload  is called in the reactor after SIGHUP; for those that come before it is, once
    hurry   is called in the reactor after a second signal to stop: it has the stop wait for no client
    """
    asked = False

    def stop(number: int, frame: object) -> None:
        _stoppers(hasten)
        reactor.callFromThread(_stop, reactor, log, number)

    def hasten(number: int, frame: object) -> None:
        _stoppers(signal.SIG_DFL)
        signal.alarm(limits.QUICK_STOP_SECONDS)  # a reactor that is stuck hurries no more; SIGALRM ends the process
        reactor._exitSignal = number  # twistd removes its pid file, then ends by it: the end wasn't the one asked for
        reactor.callFromThread(hurry)

    def hang_up(number: int, frame: object) -> None:
        nonlocal asked
        if not asked:
            asked = True
            reactor.callFromThread(look)

    def look() -> None:
        nonlocal asked
        asked = False
        log.info("SIGHUP: reloading")
        reload()

    _stoppers(stop)
    signal.signal(signal.SIGHUP, hang_up)


def _stoppers(handler: Any) -> None:
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, handler)


def _stop(reactor: Any, log: Logger, number: int) -> None:
    log.info("stopping: {name}", name=signal.Signals(number).name)
    reactor.stop()
