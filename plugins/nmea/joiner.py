"""State between lines: the tags of a group of lines, the parts of an AIS message. Bounded, with expiry."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from hubbub import Refusal

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


class Parts:
    """The parts of one message.

    found     the parts by number
    arrived   the numbers that have arrived since the message was last complete
    doubtful  whether two different parts had one number
    """

    def __init__(self) -> None:
        self.found: dict[int, Any] = {}
        self.arrived: set[int] = set()
        self.doubtful = False


class Joiner:
    """Joins lines that belong together. What is joined, and by what, is up to `key`."""

    def __init__(self, size: int) -> None:
        self._groups = ExpiringTable(size)
        self._messages = ExpiringTable(size)

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

    def parts(self, key: Hashable, number: int, total: int, part: Any, now: float) -> list[Any] | None:
        """Take a part; returns all of them in order with the last one that comes, and None until then.

        A part that comes twice counts once, and a message that comes twice is two. Two different parts with one number
        are of two messages at once, which nothing tells apart: neither is joined. Raises Refusal at the first of these.
        """
        row: Parts | None = self._messages.get(key, now)
        if row is None or (len(row.found) == total and row.found[number] != part):
            row = Parts()
            self._messages.put(key, row, now)
        if row.doubtful:
            return None
        if row.found.setdefault(number, part) != part:
            row.doubtful = True
            self._messages.put(key, row, now)
            raise Refusal("bad-payload", "parts of two AIS messages have the same channel, sequence id and source")
        row.arrived.add(number)
        if len(row.arrived) < total:
            return None
        row.arrived.clear()
        return [row.found[one] for one in range(1, total + 1)]
