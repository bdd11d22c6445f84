"""The messages of one subscription that the program hasn't taken yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from hubbub.client.errors import ClientError
from hubbub.client.message import Message
from hubbub.topics import matches, unshared


class Feed:
    """A bounded queue: when it is full, the oldest message gives way, and the next one says how many are missing.

    notify  is called when something has come, or the feed has ended
    """

    def __init__(self, filters: Sequence[str], size: int, notify: Callable[[], None]) -> None:
        self.filters = tuple(filters)
        self.error: ClientError | None = None
        self.ended = False
        self.begun = False  # the hub has taken all of its filters at least once
        self._matched = [unshared(filter) for filter in filters]
        self._messages: deque[Message] = deque()
        self._missed = 0
        self._begin = len(filters)  # answers that it waits for
        self._size = size
        self._notify = notify

    def matches(self, topic: str) -> bool:
        """Tell whether a message of `topic` belongs here."""
        return any(matches(filter, topic) for filter in self._matched)

    def begin(self) -> None:
        """The hub has taken one of the filters."""
        self._begin -= 1
        if not self._begin:
            self.begun = True
            self._notify()

    def put(self, message: Message) -> None:
        """Add a message."""
        if len(self._messages) >= self._size:
            self._missed += 1 + self._messages.popleft().missed
        self._messages.append(message)
        self._notify()

    def miss(self, count: int) -> None:
        """Count messages that the hub has dropped."""
        self._missed += count

    def take(self) -> Message | None:
        """Return the next message, or None. Raises the error that has ended the feed, after the last message."""
        if self._messages:
            message = self._messages.popleft()
            if self._missed:
                message = replace(message, missed=message.missed + self._missed)
                self._missed = 0
            return message
        if self.error is not None:
            raise self.error.with_traceback(None)  # else it keeps that of each call
        return None

    def end(self, error: ClientError | None = None) -> None:
        """Let nothing more come."""
        self.ended = True
        self.error = self.error or error
        self._notify()
