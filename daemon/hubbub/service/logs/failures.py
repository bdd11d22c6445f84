"""Tells what dialects raise: once with its traceback, after that it is only counted."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.kernel.sessions.session import Session


class Failures:
    """The log of what dialects raised (kernel.hub.Hub.failed, which counts)."""

    log = Logger(namespace="hubbub.dialect")

    def __init__(self) -> None:
        self._logged: set[tuple[str, int, type]] = set()

    def __call__(self, error: Exception, session: Session | None = None) -> None:
        """Log `error` of the link of `session`, unless one of its type was raised at its place before."""
        place = (*_raised_at(error.__traceback__), type(error))
        if place in self._logged or len(self._logged) >= limits.FAILURES_LOGGED:
            return
        self._logged.add(place)
        of = "" if session is None else f" for link {session.id}, {session}"
        self.log.failure(
            "a dialect has failed{of} in {file}, line {line}; later failures there are only counted",
            Failure(error), of=of, link=session and session.id, file=place[0], line=place[1],
        )  # fmt: skip

    def forget(self) -> None:
        """Tell everything again: the files have changed."""
        self._logged.clear()


def log_unraisable(found: Any) -> None:
    """Log an exception that nothing can catch (sys.unraisablehook), in one line: a client's TLS may raise many.

    Python raises one for a server name of bytes above 127 (RFC 6066 section 3).
    """
    Failures.log.warn("an exception was dropped: {error}", error=f"{found.exc_type.__name__}: {found.exc_value}")


def _raised_at(trace: TracebackType | None) -> tuple[str, int]:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return ("", 0) if trace is None else (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
