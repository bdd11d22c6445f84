"""The last message of each topic that was published to be kept, in memory and bounded."""

from __future__ import annotations

from collections.abc import Iterator

from hubbub import limits, topics
from hubbub.errors import Refusal
from hubbub.message import Message


class _Node:
    __slots__ = ("children", "message")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.message: Message | None = None


class Retained:
    """Retained messages as a tree of levels (MQTT 5.0 section 3.3.1.3)."""

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
        self._root = _Node()

    def keep(self, message: Message) -> None:
        """Keep `message` as the last of its topic; an empty payload removes it. Raises Refusal (quota) when full."""
        if not message.payload:
            self._remove(message.topic)
            return
        wanted = message.topic.split("/")
        node, at = self._root, 0
        while at < len(wanted) and wanted[at] in node.children:
            node = node.children[wanted[at]]
            at += 1
        old = node.message if at == len(wanted) else None
        count = self.count + (old is None)
        size = self.size + _cost(message) - (_cost(old) if old is not None else 0)
        levels = self.levels + len(wanted) - at
        if count > self.max_messages or size > self.max_bytes or levels > self.max_levels:
            raise Refusal("quota", "the hub keeps no more retained messages; publish some with an empty payload")
        for level in wanted[at:]:
            node.children[level] = node = _Node()
        kept = message.on(message.topic)
        kept.retained, kept.sender = True, None
        node.message = kept
        self.count, self.size, self.levels = count, size, levels

    def get(self, topic: str) -> Message | None:
        """Return the retained message of one topic."""
        node = self._root
        for level in topic.split("/"):
            below = node.children.get(level)
            if below is None:
                return None
            node = below
        return node.message

    def match(self, filter: str) -> Iterator[Message | None]:
        """Go through the retained messages that a well formed filter matches, as they are when it is their turn.

        Yields None after each limits.RETAINED_VISITS nodes without a match, so that a long search can be put off.
        """
        if not topics.is_wildcard(filter):
            message = self.get(filter)
            return iter(() if message is None else (message,))
        return self._walk(filter.split("/"))

    def _walk(self, wanted: list[str]) -> Iterator[Message | None]:
        last = len(wanted)
        stack = [(self._root, 0)]
        visited = 0
        while stack:
            node, at = stack.pop()
            visited += 1
            if visited > limits.RETAINED_VISITS:
                visited = 0
                yield None
            if at == last:
                if node.message is not None:
                    visited = 0
                    yield node.message
                continue
            level = wanted[at]
            if level == "#":
                # MQTT-4.7.1-2: the parent level too; below it everything, so stay at this level of the filter.
                if node.message is not None:
                    visited = 0
                    yield node.message
                stack += [(child, at) for child in self._below(node)]
            elif level == "+":
                stack += [(child, at + 1) for child in self._below(node)]
            elif level in node.children:
                stack.append((node.children[level], at + 1))

    def _below(self, node: _Node) -> list[_Node]:
        """The children that a wildcard stands for; at the top not those that begin with $ (MQTT-4.7.2-1)."""
        children = node.children
        if node is self._root:
            return [child for level, child in reversed(children.items()) if level[:1] != "$"]
        return list(reversed(children.values()))

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
        self.size -= _cost(node.message)
        node.message = None
        for level in reversed(levels):
            node = path.pop()
            if node.children or node.message is not None:
                break
            del path[-1].children[level]
            self.levels -= 1


def _cost(message: Message) -> int:
    """What a message counts for: everything in it that its publisher may make long."""
    size = len(message.topic) + len(message.payload) + len(message.content_type or "") + len(message.reply_to or "")
    for key, value in (message.properties or {}).items():
        size += len(key) + len(value)
    return size + message.extra()
