"""The receivers of a topic, grouped by encoding, remembered until subscriptions change."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.routing.groups import ReceiverGroup, SplicedGroup, splice
from hubbub.kernel.routing.subscription import AwayLog, Encoding, Keeper, Receiver, Subscription, as_is
from hubbub.kernel.routing.trie import Entry
from hubbub.limits import (
    BATCH_MESSAGES,
    COPIES_AT_ONCE,
    DELIVERIES_AT_ONCE,
    ENTRIES_TO_ONE,
    ROUTE_COST,
    SPLICED_AT_ONCE,
)


class Route:
    """The receivers of topics that match the same filters.

    durable   whether a store may keep the messages, for some of them or for the history
    keeper    keeps the messages in the history, or None
    groups    the receivers that share an encoding; spliced: those of groups that share all of it but an id
    most      messages that may be put into them at once
    sessions  how many sessions they belong to; quiet: those of them that don't want their own messages
    """

    __slots__ = (
        "checked", "durable", "entries", "groups", "keeper", "most", "quiet", "sessions", "spliced", "_versions",
    )  # fmt: skip

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self._versions = -1  # of all entries together
        self.checked = -1
        self.durable = False
        self.most = BATCH_MESSAGES
        self.groups: list[ReceiverGroup] = []
        self.spliced: list[SplicedGroup] = []
        keepers: list[Keeper] = [entry.keeper for entry in entries if entry.keeper is not None]
        self.keeper: Keeper | None = min(keepers, key=_order) if keepers else None
        self.sessions = 0
        self.quiet: frozenset[Any] = frozenset()

    @classmethod
    def to_one(cls, receiver: Receiver) -> Route:
        """Make the route to one receiver of messages as they are, whatever is subscribed to."""
        made, group = cls(()), ReceiverGroup(_RECEIVED_AS_IS)
        group.receivers.append(receiver)
        made.groups.append(group)
        made.sessions = 1
        return made

    def beside(self, entry: Entry | None) -> Route:
        """Return this route, and with it the subscribers of an entry."""
        if entry is None:
            return self
        both = Route((entry,))
        both.refresh(0, sys.maxsize)
        both.groups[:0] = self.groups
        both.sessions += self.sessions
        return both

    def has_answerer(self) -> bool:
        """Return whether any subscriber may answer, at this moment; it looks at all of them."""
        for entry in self.entries:
            for one in entry.subscribers:
                if one.wish.answers and not one.session.left:
                    return True
        return False

    def refresh(self, version: int, most: int) -> bool:
        """Collect the receivers again if the subscribers of an entry have changed. Returns whether they have.

        Raises Refusal (quota): there are more than `most` subscriptions, as those of a session overlap.
        """
        versions = sum([entry.version for entry in self.entries])  # each only ever grows
        if versions == self._versions:
            self.checked = version
            return False
        if sum([len(entry.subscribers) for entry in self.entries]) > most:
            raise Refusal("quota", f"more than {most} subscriptions match this topic")
        self.checked = version
        self._versions = versions
        self._gather()
        return True

    def _gather(self) -> None:
        before = {(one.encoding, one.quiet is None): one for one in self.groups if one.backlog is not None}
        groups: dict[tuple[Encoding, bool], ReceiverGroup] = {}
        sessions = set()
        each = len(self.entries) // ENTRIES_TO_ONE  # what is done for each message by itself: receivers, encodings
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
        self.groups, self.spliced = splice(self.groups)
        each += len(self.groups)
        units = sum([one.count for one in self.spliced])
        self.most = max(1, min(BATCH_MESSAGES, DELIVERIES_AT_ONCE // (each or 1), SPLICED_AT_ONCE // (units or 1)))
        self.sessions = len(sessions)
        self.quiet = frozenset([one for group in groups.values() if group.quiet is not None for one in group.quiet])

    def gather_away(self, log: AwayLog | None, changed: Callable[[AwayLog], None]) -> AwayLog | None:
        """Let sessions without a link have a place in the log of this route, a new one if they are many."""
        away: list[Any] = []
        for group in self.groups:
            if group.away:
                away, group.away = group.away, []
                if log is None and len(away) >= limits.AWAY_SESSIONS:
                    log = away[0].new_log(changed)
                if log is None:
                    group.receivers += away
                else:
                    group.log = log
                    group.receivers += log.gather(away)
        if log is not None and not away:
            log.gather([])
        return log

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
            return _fold(list(self.entries[0].subscribers))
        each: list[Subscription] = []
        merged: dict[Any, list[Subscription]] = {}  # by session, the one with the fewest wildcards first
        for entry in sorted(self.entries, key=_wildness):
            for subscription in entry.subscribers:
                if subscription.copies:
                    each.append(subscription)
                else:
                    session = subscription.session
                    heir = session if session.successor is None else session.heir()
                    several = merged.get(heir)
                    if several is None:
                        merged[heir] = [subscription]
                    elif several[0].merge is not None:
                        several.append(subscription)
        return _fold(each) + [_merge(several) for several in merged.values()]

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


def _fold(subscriptions: list[Subscription]) -> list[Subscription]:
    """Let one receiver make the copies for each session that gets more than COPIES_AT_ONCE of them."""
    if len(subscriptions) <= COPIES_AT_ONCE or not any(one.copies for one in subscriptions):
        return subscriptions
    found: list[Subscription] = []
    copies: dict[Any, list[Subscription]] = {}
    for one in subscriptions:
        if one.copies and hasattr(one.receiver, "new_copying"):
            copies.setdefault((one.session, one.wish.echo), []).append(one)
        else:
            found.append(one)
    for (session, _), several in copies.items():
        if len(several) > COPIES_AT_ONCE:
            first: Any = several[0]
            several = [Subscription(session, first.wish, _AS_IS, first.receiver.new_copying(several))]
        found += several
    return found


def _merge(several: list[Subscription]) -> Subscription:
    merge = several[0].merge
    return several[0] if merge is None or len(several) == 1 else merge(several)


def _wildness(entry: Entry) -> int:
    return entry.wildness


def _order(keeper: Keeper) -> int:
    return keeper.order


_AS_IS = Encoding(as_is, None, stream=False)
_RECEIVED_AS_IS = Encoding(as_is, None)
NOWHERE = Route(())
