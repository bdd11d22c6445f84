"""Logs the notices of dialects about the clients of a listener: each text once, however many clients cause it."""

from __future__ import annotations

from twisted.logger import Logger

from hubbub import limits


class Notices:
    """Logs the Notice events of one listener."""

    log = Logger(namespace="hubbub.listener")

    def __init__(self, id: str) -> None:
        self._id = id
        self._logged: set[str] = set()

    def __call__(self, text: str) -> None:
        """Log `text`, unless it is logged already, or limits.LISTENER_NOTICES others are."""
        if text not in self._logged and len(self._logged) < limits.LISTENER_NOTICES:
            self._logged.add(text)
            self.log.warn("{id}: {text}", id=self._id, text=text)  # noqa: G010  Twisted calls it so
