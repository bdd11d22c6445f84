"""Counts for each key, in a table of fixed size."""

from __future__ import annotations

import hmac


class HashedCounter:
    """Counts keys, such as addresses, in an epoch. Its table has a fixed number of rows.

    A key's row is a keyed hash. When two keys share a row, the newer one takes it, and the count of the older is lost.
    An attacker that doesn't know the secret can only try addresses until one hits a row.
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
