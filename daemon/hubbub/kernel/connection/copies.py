"""The receiver of a session that gets many copies of one message, one for each of its subscriptions that match."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from hubbub.kernel.connection import overflow
from hubbub.kernel.connection.units import Search
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.routing.router import encoded
from hubbub.kernel.routing.subscription import Subscription
from hubbub.limits import QUEUE_MESSAGES
from hubbub.message import Message


class CopyingReceiver:
    """Takes each message once, and makes the copies as the client reads them, some in each turn."""

    __slots__ = ("_outbox", "_subscriptions")

    def __init__(self, outbox: Any, subscriptions: Sequence[Subscription]) -> None:
        self._outbox = outbox
        self._subscriptions = subscriptions

    def put(self, batch: Batch) -> None:
        """Take messages (routing.subscription.Receiver)."""
        outbox, each = self._outbox, len(self._subscriptions)
        if outbox.stopped:
            return
        outbox.evict()
        outbox.turn.counters.delivered += batch.count * (each - 1)
        fit = self._fitting(batch)
        if fit:
            pairs = product(batch.messages[:fit], self._subscriptions)
            size = batch.size * fit // batch.count
            overflow.append_search(outbox, Search(map(self._copy, pairs), size, fit * each))
        if fit < batch.count:
            if outbox.full == "disconnect":
                outbox.owner.on_overflow()
                return
            lost = (batch.count - fit) * each
            outbox.lose(lost)
            outbox.missed += lost
        outbox.mark()

    def _fitting(self, batch: Batch) -> int:
        """Return of how many messages there is room for the copies, or for as many that are yet to be made."""
        outbox = self._outbox
        fit: int = min(batch.count, (QUEUE_MESSAGES - outbox.searches) // len(self._subscriptions))
        if outbox.size + batch.size > outbox.limit:
            fit = 0
        return max(fit, 1) if outbox.empty else fit

    def miss(self, count: int) -> None:
        """Note that `count` messages can't be carried."""
        self._outbox.miss(count)

    def _copy(self, one: tuple[Message, Subscription]) -> Batch | None:
        message, subscription = one
        if (subscription.session.subscriptions or {}).get(subscription.id) is not subscription:
            return None
        encoding = subscription.encoding
        try:
            carried, frames = encoded(encoding, (message,))
        except Exception as error:  # noqa: BLE001  a plugin's dialect, which can't carry it
            self._outbox.turn.fail(error)
            carried, frames = (), []
        batch = Batch(carried, frames, True, encoding.full)
        copy = getattr(subscription.receiver, "copy", None)
        return batch if copy is None else copy(batch)
