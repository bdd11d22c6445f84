"""Reports why a daemon can't serve: once for each output that a person may look at."""

from __future__ import annotations

import os
import sys

from twisted.logger import Logger

from hubbub.service.logs.journal import is_journal


class CannotServe(SystemExit, Exception):
    """Ends the process with status 1; an Exception too, so that twistd removes its pid file and tells its parent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.code = 1  # the reason is reported already, and twistd would print it once more


def report(log: Logger, error: str) -> None:
    """Write `error` to standard error and to the log, but not twice to one terminal or to the journal."""
    stream = sys.__stderr__  # sys.stderr goes to the log by now
    in_journal = stream is not None and is_journal(os.environ.get("JOURNAL_STREAM"), stream)
    if stream is not None and not in_journal:
        stream.write(f"hubbub: {error}\n")
    if stream is None or in_journal or not stream.isatty():
        log.critical("{error}", error=error)
