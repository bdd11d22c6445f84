"""How a UDP client proves that it is where it says, and how strangers are counted in a table of fixed size."""

from __future__ import annotations

import base64
import hmac

from hubbub import limits

_CHARACTERS = 7  # of base64url: 42 bits, short enough to be typed


class Tokens:
    """The tokens of addresses: a keyed hash of address, port and epoch, so that nothing is kept of who asked.

    secret  bytes that nobody else knows
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._failures = Tally(secret, b"failures", limits.TOKEN_FAILURE_TABLE)

    def token(self, host: str, port: int, now: float) -> str:
        """Return the token of that address in the epoch of `now`, in seconds."""
        return self._token(host, port, epoch(now)).decode()

    def check(self, host: str, port: int, token: str, now: float, known: bool = False) -> bool | None:
        """Tell whether `token` is that address's, of this epoch or the one before.

        None: that address has shown too many wrong ones, and isn't heard in this epoch. One that is `known`, because it
        has proved itself before, is always heard: others can forge its address, and would silence it.
        """
        current, who = epoch(now), f"{host} {port}"
        if not known and self._failures.count(who, current) >= limits.TOKEN_FAILURES:
            return None
        given = token.encode(errors="replace")
        for one in (current, current - 1):
            if hmac.compare_digest(given, self._token(host, port, one)):
                return True
        self._failures.add(who, current)
        return False

    def _token(self, host: str, port: int, epoch: int) -> bytes:
        digest = hmac.digest(self._secret, f"token|{host}|{port}|{epoch}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:6])[:_CHARACTERS]


class Tally:
    """Counts what strangers do in an epoch, in a table that they can't make grow.

    Of two keys with the same row the newer one takes it. Which keys those are depends on the secret: who wants a count
    forgotten has to forge addresses until one happens to hit its row, and nobody else is counted out by that.
    """

    def __init__(self, secret: bytes, purpose: bytes, rows: int) -> None:
        self._secret = hmac.digest(secret, purpose, "sha256")
        self._rows: list[tuple[str, int, int] | None] = [None] * rows

    def count(self, key: str, epoch: int) -> int:
        """Return how often `key` was added in `epoch`, as far as is remembered."""
        row = self._rows[self._index(key)]
        return row[2] if row is not None and row[:2] == (key, epoch) else 0

    def add(self, key: str, epoch: int) -> int:
        """Count `key` once more, and return its count."""
        index = self._index(key)
        row = self._rows[index]
        count = row[2] + 1 if row is not None and row[:2] == (key, epoch) else 1
        self._rows[index] = (key, epoch, count)
        return count

    def _index(self, key: str) -> int:
        return int.from_bytes(hmac.digest(self._secret, key.encode(), "sha256")[:8]) % len(self._rows)


def epoch(now: float) -> int:
    """Return the number of the epoch that `now`, in seconds, lies in."""
    return int(now // limits.TOKEN_SECONDS)
