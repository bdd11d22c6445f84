"""A batch that a store keeps, once for all of them, for sessions that have yet to take it."""

from __future__ import annotations

from collections.abc import Sequence

from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.sessions.qos import qos_of
from hubbub.kernel.sessions.records import Way
from hubbub.kernel.sessions.store import Store


class RecordedBatch:
    """A batch in a store.

    numbers  what the store calls each message, higher than that of any message before; 0: it has QoS 0
    ways     by QoS, how each session gets the messages; sessions come until the turn ends
    """

    __slots__ = ("batch", "numbers", "store", "ways")

    def __init__(self, batch: Batch, store: Store) -> None:
        self.batch = batch
        self.numbers: list[int] = []
        self.store = store
        self.ways: dict[int, dict[int, Way]] = {}
        for message in batch.messages:
            qos = qos_of(message)
            number = store.enqueue_for_all(self.ways.setdefault(qos, {}), message, None) if qos else 0
            self.numbers.append(number)

    @classmethod
    def of(cls, known: RecordedBatch | None, batch: Batch, store: Store) -> RecordedBatch:
        """Return `known` if it is that batch, or a new one."""
        return known if known is not None and known.batch is batch and known.store is store else cls(batch, store)


NOT_RECORDED: Sequence[int] = ()
