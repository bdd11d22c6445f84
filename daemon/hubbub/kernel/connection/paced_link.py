"""A stream with `--limit message-rate` or `byte-rate`: it isn't read while its client is over its rate.

Nothing is lost that way. A link without these limits is a plain Link, and pays nothing.
"""

from __future__ import annotations

from typing import Any

from hubbub.dialect import Dialect
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.connection.wire import Wire
from hubbub.kernel.hub import Hub
from hubbub.kernel.ingress.client_rate import ClientRate


class PacedLink(Link):
    """A stream that is read as fast as it may send."""

    __slots__ = ("_rate",)

    def __init__(
        self, hub: Hub, context: ListenerContext, wire: Wire, dialect: type[Dialect], host: str, port: int
    ) -> None:
        super().__init__(hub, context, wire, dialect, host, port)
        self._rate = ClientRate()

    def receive_piece(self, events: list[Any], size: int) -> None:
        """Act on the events of so many bytes, and read no more while they are too many."""
        count = len(events)
        super().receive_piece(events, size)
        self._spend(count, size)

    def sign_of_life(self, size: int = 0) -> None:
        """Pings and pongs count as messages: each is read, and most are answered."""
        super().sign_of_life(size)
        self._spend(1, size)

    def spend(self, count: int) -> None:
        self._spend(count - 1, 0)

    def _spend(self, count: int, size: int) -> None:
        now = self.timeouts.last_received
        wait = self._rate.spend(self.hub.turn.bounds, count, size, now)
        if wait and self.open:
            self.context.held_back += 1
            self.rest(now + wait)
            self.inbound.hold(self, ())
