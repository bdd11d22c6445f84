"""Where the subscriptions of a client go on after a lost connection: what the hub's history has comes again.

A filter that the history covers has a position: the client has all of its messages up to there, and asks the next
connection for those after it. These come filter by filter, so a message that two filters match may come twice then.
"""

from __future__ import annotations

from hubbub import limits
from hubbub.topics import matches


class _Reached:
    """How far one filter is. `live`: its messages come as they are published, and no longer from the history."""

    __slots__ = ("live", "position")

    def __init__(self, position: str) -> None:
        self.live = True
        self.position = position


class Resumption:
    """The positions of the filters that the history covers."""

    def __init__(self) -> None:
        self._filters: dict[str, _Reached] = {}
        self._seen: dict[str, None] = {}  # positions of messages that may come again, the oldest first

    def lost(self) -> None:
        """The connection is lost."""
        for reached in self._filters.values():
            reached.live = False

    def after(self, filter: str) -> str:
        """Return the position after which a subscription is to go on; "": nothing has come, or no history covers it."""
        reached = self._filters.get(filter)
        return "" if reached is None or reached.live else reached.position

    def subscribed(self, filter: str, position: str) -> None:
        """A filter was subscribed that begins with what is new. `position`: "" where the history doesn't cover it."""
        self._filters.pop(filter, None)
        if position:
            self._filters[filter] = _Reached(position)

    def replaying(self, filter: str) -> None:
        """A filter was subscribed that begins in the history."""
        self._filters.setdefault(filter, _Reached("")).live = False

    def live(self, filter: str, position: str) -> None:
        """All that the history has of a filter has come."""
        if filter in self._filters:
            self._filters[filter] = _Reached(position)

    def forget(self, filter: str) -> None:
        """A filter isn't wanted any more, or has no history."""
        self._filters.pop(filter, None)

    def take(self, topic: str, position: str) -> bool:
        """Note a message. Returns whether it is new."""
        those = [reached for filter, reached in self._filters.items() if matches(filter, topic)]
        if position in self._seen:
            return False
        if len(those) > 1 and not all(reached.live for reached in those):
            self._remember(position)
            those = [reached for reached in those if reached.live]  # which of the others it came for isn't known
        for reached in those:
            reached.position = position
        return True

    def _remember(self, position: str) -> None:
        if len(self._seen) >= limits.CLIENT_SEEN:
            del self._seen[next(iter(self._seen))]
        self._seen[position] = None
