"""How filters stand to each other: what one of them covers, and where two overlap (MQTT 5.0 section 4.7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hubbub.kernel.routing.trie import Entry, Trie
from hubbub.topics import is_wildcard

_ANY = "\0"  # a level that no filter names, as NUL is in no topic (MQTT-4.7.3-2): only wildcards match it


class FilterSet:
    """Some filters, all well formed, looked at together."""

    __slots__ = ("_all", "_deepest", "_trie")

    def __init__(self, filters: Iterable[str]) -> None:
        self._all = tuple(dict.fromkeys(filters))
        self._deepest = max((filter.count("/") + 1 for filter in self._all), default=0)
        self._trie = Trie()
        for filter in self._all:
            self._trie.add(filter)

    def covering(self, filter: str) -> tuple[str, ...]:
        """Return filters that together match all that `filter` matches; none where they don't."""
        found: dict[str, None] = {}
        for topic in _stand_ins(filter, self._deepest):
            matching = self._trie.match(topic)
            if not matching:
                return ()
            if not any(entry.filter in found for entry in matching):
                found[_widest(matching).filter] = None
        return tuple(found)

    def overlapping(self, filter: str) -> str | None:
        """Return a filter that matches something that `filter` matches too."""
        if not is_wildcard(filter):
            matching = self._trie.match(filter)
            return matching[0].filter if matching else None
        return next((one for one in self._all if overlaps(one, filter)), None)


def covers(wide: str, narrow: str) -> bool:
    """Tell whether the filter `wide` matches all that `narrow` matches."""
    return bool(FilterSet((wide,)).covering(narrow))


def overlaps(one: str, other: str) -> bool:
    """Tell whether there is a topic that both filters match."""
    if {one[0], other[0]} in ({"$", "+"}, {"$", "#"}):  # MQTT-4.7.2-1
        return False
    short, long = sorted((one.split("/"), other.split("/")), key=len)
    for here, there in zip(short, long, strict=False):
        if "#" in (here, there):
            return True
        if here != there and "+" not in (here, there):
            return False
    if len(short) == len(long):
        return True
    return long[len(short)] == "#" and long != ["", "#"]  # a/# matches a too, but what /# stands below is no topic


def _stand_ins(filter: str, depth: int) -> Iterator[str]:
    """Yield topics such that filters of up to `depth` levels that match them match all that `filter` does.

    Whatever matches a level that no filter names matches every level; past `depth` levels only a # still decides.
    """
    levels = [_ANY if level == "+" else level for level in filter.split("/")]
    if levels[-1] != "#":
        yield "/".join(levels)
        return
    levels.pop()
    if "/".join(levels):  # what # stands below is a topic too, but "" is none
        yield "/".join(levels)
    while len(levels) <= depth or not levels:
        levels.append(_ANY)
        yield "/".join(levels)


def _widest(entries: tuple[Entry, ...]) -> Entry:
    return max(entries, key=lambda entry: (entry.filter.endswith("#"), -entry.filter.count("/")))
