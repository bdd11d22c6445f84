"""How strangers are counted in a table of fixed size."""

from __future__ import annotations

import hmac


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
