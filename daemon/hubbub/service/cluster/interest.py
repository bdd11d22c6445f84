"""What this node wants to hear of: one subscription at NATS for each distinct filter of its clients.

NATS sends one copy of a message for each subscription that matches. Messages of nodes carry a number; of those of NATS
applications the copy of the oldest matching subscription is the one that counts (`is_first`). A subscription that ends
counts until the server has sent the last message for it: so it stays clear which one is the oldest.

Where filters overlap so much that copies are most of what comes, one subscription to all takes the place of those with
wildcards (`fold`), until half of these have gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hubbub import limits
from hubbub.kernel.routing.reserved import is_local
from hubbub.kernel.routing.subscription import Subscription
from hubbub.kernel.routing.trie import Trie
from hubbub.kernel.steps import spread
from hubbub.kernel.turn import Turn
from hubbub.nats_protocol.subjects import subjects_of
from hubbub.service.cluster.connection import MAX_LINE, NatsConnection, NatsSubscription
from hubbub.topics import is_wildcard

_ALL = ""  # in the place of a filter: that subscription, which brings topics that begin with $ too
_SUBJECT_BYTES = MAX_LINE - 64  # of the longest one in a SUB line

Took = Callable[["Standing", bytes, bytes, bytes, bytes], object]


class Standing:
    """The subscriptions at NATS for one filter: two for `a/#`, no message matches both. `order` only grows."""

    __slots__ = ("filter", "order", "those")

    def __init__(self, filter: str, order: int) -> None:
        self.filter = filter
        self.order = order
        self.those: list[NatsSubscription] = []


class Interest:
    """The filters of this node (kernel.routing.subscription.SubscriptionObserver).

    folded   whether one subscription to all stands for the filters with wildcards
    unheard  filters that are too long for NATS
    """

    def __init__(self, turn: Turn, connection: NatsConnection, take: Took) -> None:
        self.folded = False
        self.unheard: set[str] = set()
        self._changed: dict[str, None] = {}
        self._connection = connection
        self._counts: dict[str, int] = {}  # of the subscriptions of clients, by filter
        self._ends: dict[str, list[Standing]] = {}  # those that end, by filter
        self._firsts: dict[str, Standing | None] = {}  # of some topics the oldest that matches
        self._folding = 0  # changes of `folded` that are under way
        self._least = 0  # filters with wildcards below which they aren't folded any more
        self._order = 0
        self._scheduled = False
        self._stands: dict[str, Standing] = {}
        self._take = take
        self._trie = Trie()
        self._turn = turn
        self._wild = 0  # filters with wildcards

    def __len__(self) -> int:
        return len(self._stands)

    # What the router says

    def added(self, filter: str, subscription: Subscription) -> None:
        """A client subscribes."""
        if _is_own(filter, subscription):
            return
        count = self._counts[filter] = self._counts.get(filter, 0) + 1
        if count == 1:
            self._wild += is_wildcard(filter)
            self._change(filter)

    def removed(self, filter: str, subscription: Subscription) -> None:
        """A subscription has ended."""
        if _is_own(filter, subscription):
            return
        self._counts[filter] -= 1
        if not self._counts[filter]:
            del self._counts[filter]
            self._wild -= is_wildcard(filter)
            self._change(filter)
            if self.folded and self._wild <= self._least:
                self._set_folded(False)

    def fold(self) -> None:
        """Have one subscription to all instead of those with wildcards."""
        self._least = self._wild // 2
        self._set_folded(True)

    def _set_folded(self, folded: bool) -> None:
        self.folded = folded
        self._folding += 1
        self._change(_ALL)  # before the others end, or once they are there
        spread(self._turn, "cluster", self._look_again())

    def _look_again(self) -> Iterator[None]:
        for count, filter in enumerate(list(self._counts), 1):
            if is_wildcard(filter):
                self._change(filter)
            if count % limits.CLUSTER_FILTERS_AT_ONCE == 0:
                yield
        self._folding -= 1
        self._change(_ALL)

    def _wants(self, filter: str) -> bool:
        if filter == _ALL:
            return self.folded or self._folding > 0
        return filter in self._counts and not (self.folded and is_wildcard(filter))

    def _change(self, filter: str) -> None:
        self._changed[filter] = None
        if not self._scheduled:
            self._scheduled = True
            self._turn.flush_later(self)

    def flush(self) -> None:
        """Tell NATS of what has changed, some of it in each turn (kernel.turn.Flushable)."""
        spread(self._turn, "cluster", self._settle())

    def _settle(self) -> Iterator[None]:
        ended: list[Standing] = []
        while self._changed:
            changed, self._changed = self._changed, {}
            for count, filter in enumerate(changed, 1):
                wanted, stands = self._wants(filter), self._stands.get(filter)
                if wanted and stands is None:
                    self._begin(filter)
                elif stands is not None and not wanted:
                    ended.append(self._end(stands))
                elif not wanted:
                    self.unheard.discard(filter)
                if count % limits.CLUSTER_FILTERS_AT_ONCE == 0:
                    yield
        self._scheduled = False
        if ended:
            self._connection.fence(lambda: self._forget(ended))

    def _begin(self, filter: str) -> None:
        subjects = subjects_of(filter or "#")
        if any(len(subject.encode()) > _SUBJECT_BYTES for subject in subjects):
            self.unheard.add(filter)
            return
        self._order += 1
        made = self._stands[filter] = Standing(filter, self._order)
        made.those += [self._connection.listen(subject, self._taker(made)) for subject in subjects]
        for one in made.those:
            one.live = True
        self._firsts.clear()
        if filter not in self._ends and filter != _ALL:
            self._trie.add(filter)

    def _taker(self, standing: Standing) -> Callable[[bytes, bytes, bytes, bytes], object]:
        take = self._take
        return lambda subject, reply, block, payload: take(standing, subject, reply, block, payload)

    def _end(self, standing: Standing) -> Standing:
        del self._stands[standing.filter]
        self._ends.setdefault(standing.filter, []).append(standing)
        for one in standing.those:
            self._connection.end(one, at_once=False)
        return standing

    def _forget(self, ended: list[Standing]) -> None:
        """All messages of these have come."""
        for standing in ended:
            filter = standing.filter
            for one in standing.those:
                self._connection.forget(one)
            if standing in self._ends.get(filter, ()):
                self._ends[filter].remove(standing)
                if not self._ends[filter]:
                    del self._ends[filter]
                    if filter not in self._stands and filter != _ALL:
                        self._trie.remove(filter)
        self._firsts.clear()

    def left(self) -> None:
        """The connection has gone: nothing more comes of what has ended."""
        self._forget([one for several in list(self._ends.values()) for one in several])

    # Which copy counts

    def is_first(self, standing: Standing, topic: str) -> bool:
        """Return whether no older subscription matches a topic, and this one does: `>` also matches what begins with $.

        It remembers some topics.
        """
        if topic in self._firsts:
            return self._firsts[topic] is standing
        found: Any = None
        for name in (_ALL, *(entry.filter for entry in self._trie.match(topic))):
            for one in (*self._ends.get(name, ()), *filter(None, [self._stands.get(name)])):
                if found is None or one.order < found.order:
                    found = one
        if len(topic) <= limits.MATCH_CACHE_TOPIC:
            if len(self._firsts) >= limits.MATCH_CACHE:
                self._firsts.clear()
            self._firsts[topic] = found
        return found is standing


def _is_own(filter: str, subscription: Subscription) -> bool:
    """Return whether a subscription is the hub's, or is to what stays in it."""
    return subscription.session.transport == "hub" or is_local(filter)
