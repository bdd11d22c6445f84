"""Signed datagrams: authentication over UDP, for any dialect.

    SIGN <user> <time> <mac>
    <the rest of the datagram>

user  as in the password file
time  Unix time in microseconds, 16 digits; each datagram of a user has a later one than the one before
mac   32 hexadecimal digits: the first half of HMAC-SHA-256 (RFC 2104), with the user's key, over the datagram without
      the mac and the space before it: SIGN <user> <time> LF <the rest>

The time has to be within limits.SIGNED_SECONDS of the hub's, and not before the hub began. Each datagram counts once;
the last limits.SIGNED_WINDOW of a user may overtake each other. A signature authenticates a datagram, not its source
address: a command that has to be confirmed (CONFIRM) has to be here too.
"""

from __future__ import annotations

import hmac
import re
import secrets
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.identity import Identity

_HEAD = re.compile(rb"SIGN ([^ \n]{1,1024}) ([0-9]{16}) ([0-9A-Fa-f]{32})\n")
_MAC_BYTES = 16
_SECOND = 1_000_000  # microseconds
_BAD_SIGNATURE = Refusal("not-authorized", "the signature is wrong, or no user has that name and a key")
_REPLAYED = Refusal("not-authorized", "a datagram of that time, or a much later one, has come already")


class Envelope(NamedTuple):
    """A signed datagram: its sender or the refusal, and its content."""

    sender: Identity | Refusal
    content: bytes


class Signatures:
    """Opens signed datagrams, and remembers of each user which have come: for all ports of a hub.

    key   the user's name -> the key and the identity, or None
    wall  tells the Unix time in seconds
    """

    def __init__(self, key: Callable[[str], tuple[bytes, Identity] | None], wall: Callable[[], float]) -> None:
        self._key = key
        self._wall = wall
        self._began = int(wall() * _SECOND)  # what is older never counts
        self._unknown_key = secrets.token_bytes(32)
        self._windows: OrderedDict[str, _Window] = OrderedDict()  # the one that was used last at the end

    def open(self, datagram: bytes) -> Envelope | None:
        """Check a datagram; None: it doesn't begin as a signed one does."""
        found = _HEAD.match(datagram)
        if found is None:
            return None
        user = found[1].decode(errors="replace")
        key, identity = self._key(user) or (self._unknown_key, None)
        content = datagram[found.end() :]
        mac = hmac.digest(key, datagram[: found.end(2)] + b"\n" + content, "sha256")[:_MAC_BYTES]
        if not hmac.compare_digest(mac, bytes.fromhex(found[3].decode())) or identity is None:
            return Envelope(_BAD_SIGNATURE, content)
        return Envelope(self._refusal(user, int(found[2])) or identity, content)

    def _refusal(self, user: str, time: int) -> Refusal | None:
        """Tell why a datagram of `time` doesn't count, in microseconds; else note that it has come."""
        now, slack = int(self._wall() * _SECOND), int(limits.SIGNED_SECONDS * _SECOND)
        if abs(time - now) > slack:
            return Refusal("not-authorized", f"the time {time} is too far from this hub's, which is {now}")
        while self._windows and (old := next(iter(self._windows.values())).latest) < now - slack:
            self._windows.popitem(last=False)  # what it knows is too old to count by now
            self._began = max(self._began, old)  # and stays so if the clock is set back
        window = self._windows.pop(user, None) or _Window(self._began)
        self._windows[user] = window
        return None if window.take(time, now - slack) else _REPLAYED


class _Window:
    """The times of one user's datagrams that have come, of late."""

    __slots__ = ("_floor", "_times")

    def __init__(self, floor: int) -> None:
        self._floor = floor
        self._times: list[int] = []

    @property
    def latest(self) -> int:
        """The latest time that has come."""
        return self._times[-1] if self._times else self._floor

    def take(self, time: int, oldest: int) -> bool:
        """Note that `time` has come; False: it has come before, or what came since leaves it no place."""
        at = bisect_left(self._times, time)
        if time <= self._floor or (at < len(self._times) and self._times[at] == time):
            return False
        insort(self._times, time)
        while len(self._times) > limits.SIGNED_WINDOW or self._times[0] < oldest:
            self._floor = self._times.pop(0)
        return True
