"""What this node wants to hear of: one subscription at NATS for each distinct filter of its clients.

All of them have one queue name, which is this node's alone. NATS takes the subscriptions of one queue name that match a
message for one group, whatever their subjects, and gives the message to one of them: so it comes once, however filters
overlap, and also while some of them end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hubbub import limits
from hubbub.kernel.routing.reserved import is_local
from hubbub.kernel.routing.subscription import Subscription
from hubbub.kernel.steps import spread
from hubbub.kernel.turn import Turn
from hubbub.nats_protocol.subjects import subjects_of
from hubbub.service.cluster.connection import MAX_LINE, NatsConnection, NatsSubscription
from hubbub.service.cluster.wire import Take

_LINE_BYTES = 64  # of a SUB line beside its subject: the queue name, a number


class Interest:
    """The filters of this node (kernel.routing.subscription.SubscriptionObserver).

    unheard  filters that are too long for NATS
    """

    def __init__(self, turn: Turn, connection: NatsConnection, node: str, take: Take) -> None:
        self.unheard: set[str] = set()
        self._changed: dict[str, None] = {}
        self._connection = connection
        self._counts: dict[str, int] = {}  # of the subscriptions of clients, by filter
        self._ending: set[NatsSubscription] = set()  # the server may have sent more for these
        self._queue = f"hubbub-{node}"
        self._scheduled = False
        self._stands: dict[str, list[NatsSubscription]] = {}  # two for `a/#`: no message matches both
        self._take = take
        self._turn = turn

    def __len__(self) -> int:
        return len(self._stands)

    # What the router says

    def added(self, filter: str, subscription: Subscription) -> None:
        """A client subscribes."""
        if _is_own(filter, subscription):
            return
        count = self._counts[filter] = self._counts.get(filter, 0) + 1
        if count == 1:
            self._change(filter)

    def removed(self, filter: str, subscription: Subscription) -> None:
        """A subscription has ended."""
        if _is_own(filter, subscription):
            return
        self._counts[filter] -= 1
        if not self._counts[filter]:
            del self._counts[filter]
            self._change(filter)

    def _change(self, filter: str) -> None:
        self._changed[filter] = None
        if not self._scheduled:
            self._scheduled = True
            self._turn.flush_later(self)

    def flush(self) -> None:
        """Tell NATS of what has changed, some of it in each turn (kernel.turn.Flushable)."""
        spread(self._turn, "cluster", self._settle())

    def _settle(self) -> Iterator[None]:
        ended: list[NatsSubscription] = []
        while self._changed:
            changed, self._changed = self._changed, {}
            for count, filter in enumerate(changed, 1):
                if filter not in self._counts:
                    self.unheard.discard(filter)
                    ended += self._end(filter)
                elif filter not in self._stands:
                    self._begin(filter)
                if count % limits.CLUSTER_FILTERS_AT_ONCE == 0:
                    yield
        self._scheduled = False
        if ended:
            self._connection.fence(lambda: self._forget(ended))

    def _begin(self, filter: str) -> None:
        subjects = subjects_of(filter)
        if any(len(subject.encode()) > MAX_LINE - _LINE_BYTES for subject in subjects):
            self.unheard.add(filter)
            return
        self._stands[filter] = made = [self._connection.listen(one, self._take, self._queue) for one in subjects]
        for one in made:
            one.live = True

    def _end(self, filter: str) -> Sequence[NatsSubscription]:
        those = self._stands.pop(filter, ())
        self._ending.update(those)
        for one in those:
            self._connection.end(one, at_once=False)
        return those

    def _forget(self, ended: Sequence[NatsSubscription]) -> None:
        """All messages of these have come."""
        self._ending.difference_update(ended)
        for one in ended:
            self._connection.forget(one)

    def left(self) -> None:
        """The connection has gone: nothing more comes of what has ended."""
        self._forget(list(self._ending))


def _is_own(filter: str, subscription: Subscription) -> bool:
    """Return whether a subscription is the hub's, or is to what stays in it."""
    return subscription.session.transport == "hub" or is_local(filter)
