"""Reports once why a daemon can't serve."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

from twisted.logger import Logger

from hubbub.service.logs.journal import is_journal


class CannotServe(SystemExit, Exception):
    """Ends the process with status 1; an Exception too, so that twistd removes its pid file and tells its parent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.code = 1  # the reason is reported already, and twistd would print it once more


def give_up(reactor: Any, log: Logger, reason: str) -> NoReturn:
    """End a process that can't serve, once its ports are closed. Raises CannotServe."""
    reactor.iterate(0)  # a Unix socket's file goes in the next turn, which wouldn't come
    report(log, reason)
    raise CannotServe(f"hubbub: {reason}") from None


def report(log: Logger, error: str) -> None:
    """Write `error` to standard error, or to the log if standard error is the journal, the null device, or closed."""
    stream = sys.__stderr__  # sys.stderr goes to the log by now
    if stream is None or is_journal(os.environ.get("JOURNAL_STREAM"), stream) or _is_null(stream.fileno()):
        log.critical("{error}", error=error)
    else:
        stream.write(f"hubbub: {error}\n")


def _is_null(descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(os.devnull))  # noqa: PTH116
    except OSError:
        return True
