"""The messages of one subscription that the program hasn't taken yet."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hubbub import limits
from hubbub.client.errors import ClientError
from hubbub.client.message import Message
from hubbub.topics import matches, overlap, unshared


class Start:
    """What of the history a feed begins with, as `BaseClient.subscribe` says. Raises ValueError.

    clock  returns seconds; `since` counts from when this was made
    """

    def __init__(self, since: float | None, last: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        if since is not None and last is not None:
            raise ValueError("since and last: one of them")
        if (since or 0) < 0 or (last or 0) < 0:
            raise ValueError("since is in seconds, as in since=600; last is a number of messages, as in last=10")
        self._since = since
        self._last = last
        self._clock = clock
        self._made = clock()

    def members(self) -> dict[str, Any]:
        """Return the members of a command that begins now."""
        if self._since is None:
            return {"last": self._last}
        return {"since": self._since + self._clock() - self._made}


class Feed:
    """A queue of `size` messages and CLIENT_BYTES: when it is full, the oldest gives way, and the next one counts it.

    start   what of the history it begins with, or None
    notify  is called when something has come, or the feed has ended
    """

    def __init__(
        self, filters: Sequence[str], size: int, notify: Callable[[], None], start: Start | None = None
    ) -> None:
        self.filters = tuple(filters)
        self.start = start
        self.error: ClientError | None = None
        self.ended = False
        self.begun = False  # the hub has taken all of its filters at least once
        self._matched = set() if start else {unshared(filter) for filter in filters}
        self._bytes = 0  # of the payloads
        self._messages: deque[Message] = deque()
        self._missed = 0
        self._waiting = set(filters)  # that the hub hasn't taken yet
        self._size = size
        self._notify = notify

    def matches(self, topic: str) -> bool:
        """Tell whether a message of `topic` belongs here."""
        return any(matches(filter, topic) for filter in self._matched)

    def check_beside(self, other: Feed) -> None:
        """Raise ValueError if one of both begins in the history, and messages of that may match the other's filters."""
        if self.start is None and other.start is None:
            return
        for filter in self.filters:
            for beside in other.filters:
                if overlap(unshared(filter), unshared(beside)):
                    raise ValueError(
                        f"{filter} and {beside} share topics, and one of them begins in the history: "
                        "make a client of its own for one of them"
                    )

    def begin(self, filter: str) -> None:
        """The hub has taken one of the filters. Where it begins in the history, earlier messages were for others."""
        self._waiting.discard(filter)
        self._matched.add(unshared(filter))
        if not self._waiting:
            self.begun = True
            self._notify()

    def put(self, message: Message) -> None:
        """Add a message."""
        self._bytes += len(message.payload)
        self._messages.append(message)
        while len(self._messages) > self._size or (self._bytes > limits.CLIENT_BYTES and len(self._messages) > 1):
            self._missed += 1 + self._pop().missed
        self._notify()

    def miss(self, count: int) -> None:
        """Count messages that the hub has dropped."""
        self._missed += count

    def take(self) -> Message | None:
        """Return the next message, or None. Raises the error that has ended the feed, after the last message."""
        if self._messages:
            message = self._pop()
            if self._missed:
                message = replace(message, missed=message.missed + self._missed)
                self._missed = 0
            return message
        if self.error is not None:
            raise self.error.with_traceback(None)  # else it keeps that of each call
        return None

    def _pop(self) -> Message:
        message = self._messages.popleft()
        self._bytes -= len(message.payload)
        return message

    def end(self, error: ClientError | None = None) -> None:
        """Let nothing more come."""
        self.ended = True
        self.error = self.error or error
        self._notify()
