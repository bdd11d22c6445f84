"""The composition root: it builds the parts of one topic space, and is the one file that knows all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hubbub.bounds import DEFAULTS, Bounds
from hubbub.errors import Refusal
from hubbub.kernel.connection.slow_consumers import SlowConsumers
from hubbub.kernel.history.history import History, Recorder
from hubbub.kernel.history.memory import MemoryHistory
from hubbub.kernel.history.rule import HistoryRule
from hubbub.kernel.history.store import HistoryStore
from hubbub.kernel.ingress.idempotency import IdempotencyKeys
from hubbub.kernel.ingress.sources import Sources
from hubbub.kernel.routing.cluster_router import ClusterRouter, Stream
from hubbub.kernel.routing.requests import Requests
from hubbub.kernel.routing.retained import Retained
from hubbub.kernel.routing.router import Router
from hubbub.kernel.routing.share_groups import SharedSubscriptions
from hubbub.kernel.routing.subscriptions import Subscriptions
from hubbub.kernel.routing.sys_topics import SysTopics
from hubbub.kernel.sessions.presence import PresenceTable
from hubbub.kernel.sessions.registry import ClientRegistry
from hubbub.kernel.sessions.store import Store
from hubbub.kernel.turn import Turn


class Hub:
    """One topic space. See Turn for `wake`, `wall`, `now`, `arm`.

    clustered  whether it is a node of a cluster, which `join` needs
    traced  attribute: is called with each link when it gets a dialect, while there is a trace
    history   the message history, or None
    dialect_state  attribute: what dialects keep of all their clients, see dialect.DialectContext
    rejected  attribute: called with listener, host and Refusal of a rejected connection, while there is a trace
    """

    def __init__(
        self,
        wake: Callable[[], object],
        wall: Callable[[], float],
        now: Callable[[], float],
        arm: Callable[[float], object],
        retained: Retained | None = None,
        bounds: Bounds = DEFAULTS,
        clustered: bool = False,
    ) -> None:
        self.turn = turn = Turn(wake, wall, now, arm, bounds)
        self.retained = Retained(bounds.retained_messages, bounds.retained_bytes) if retained is None else retained
        self.router = router = (ClusterRouter if clustered else Router)(turn, self.retained)
        self.shared = SharedSubscriptions(turn, router)
        self.system = SysTopics(turn, router)
        self.subscriptions = Subscriptions(turn, router, self.retained, self.shared, self.system)
        self.requests = Requests(turn, router)
        self.sources = Sources(lambda: turn.bounds, now)
        self.clients = ClientRegistry(turn, router, self.subscriptions, self.shared, self.sources)
        self.idempotency = IdempotencyKeys(turn)
        self.presences = PresenceTable(turn, router, self.retained)
        self.slow_consumers = SlowConsumers(turn)
        self.history: History | None = None  # if there are rules
        self._kept: History | None = None
        self.dialect_state: dict[str, Any] = {}
        self.traced: Callable[[Any], object] | None = None
        self.rejected: Callable[[str, str, Refusal], object] | None = None
        turn.deliver = router.commit

    def bound(self, bounds: Bounds) -> None:
        """Take other bounds from now on; what is there already stays."""
        self.turn.bounds = bounds
        self.clients.bound()
        self.retained.max_messages, self.retained.max_bytes = bounds.retained_messages, bounds.retained_bytes

    def load(self, store: Store) -> None:
        """Keep retained messages, sessions and idempotency keys in `store`, once, before the daemon serves."""
        self.turn.commits = store.commits
        self.turn.stores.append(store.commit)
        store.changed = self.turn.schedule_flush
        self.retained.load(store)
        self.idempotency.load(store)
        self.clients.load(store)

    def join(self, stream: Stream) -> None:
        """Have what must be kept go into the stream of a cluster from now on."""
        assert isinstance(self.router, ClusterRouter)
        self.router.stream = stream
        self.turn.stream = stream.commits

    def keep_history(self, rules: Sequence[HistoryRule], store: HistoryStore | None = None) -> None:
        """Keep messages of these rules in a durable store, or in memory, once, before the daemon serves."""
        self._record(History(store or MemoryHistory(self.turn), rules, self.turn.wall))

    def move_history(self, store: HistoryStore) -> None:
        """Have another store keep the messages of the same rules, from now on."""
        if self._kept is not None:
            rules = [state.rule for state in self._kept.states]
            self.router.commit()
            self._record(History(store, rules, self.turn.wall))

    def change_history(self, rules: Sequence[HistoryRule]) -> None:
        """Keep messages of other rules from now on; what others have kept is forgotten."""
        assert self._kept is not None
        self.router.commit()
        for state in self._kept.states:
            self.router.keep(state.rule.filter, None)
        self._kept.change(rules)
        self._record(self._kept)

    def _record(self, history: History) -> None:
        self._kept = history
        self.history = history if history.states else None
        for order, state in enumerate(history.states):
            self.router.keep(state.rule.filter, Recorder(history, order))
