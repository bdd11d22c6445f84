"""How much one client may send in a second, whatever its listener says: `--limit message-rate` and `byte-rate`."""

from __future__ import annotations

from collections.abc import Sequence

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.kernel.ingress.sources import source_of
from hubbub.kernel.turn import Turn


class ClientRate:
    """What one client has left of both rates. It may save up a second's worth, and one read may exceed it.

    For each rate it remembers the time at which all that came would have been due.
    """

    __slots__ = ("_bytes_due", "_messages_due")

    def __init__(self) -> None:
        self._messages_due = self._bytes_due = 0.0

    def spend(self, bounds: Bounds, messages: int, size: int, now: float) -> float:
        """Count what has come. Returns for how many seconds nothing more may come, 0 if something is left."""
        if bounds.message_rate:
            self._messages_due = max(self._messages_due, now - 1.0) + messages / bounds.message_rate
        if bounds.byte_rate:
            self._bytes_due = max(self._bytes_due, now - 1.0) + size / bounds.byte_rate
        return max(0.0, self._messages_due - now, self._bytes_due - now)

    def takes(self, bounds: Bounds, size: int, now: float) -> bool:
        """Count one datagram, unless the client is over its rate."""
        if self._messages_due > now or self._bytes_due > now:
            return False
        self.spend(bounds, 1, size, now)
        return True


class SourceRates:
    """The rates of sources of datagrams, in a table of fixed size: of two sources in one row the newer one has it.

    dropped  datagrams
    """

    def __init__(self, turn: Turn) -> None:
        self.dropped = 0
        self._turn = turn
        self._rows: list[tuple[str, ClientRate] | None] = [None] * limits.SOURCE_TABLE

    def admit(self, datagrams: Sequence[bytes], host: str) -> list[bytes]:
        """Return those of consecutive datagrams from `host` that may be read."""
        source = source_of(host)
        bounds, now = self._turn.bounds, self._turn.now()
        if not source and not bounds.local:
            return list(datagrams)
        at = hash(source) % len(self._rows)  # keyed with a secret of this process
        row = self._rows[at]
        if row is None or row[0] != source:
            row = self._rows[at] = (source, ClientRate())
        kept = [one for one in datagrams if row[1].takes(bounds, len(one), now)]
        self.dropped += len(datagrams) - len(kept)
        return kept
