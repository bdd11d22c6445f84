"""The retained message of each topic (MQTT 5.0 section 3.3.1.3), in memory and bounded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from hubbub import limits, topics
from hubbub.errors import Refusal
from hubbub.kernel.sessions.records import make_message
from hubbub.kernel.sessions.store import MemoryStore, Store
from hubbub.message import Message, cost


class _Node:
    """One level of topics.

    level   its name; number: grows with each child of its parent
    """

    __slots__ = ("children", "level", "message", "number", "_gone", "_kin")

    def __init__(self, level: str, number: int) -> None:
        self.children: dict[str, _Node] = {}
        self.level = level
        self.message: Message | None = None
        self.number = number
        self._gone = 0  # children in `_kin` that are dropped: they have neither a message nor children
        self._kin: list[_Node] | None = None  # the children by number, once a search has asked for them

    def put(self, level: str, number: int) -> _Node:
        """Make a child."""
        node = self.children[level] = _Node(level, number)
        if self._kin is not None:
            self._kin.append(node)
        return node

    def drop(self, level: str) -> None:
        """Forget a child."""
        del self.children[level]
        if self._kin is not None:
            self._gone += 1
            if self._gone * 2 > len(self._kin):
                self._kin, self._gone = list(self.children.values()), 0

    def below(self, last: int = -1) -> Iterator[_Node]:
        """Yield the children that are there now, and maybe some that are gone; all searches share one list of them.

        last  the number of the child behind which to begin
        """
        if self._kin is None:
            self._kin, self._gone = list(self.children.values()), 0
        kin = self._kin
        at = bisect_right(kin, last, key=_number)
        newest = kin[-1].number if kin else -1
        while last < newest:
            if kin is not self._kin:  # those that are gone have left it
                kin = self._kin
                at = bisect_right(kin, last, key=_number)
            if at == len(kin) or kin[at].number > newest:
                break
            last = kin[at].number
            yield kin[at]
            at += 1


def _number(node: _Node) -> int:
    return node.number


class Retained:
    """Retained messages as a tree of levels; a durable store keeps them too."""

    def __init__(
        self,
        max_messages: int = limits.RETAINED_MESSAGES,
        max_bytes: int = limits.RETAINED_BYTES,
        max_levels: int = limits.RETAINED_LEVELS,
    ) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.max_levels = max_levels
        self.count = 0
        self.size = 0
        self.levels = 0
        self._root = _Node("", 0)
        self._nodes = 0  # that were ever made
        self._store: Store = MemoryStore()

    def load(self, store: Store) -> None:
        """Take the retained messages of a store, which records each change from now on."""
        for record in store.load_retained():
            self._put(make_message(record))
        self._store = store

    def keep(self, message: Message) -> None:
        """Keep `message` as the last of its topic; an empty payload removes it.

        Raises Refusal: quota when full, unavailable where the store can't keep it for now. But what the hub says
        itself, or as the will of a client that has gone, is published once only, so that waits.
        """
        if self._store.commits.refuses and message.sender is not None and message.sender.link is not None:
            self._store.commits.check()
        if message.payload:
            self._put(message)
        else:
            self._remove(message.topic)
        if self._store.durable:
            self._store.retain(message)

    def check_room(self, message: Message) -> None:
        """Check that there is room for a message. Raises Refusal (quota)."""
        if message.payload:
            self._make_room(message)

    def _make_room(self, message: Message) -> tuple[_Node, list[str], int, int, int]:
        """Return the node at or above its topic, the levels below that, and all counts with it. Raises Refusal."""
        wanted = message.topic.split("/")
        node, at = self._root, 0
        while at < len(wanted) and wanted[at] in node.children:
            node = node.children[wanted[at]]
            at += 1
        old = node.message if at == len(wanted) else None
        count = self.count + (old is None)
        size = self.size + cost(message) - (cost(old) if old is not None else 0)
        levels = self.levels + len(wanted) - at
        if count > self.max_messages or size > self.max_bytes or levels > self.max_levels:
            raise Refusal("quota", "the hub can't retain more messages; delete some by publishing an empty payload")
        return node, wanted[at:], count, size, levels

    def _put(self, message: Message) -> None:
        node, missing, count, size, levels = self._make_room(message)
        for level in missing:
            self._nodes += 1
            node = node.put(level, self._nodes)
        kept = message.on(message.topic)
        kept.retained, kept.sender = True, None
        node.message = kept
        self.count, self.size, self.levels = count, size, levels

    def get(self, topic: str) -> Message | None:
        """Return the retained message of one topic."""
        node = self._find(topic)
        return None if node is None else node.message

    def _find(self, topic: str) -> _Node | None:
        node = self._root
        for level in topic.split("/"):
            below = node.children.get(level)
            if below is None:
                return None
            node = below
        return node

    def children(self, topic: str | None, after: int) -> Iterator[tuple[int, str, Message | None, int]]:
        """Yield number, name, retained message, and count of children, of each level below a topic.

        topic  None: the first levels; after: the number behind which to begin, 0 at first
        """
        node = self._root if topic is None else self._find(topic)
        if node is not None:
            for one in node.below(after):
                if one.message is not None or one.children:
                    yield one.number, one.level, one.message, len(one.children)

    def match(self, filter: str) -> Iterator[Message | None]:
        """Yield the retained messages that a well formed filter matches, as they are when the search reaches them.

        Yields None after each limits.RETAINED_VISITS nodes without a match, so that a long search can pause.
        """
        if not topics.is_wildcard(filter):
            message = self.get(filter)
            return iter(() if message is None else (message,))
        return self._walk(filter.split("/"))

    def _walk(self, wanted: list[str]) -> Iterator[Message | None]:
        last = len(wanted)
        stack = [(iter([self._root]), 0)]  # nodes still to visit, and the level of the filter for them
        visited = 0
        while stack:
            nodes, at = stack[-1]
            node = next(nodes, None)
            if node is None:
                stack.pop()
                continue
            visited += 1
            if visited > limits.RETAINED_VISITS:
                visited = 0
                yield None
            level = wanted[at] if at < last else ""
            # MQTT-4.7.1-2: # matches the parent level too, and everything below it, so stay at this level.
            if node.message is not None and (at == last or level == "#"):
                visited = 0
                yield node.message
            if at == last:
                continue
            if level == "#" or level == "+":
                below = node.below() if node is not self._root else self._shown()
                stack.append((below, at + (level == "+")))
            elif level in node.children:
                stack.append((iter([node.children[level]]), at + 1))

    def _shown(self) -> Iterator[_Node]:
        """Yield the first levels that a wildcard matches: not those that begin with $ (MQTT-4.7.2-1)."""
        hidden = {node for level, node in self._root.children.items() if level[:1] == "$"}
        return (node for node in self._root.below() if node not in hidden)

    def _remove(self, topic: str) -> None:
        levels = topic.split("/")
        path = [self._root]
        for level in levels:
            below = path[-1].children.get(level)
            if below is None:
                return
            path.append(below)
        node = path[-1]
        if node.message is None:
            return
        self.count -= 1
        self.size -= cost(node.message)
        node.message = None
        for level in reversed(levels):
            node = path.pop()
            if node.children or node.message is not None:
                break
            path[-1].drop(level)
            self.levels -= 1
