"""Filters as a tree of levels, and which of them match a topic (MQTT 5.0 section 4.7)."""

from __future__ import annotations

import sys
from typing import Any

from hubbub import topics
from hubbub.errors import Refusal


class Entry:
    """One filter with subscribers, or of the history.

    keeper       routing.subscription.Keeper of its messages, or None
    subscribers  its subscriptions, as the keys of a dict, oldest first
    version      int, raised by every change, so that a Route knows when to collect its receivers again
    wildness     int, larger the more the filter's wildcards match
    """

    __slots__ = ("filter", "keeper", "subscribers", "version", "wildness")

    def __init__(self, filter: str) -> None:
        self.filter = filter
        self.keeper: Any = None
        self.subscribers: dict[Any, None] = {}
        self.version = 0
        self.wildness = 2 * (filter.count("+") + filter.endswith("#")) + filter.endswith("#")


class _Node:
    __slots__ = ("children", "here", "rest")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.here: Entry | None = None  # a filter that ends at this level
        self.rest: Entry | None = None  # a filter whose # stands below this level

    def empty(self) -> bool:
        return not self.children and self.here is None and self.rest is None


class Trie:
    """All filters. Those without a wildcard are looked up whole; the others are walked level by level.

    most  levels of filters that one topic may match
    """

    def __init__(self, most: int = sys.maxsize) -> None:
        self.levels = 0  # nodes
        self._most = most
        self._exact: dict[str, Entry] = {}
        self._root = _Node()

    def cost(self, filter: str) -> int:
        """Return how many levels `filter` may add to the tree; each costs memory and a visit."""
        return len(_levels(filter)) if topics.is_wildcard(filter) else 0

    def get(self, filter: str) -> Entry | None:
        """Return the entry of exactly this filter."""
        if not topics.is_wildcard(filter):
            return self._exact.get(filter)
        path = self._path(filter)
        if path is None:
            return None
        return path[-1].rest if filter.endswith("#") else path[-1].here

    def add(self, filter: str) -> Entry:
        """Make the entry of a filter that has none."""
        entry = Entry(filter)
        if not topics.is_wildcard(filter):
            self._exact[filter] = entry
            return entry
        node = self._root
        for level in _levels(filter):
            below = node.children.get(level)
            if below is None:
                below = node.children[level] = _Node()
                self.levels += 1
            node = below
        if filter.endswith("#"):
            node.rest = entry
        else:
            node.here = entry
        return entry

    def remove(self, filter: str) -> None:
        """Forget the entry of a filter, and the nodes that only it needed."""
        if not topics.is_wildcard(filter):
            del self._exact[filter]
            return
        path = self._path(filter)
        assert path is not None
        if filter.endswith("#"):
            path[-1].rest = None
        else:
            path[-1].here = None
        for level in reversed(_levels(filter)):
            if not path.pop().empty():
                break
            del path[-1].children[level]
            self.levels -= 1

    def match(self, topic: str) -> tuple[Entry, ...]:
        """Return the entries whose filters match `topic`, the exact one first. Raises Refusal (quota): too many do.

        Visits at most the nodes that exist, however the wildcards are nested.
        """
        found: list[Entry] = []
        exact = self._exact.get(topic)
        if exact is not None:
            found.append(exact)
        nodes = [self._root]
        if topic[0] == "$":  # MQTT-4.7.2-1: a leading wildcard doesn't match
            first, _, rest = topic.partition("/")
            below = self._root.children.get(first)
            nodes = [below] if below is not None else []
            levels = rest.split("/") if rest or "/" in topic else []
        else:
            levels = topic.split("/")
        visits = 0
        for level in levels:
            if not nodes:
                return tuple(found)
            following = []
            for node in nodes:
                if node.rest is not None:
                    found.append(node.rest)
                if node.children:
                    child = node.children.get(level)
                    if child is not None:
                        following.append(child)
                    child = node.children.get("+")
                    if child is not None:
                        following.append(child)
            nodes = following
            visits += len(nodes)
            if visits > self._most:
                raise Refusal("quota", "too many filters with + match this topic; give it fewer levels")
        for node in nodes:
            if node.here is not None:
                found.append(node.here)
            if node.rest is not None:  # a/# matches a as well (section 4.7.1.2)
                found.append(node.rest)
        return tuple(found)

    def _path(self, filter: str) -> list[_Node] | None:
        path = [self._root]
        for level in _levels(filter):
            node = path[-1].children.get(level)
            if node is None:
                return None
            path.append(node)
        return path


def _levels(filter: str) -> list[str]:
    levels = filter.split("/")
    if levels[-1] == "#":
        levels.pop()
    return levels
