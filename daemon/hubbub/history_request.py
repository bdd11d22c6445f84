"""Reads how a client asks for the history, where it does so in words: `after`, `since` and `last` with a value each."""

from __future__ import annotations

from hubbub.errors import Refusal
from hubbub.events import HistoryRequest
from hubbub.option import duration

_LAST_DIGITS = 9  # of a number of messages: far more than a history has


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
