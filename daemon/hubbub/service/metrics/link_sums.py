"""What the links of each listener and connector have together, summed up some links at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hubbub import limits
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.steps import spread
from hubbub.kernel.turn import Turn


class LinkSums:
    """What the links of a place have, and those that have gone had.

    sent, sent_bytes, dropped  in all
    waiting, waiting_bytes     messages and bytes in outboxes; most, most_bytes: in the fullest
    outbox_bytes               bytes in outboxes, not those in backlogs; worst: the link with the most, or None
    held_back                  events that are read and not acted on
    busiest                    the link whose share of a turn was over most often, or None
    """

    def __init__(self, context: ListenerContext) -> None:
        self.dialects: Counter[str] = Counter()
        self.sent, self.sent_bytes, self.dropped = context.sent, context.sent_bytes, context.dropped
        self.waiting = self.waiting_bytes = self.most = self.most_bytes = 0
        self.outbox_bytes = self.held_back = 0
        self.worst: Any = None
        self.busiest: Any = None

    def add(self, link: Any) -> None:
        """Count a link that was there at the beginning, also if it has gone meanwhile: counters never shrink."""
        outbox, inbound = link.outbox, link.inbound
        self.dialects[link.dialect.name] += 1
        self.sent += outbox.sent
        self.sent_bytes += outbox.sent_bytes
        self.dropped += outbox.dropped
        self.held_back += len(inbound)
        if inbound.deferred and (self.busiest is None or inbound.deferred > self.busiest.inbound.deferred):
            self.busiest = link
        if outbox.size or outbox.places is not None:
            count, size = outbox.depth()
            self.waiting += count
            self.waiting_bytes += size
            self.most = max(self.most, count)
            self.most_bytes = max(self.most_bytes, size)
            self.outbox_bytes += outbox.size
            if outbox.size and (self.worst is None or outbox.size > self.worst.outbox.size):
                self.worst = link


Sums = Mapping[ListenerContext, LinkSums]


def sum_up(turn: Turn, contexts: Iterable[ListenerContext], done: Callable[[Sums], object]) -> None:
    """Sum up the links of each place, and call `done`: at once where they are few. It must not raise."""
    all_links = [(LinkSums(context), context, list(context.links)) for context in contexts]

    def work() -> Iterator[None]:
        for sums, _, links in all_links:
            for at, link in enumerate(links, 1):
                sums.add(link)
                if not at % limits.PIECES_AT_ONCE:
                    yield
        done({context: sums for sums, context, _ in all_links})

    spread(turn, "metrics", work())
