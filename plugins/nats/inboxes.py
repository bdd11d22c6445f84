"""The subscriptions of one client, to find the one that a reply would reach."""

from __future__ import annotations

from collections.abc import Iterator


class Inboxes:
    """Ids of subscriptions by filter. It finds those with no wildcard, and with one at the end, as inboxes are."""

    __slots__ = ("_filters", "_ids")

    def __init__(self) -> None:
        self._filters: dict[str, str] = {}
        self._ids: dict[str, dict[str, None]] = {}

    def add(self, id: str, filter: str) -> None:
        """A subscription has begun, or has another filter."""
        self.remove(id)
        self._filters[id] = filter
        self._ids.setdefault(filter, {})[id] = None

    def remove(self, id: str) -> None:
        """A subscription has ended, if there was one."""
        filter = self._filters.pop(id, None)
        if filter is not None:
            del self._ids[filter][id]
            if not self._ids[filter]:
                del self._ids[filter]

    def find(self, topic: str) -> str | None:
        """Return the id of a subscription that matches a topic, or None."""
        for filter in _candidates(topic):
            for id in self._ids.get(filter, ()):
                return id
        return None


def _candidates(topic: str) -> Iterator[str]:
    yield topic
    parent, slash, _ = topic.rpartition("/")
    yield f"{parent}/+" if slash else "+"
    while slash:
        yield f"{parent}/+/#"
        parent, slash, _ = parent.rpartition("/")
    yield "#"
