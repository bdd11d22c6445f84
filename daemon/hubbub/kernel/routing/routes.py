"""The receivers of a topic, grouped by encoding, remembered until subscriptions change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hubbub.kernel.routing.subscription import AwayLog, Backlog, Encoding, Keeper, Receiver, Subscription
from hubbub.kernel.routing.trie import Entry
from hubbub.limits import BACKLOG_LINKS, BATCH_MESSAGES, DELIVERIES_AT_ONCE, ROUTE_COST


class ReceiverGroup:
    """The receivers of a route that share an encoding.

    quiet    those of sessions that don't want their own messages, by session; None: there are none such
    backlog  what waits for those that have stopped reading, who aren't in `receivers` then; or None
    looked   counters.stalls when these were last looked for
    away     receivers of sessions without a link, until they have their place; log: what waits for them, or None
    """

    __slots__ = ("away", "backlog", "encoding", "log", "looked", "receivers", "quiet")

    def __init__(self, encoding: Encoding) -> None:
        self.away: list[Any] = []
        self.encoding = encoding
        self.log: AwayLog | None = None
        self.receivers: list[Receiver] = []
        self.quiet: dict[Any, list[Receiver]] | None = None
        self.backlog: Backlog | None = None
        self.looked = 0

    def of_the_stalled(self, stalls: int) -> Backlog | None:
        """Return the backlog of those that have stopped reading, if there is one; `stalls`: see Counters."""
        if stalls - self.looked >= BACKLOG_LINKS:
            self.sift(stalls)
        return self.backlog if self.backlog is not None and self.backlog.places else None

    def sift(self, stalls: int) -> None:
        """Give receivers that have stopped reading a place in the backlog, if they are many."""
        self.looked = stalls
        if self.quiet is not None:
            return
        stalled: list[Any] = [one for one in self.receivers if getattr(one, "stalled", False)]
        if self.backlog is None:
            if len(stalled) < BACKLOG_LINKS or len(set(self.receivers)) < len(self.receivers):
                return
            self.backlog = stalled[0].new_backlog(self)
        taken = {one for one in stalled if self.backlog.join(one)}
        self.receivers = [one for one in self.receivers if one not in taken]

    def succeed(self, before: ReceiverGroup) -> None:
        """Take over the backlog of the group before a subscription changed."""
        backlog, receivers = before.backlog, set(self.receivers)
        assert backlog is not None
        same = len(receivers) == len(self.receivers)
        for outbox in list(backlog.places):
            if not same or outbox not in receivers:
                outbox.evict()
        self.backlog = backlog
        backlog.group = self
        self.receivers = [one for one in self.receivers if one not in backlog.places]

    def others(self, sender: Any) -> list[Receiver]:
        """Return the receivers of a message of `sender`."""
        if self.quiet is None or sender not in self.quiet:
            return self.receivers
        own = self.quiet[sender]
        return [receiver for receiver in self.receivers if receiver not in own]


class Route:
    """The receivers of topics that match the same filters.

    durable   whether a store may keep the messages, for some of them or for the history
    keeper    keeps the messages in the history, or None
    most      messages that may be put into them at once
    sessions  how many sessions they belong to; quiet: those of them that don't want their own messages
    """

    __slots__ = ("entries", "checked", "durable", "groups", "keeper", "most", "sessions", "quiet", "_versions")

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self._versions = -1  # of all entries together
        self.checked = -1
        self.durable = False
        self.most = BATCH_MESSAGES
        self.groups: list[ReceiverGroup] = []
        keepers: list[Keeper] = [entry.keeper for entry in entries if entry.keeper is not None]
        self.keeper: Keeper | None = min(keepers, key=_order) if keepers else None
        self.sessions = 0
        self.quiet: frozenset[Any] = frozenset()

    def refresh(self, version: int) -> bool:
        """Collect the receivers again if the subscribers of an entry have changed. Returns whether they have."""
        self.checked = version
        versions = sum([entry.version for entry in self.entries])  # each only ever grows
        if versions == self._versions:
            return False
        self._versions = versions
        self._gather()
        return True

    def _gather(self) -> None:
        before = {(one.encoding, one.quiet is None): one for one in self.groups if one.backlog is not None}
        groups: dict[tuple[Encoding, bool], ReceiverGroup] = {}
        sessions = set()
        each = 0  # receivers that handle each message by itself
        self.durable = self.keeper is not None
        for subscription in self._with_copies():
            session = subscription.session
            sessions.add(session if session.successor is None else session.heir())
            key = (subscription.encoding, subscription.wish.echo)
            group = groups.get(key)
            if group is None:
                group = groups[key] = ReceiverGroup(subscription.encoding)
                if not subscription.wish.echo:
                    group.quiet = {}
            receiver: Any = subscription.receiver
            durable = getattr(receiver, "durable", None)
            if durable is not None:
                each += 1
                self.durable |= durable
            if durable is not None and group.quiet is None and receiver.waits:
                group.away.append(receiver)
            else:
                group.receivers.append(receiver)
            if group.quiet is not None:
                group.quiet.setdefault(subscription.session, []).append(subscription.receiver)
        self.groups = list(groups.values())
        for key, old in before.items():
            (groups.get(key) or ReceiverGroup(old.encoding)).succeed(old)
        self.most = max(1, min(BATCH_MESSAGES, DELIVERIES_AT_ONCE // each)) if each else BATCH_MESSAGES
        self.sessions = len(sessions)
        self.quiet = frozenset([one for group in self.groups if group.quiet is not None for one in group.quiet])

    def chosen(self, wanted: Callable[[Any], bool]) -> tuple[int, list[ReceiverGroup]]:
        """Return how many sessions are wanted, and their receivers. Groups of sessions decide for themselves."""
        groups: dict[Encoding, ReceiverGroup] = {}
        sessions = set()
        for subscription in self._with_copies():
            if wanted(subscription.session):
                sessions.add(subscription.session)
                group = groups.setdefault(subscription.encoding, ReceiverGroup(subscription.encoding))
                group.receivers.append(subscription.receiver)
        return len(sessions), list(groups.values())

    def _with_copies(self) -> list[Subscription]:
        """Return the subscriptions that get a copy: each one of a session that wants that, else one per session."""
        if len(self.entries) == 1:
            return list(self.entries[0].subscribers)
        each: list[Subscription] = []
        merged: dict[Any, list[Subscription]] = {}  # by session, the one with the fewest wildcards first
        for entry in sorted(self.entries, key=_wildness):
            for subscription in entry.subscribers:
                if subscription.copies:
                    each.append(subscription)
                else:
                    session = subscription.session
                    heir = session if session.successor is None else session.heir()
                    merged.setdefault(heir, []).append(subscription)
        return each + [_merge(several) for several in merged.values()]

    @property
    def cost(self) -> int:
        """How many places for entries, receivers and what belongs to them it takes in memory."""
        return ROUTE_COST + len(self.entries) + self.sessions

    def reaches(self, sender: Any) -> int:
        """Return how many sessions get a message of `sender`."""
        return self.sessions - (sender in self.quiet)

    def parts(self, sender: Any, other: Any) -> bool:
        """Return whether messages of two senders have different receivers."""
        return sender is not other and (sender in self.quiet or other in self.quiet)


def _merge(several: list[Subscription]) -> Subscription:
    merge = several[0].merge
    return several[0] if merge is None or len(several) == 1 else merge(several)


def _wildness(entry: Entry) -> int:
    return entry.wildness


def _order(keeper: Keeper) -> int:
    return keeper.order


NOWHERE = Route(())
