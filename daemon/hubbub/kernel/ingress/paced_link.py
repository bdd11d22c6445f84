"""How much one client may send in a second, whatever its listener says: `--limit message-rate` and `byte-rate`.

A stream that is ahead isn't read until it is due again, so that nothing is lost; datagrams that are ahead are dropped.
A plain Link knows nothing of this: who is paced gets another class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.dialect import Dialect
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.wire import ListenerContext, Wire
from hubbub.kernel.hub import Hub
from hubbub.kernel.ingress.sources import source_of


class Pace:
    """What one client has left of both rates; it may save up a second's worth, and what is read at once may exceed it.

    Both are noted as the time at which all that came would have been due.
    """

    __slots__ = ("_bytes_due", "_messages_due")

    def __init__(self) -> None:
        self._messages_due = self._bytes_due = 0.0

    def spend(self, bounds: Bounds, messages: int, size: int, now: float) -> float:
        """Note what has come. Returns for how many seconds nothing more may come, 0 where there is something left."""
        if bounds.message_rate:
            self._messages_due = max(self._messages_due, now - 1.0) + messages / bounds.message_rate
        if bounds.byte_rate:
            self._bytes_due = max(self._bytes_due, now - 1.0) + size / bounds.byte_rate
        return max(0.0, self._messages_due - now, self._bytes_due - now)

    def takes(self, bounds: Bounds, size: int, now: float) -> bool:
        """Note one datagram, unless the client is ahead."""
        if self._messages_due > now or self._bytes_due > now:
            return False
        self.spend(bounds, 1, size, now)
        return True


class PacedLink(Link):
    """A stream that is read as fast as it may send."""

    __slots__ = ("_pace",)

    def __init__(
        self, hub: Hub, context: ListenerContext, wire: Wire, dialect: type[Dialect], host: str, port: int
    ) -> None:
        super().__init__(hub, context, wire, dialect, host, port)
        self._pace = Pace()

    def _received(self, events: list[Any], size: int) -> None:
        count = len(events)
        super()._received(events, size)
        self._spend(count, size)

    def sign_of_life(self, size: int = 0) -> None:
        """Pings and pongs count as messages do: each is read, and most are answered."""
        super().sign_of_life(size)
        self._spend(1, size)

    def _weigh(self, count: int) -> None:
        self._spend(count - 1, 0)

    def _spend(self, count: int, size: int) -> None:
        wait = self._pace.spend(self.hub.bounds, count, size, self.heard)
        if wait and self.open:
            self.context.held_back += 1
            self.rest(self.heard + wait)
            self._hold(())


class PacedSources:
    """The paces of those who send datagrams, by source, in a table of fixed size: of two in one row the newer has it.

    dropped  datagrams
    """

    def __init__(self, hub: Hub) -> None:
        self.dropped = 0
        self._hub = hub
        self._rows: list[tuple[str, Pace] | None] = [None] * limits.SOURCE_TABLE

    def admit(self, datagrams: Sequence[bytes], host: str) -> list[bytes]:
        """Return those of `datagrams`, which came in a row from `host`, that may be read."""
        source = source_of(host)
        bounds, now = self._hub.bounds, self._hub.now()
        if not source and not bounds.local:
            return list(datagrams)
        at = hash(source) % len(self._rows)  # keyed with a secret of this process
        row = self._rows[at]
        if row is None or row[0] != source:
            row = self._rows[at] = (source, Pace())
        kept = [one for one in datagrams if row[1].takes(bounds, len(one), now)]
        self.dropped += len(datagrams) - len(kept)
        return kept
