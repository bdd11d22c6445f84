"""Positions in the history: the epoch, which is the identity of a store, and a number that only grows.

    k3v9x0q2m1-1890000001

Clients take a position as it is. A number says nothing without its epoch: another store has other messages.
"""

from __future__ import annotations

import math
import re
import secrets

_POSITION = re.compile("([a-z2-7]{16})-([0-9]{1,19})")
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_PER_SECOND = 30  # bits of a number below those that tell the second in which it was given
_NO_TIME = 2**40  # lower numbers are of a version that gave them from 1 on


def new_epoch() -> str:
    """Return an epoch that no store has had."""
    return "".join(secrets.choice(_DIGITS) for _ in range(16))


def read_number(position: str, epoch: str) -> int | None:
    """Return the number of a position. None: it is none, or of another epoch."""
    found = _POSITION.fullmatch(position)
    return int(found[2]) if found is not None and found[1] == epoch else None


def first_number(last: int, now: float) -> int:
    """Return a number for a process that begins at `now`, in Unix seconds: its messages have higher ones.

    It is beyond all numbers that were given before, also to messages that were sent and never committed, or by the
    process whose backup this store is.
    """
    return (max(last >> _PER_SECOND, int(now)) + 1) << _PER_SECOND


def number_at(last: int, now: float) -> int:
    """Return a number that isn't lower than `last`, and tells when the next one is given: `now`, in Unix seconds."""
    return max(last, int(now) << _PER_SECOND)


def given_at(number: int) -> float:
    """Return about when a number was given, in Unix seconds; infinity: it doesn't tell."""
    return math.inf if number < _NO_TIME else float(number >> _PER_SECOND)
