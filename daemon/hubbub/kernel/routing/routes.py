"""Who gets a message: the receivers of a topic, grouped by how they encode, remembered until subscriptions change."""

from __future__ import annotations

from hubbub.kernel.routing.trie import Entry
from hubbub.kernel.sessions.session import Encoding, Receiver, Session


class Group:
    """The receiver_count of a route that share an encoding."""

    __slots__ = ("encoding", "receivers", "quiet")

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.receivers: list[Receiver] = []
        self.quiet: dict[Session, Receiver] | None = None  # of them who doesn't want its own messages


class Route:
    """Who gets what matches these entries. Topics that match the same entries share one."""

    __slots__ = ("entries", "versions", "checked", "groups", "receiver_count", "quiet")

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.versions: tuple[int, ...] = ()
        self.checked = -1
        self.groups: list[Group] = []
        self.receiver_count = 0
        self.quiet = False

    def refresh(self, version: int) -> None:
        """Look at the subscribers again where they have changed."""
        self.checked = version
        versions = tuple([entry.version for entry in self.entries])
        if versions != self.versions:
            self.versions = versions
            self._gather()

    def _gather(self) -> None:
        if len(self.entries) == 1:
            chosen = self.entries[0].subscribers
        else:  # a session gets one copy, by the filter that it subscribed to with the fewest wildcards
            chosen = {}
            for entry in sorted(self.entries, key=_wildness, reverse=True):
                chosen.update(entry.subscribers)
            for session, one in [pair for pair in chosen.items() if pair[1].merge is not None]:
                same = [entry.subscribers[session] for entry in self.entries if session in entry.subscribers]
                if len(same) > 1 and one.merge is not None:
                    chosen[session] = one.merge(same)
        groups: dict[tuple[Encoding, bool], Group] = {}
        for session, subscription in chosen.items():
            key = (subscription.encoding, subscription.wish.echo)
            group = groups.get(key)
            if group is None:
                group = groups[key] = Group(subscription.encoding)
                if not subscription.wish.echo:
                    group.quiet = {}
            group.receivers.append(subscription.receiver)
            if group.quiet is not None:
                group.quiet[session] = subscription.receiver
        self.groups = list(groups.values())
        self.receiver_count = len(chosen)
        self.quiet = any(group.quiet is not None for group in self.groups)

    def reaches(self, sender: Session | None) -> int:
        """How many sessions a message of `sender` goes to."""
        return self.receiver_count - any(group.quiet is not None and sender in group.quiet for group in self.groups)


def _wildness(entry: Entry) -> tuple[int, bool]:
    return entry.filter.count("+") + entry.filter.endswith("#"), entry.filter.endswith("#")


NOWHERE = Route(())
