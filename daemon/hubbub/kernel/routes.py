"""Who gets a message: the receivers of a topic, grouped by how they encode, remembered until subscriptions change."""

from __future__ import annotations

from hubbub.kernel.session import Box, Encoding, Session
from hubbub.kernel.trie import Entry


class Group:
    """The receivers of a route that share an encoding."""

    __slots__ = ("encoding", "boxes", "quiet")

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.boxes: list[Box] = []
        self.quiet: dict[Session, Box] | None = None  # of them who doesn't want its own messages


class Route:
    """Who gets what matches these entries. Topics that match the same entries share one."""

    __slots__ = ("entries", "versions", "checked", "groups", "receivers", "quiet")

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.versions: tuple[int, ...] = ()
        self.checked = -1
        self.groups: list[Group] = []
        self.receivers = 0
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
            group.boxes.append(subscription.box)
            if group.quiet is not None:
                group.quiet[session] = subscription.box
        self.groups = list(groups.values())
        self.receivers = len(chosen)
        self.quiet = any(group.quiet is not None for group in self.groups)

    def reaches(self, sender: Session | None) -> int:
        """How many sessions a message of `sender` goes to."""
        return self.receivers - any(group.quiet is not None and sender in group.quiet for group in self.groups)


def _wildness(entry: Entry) -> tuple[int, bool]:
    return entry.filter.count("+") + entry.filter.endswith("#"), entry.filter.endswith("#")


NOWHERE = Route(())
