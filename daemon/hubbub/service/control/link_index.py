"""All links by their ids."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from typing import Any

from hubbub import limits
from hubbub.kernel.sessions.session import Session


class LinkIndex:
    """The sessions of all links in the order of their ids, so that a page of them begins anywhere (a watcher)."""

    def __init__(self) -> None:
        self._ids: list[int] = []  # also of some that have gone
        self._sessions: dict[int, Session] = {}

    def joined(self, session: Session) -> None:
        """A session is there."""
        if session.id:
            self._sessions[session.id] = session
            insort(self._ids, session.id)

    def left(self, session: Session) -> None:
        """A session has gone."""
        self._sessions.pop(session.id, None)
        if len(self._ids) > 2 * len(self._sessions) + limits.MANAGED_LINKS:
            self._ids = [id for id in self._ids if id in self._sessions]

    def page(self, after: int) -> Iterator[tuple[int, Any]]:
        """Yield (id, link), some of them None, behind the id `after`: at most limits.MANAGED_LINKS."""
        start = bisect_right(self._ids, after)
        for id in self._ids[start : start + limits.MANAGED_LINKS]:
            session = self._sessions.get(id)
            yield id, None if session is None else session.link

    def find(self, id: object) -> Any:
        """Return the link of that id, or None."""
        session = self._sessions.get(id) if isinstance(id, int) else None
        return None if session is None else session.link
