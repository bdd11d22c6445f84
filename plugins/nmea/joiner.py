"""State between lines: the tags of a group of lines. Bounded, with expiry."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

SECONDS = 2.0  # seconds that the lines of a group, or the parts of a message, may take: a sequence id comes again soon
ROWS_OF_LINK = 64  # groups and messages of one link that wait for the rest: about 150 KiB
ROWS_OF_LISTENER = 4_096  # the same for all senders of a UDP listener: about 10 MiB
_DESCRIBING = frozenset("scd")  # source, time and destination, which only one line of a group has to have


class ExpiringTable:
    """The newest values by key: at most `size` of them, each for SECONDS."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: dict[Hashable, tuple[float, Any]] = {}  # oldest first

    def get(self, key: Hashable, now: float) -> Any:
        """Return what was put under `key`, or None."""
        since, value = self._rows.get(key, (0.0, None))
        return value if now - since < SECONDS else None

    def put(self, key: Hashable, value: Any, now: float) -> None:
        """Keep a value, and drop those that are too old or too many."""
        self._rows.pop(key, None)
        self._rows[key] = (now, value)
        while len(self._rows) > self._size or now - next(iter(self._rows.values()))[0] >= SECONDS:
            del self._rows[next(iter(self._rows))]


class Joiner:
    """Joins lines that belong together. What is joined, and by what, is up to `key`."""

    def __init__(self, size: int) -> None:
        self._groups = ExpiringTable(size)

    def tags(self, sender: Hashable, tags: dict[str, str], now: float) -> dict[str, str]:
        """Return the tags of a line, with those that another line of its group has for all."""
        if "g" not in tags:
            return tags
        number, _, group = tags["g"].partition("-")
        key = (sender, group)  # which has the total before its id
        own = {code: tags[code] for code in sorted(_DESCRIBING & tags.keys())}
        shared = self._groups.get(key, now)
        if number == "1" or not shared:  # ids are used again
            self._groups.put(key, own, now)
            return tags
        return {**shared, **tags}
