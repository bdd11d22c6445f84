"""Reads how a client asks for the history, where it does so in words: `after`, `since` and `last` with a value each."""

from __future__ import annotations

from hubbub.errors import Refusal
from hubbub.option import duration

_LAST_DIGITS = 9  # of a number of messages: far more than a history has


class HistoryRequest:
    """Which messages of the history a subscription begins with. One of the first three is given.

    after     str or None: those after that position, which may be any text of the client
    since     float or None: those of the last so many seconds
    last      int or None: the newest so many of each topic
    filters   int, set by the hub: how many subscriptions have asked with it
    position  str, set before the outcome: where the history ends now
    lost      str, set before the outcome: the position up to which something that was asked for is kept no more; "":
              nothing is missing
    """

    __slots__ = ("after", "filters", "last", "lost", "position", "since")

    def __init__(self, after: str | None = None, since: float | None = None, last: int | None = None) -> None:
        self.after = after
        self.since = since
        self.last = last
        self.filters = 0
        self.position = ""
        self.lost = ""

    def __repr__(self) -> str:
        return f"HistoryRequest(after={self.after!r}, since={self.since!r}, last={self.last!r})"


def read_history(name: str, value: str) -> HistoryRequest:
    """Return the request. `since` is a duration such as 90s or 24h, or seconds. Raises Refusal (bad-command)."""
    if name == "after":
        return HistoryRequest(after=value)
    try:
        return HistoryRequest(since=duration(value)) if name == "since" else HistoryRequest(last=_count(value))
    except ValueError as error:
        raise Refusal("bad-command", f"{name}: {error}") from None


def _count(value: str) -> int:
    if value.isascii() and value.isdecimal() and len(value) <= _LAST_DIGITS:
        return int(value)
    raise ValueError("expected a number of messages, such as 10")
