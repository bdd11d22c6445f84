"""A handler that asks a device again and again, for devices that only speak when they are asked."""

from __future__ import annotations

import random
from typing import Any

from twisted.logger import Logger

from hubbub import ConfigError, Handler, Refusal, option
from hubbub.errors import BadTopic
from hubbub.option import duration
from hubbub.topics import check_topic

MAX_WAIT = 0.9  # of the time between two beats, for a reply: a beat that got none doesn't hold up the next one
LONGEST = 60.0  # seconds: the longest that a request may wait


def interval(raw: object) -> float:
    """Read a duration of more than 0, in seconds."""
    seconds = duration(raw)
    if seconds <= 0:
        raise ValueError("expected more than 0, such as 1s or 5min")
    return seconds


def octets(raw: object) -> bytes:
    """Read bytes from their hexadecimal digits."""
    try:
        return bytes.fromhex(str(raw))
    except ValueError:
        raise ValueError("expected hexadecimal digits, two for each byte, such as 0103000a") from None


class Poll(Handler):
    """Publish a command every so often, as a request: poll:topic=plant/7/down:payload=READ:every=1s.

    What the device answers is published on its own link's topic. The link wants `answer=`, so that commands take turns.
    A beat is skipped while the one before it waits, so that nothing piles up. The first comes after a part of the time
    by chance, so that many of these don't ask all at once.
    """

    log = Logger()

    topic = option("", str, "the topic of the device's commands, its subscribe=")
    payload = option("", str, "the command, as text")
    hex = option(b"", octets, "the command, as hexadecimal digits")
    every_ = option(1.0, interval, "the time from one command to the next")

    def __init__(self) -> None:
        if not self.topic:
            raise ConfigError("poll: it needs topic=, the topic of the device's commands")
        if self.payload and self.hex:
            raise ConfigError("poll: payload= and hex= are given, but a command is one of them")
        try:
            check_topic(self.topic)
        except BadTopic as refusal:
            raise ConfigError(f"poll: topic={self.topic}: {refusal.reason}") from None
        self._command: Any = self.hex or self.payload
        self._asking = False
        self._trouble = ""

    def start(self) -> None:
        """Begin after a part of the time by chance."""
        self.later(random.random() * self.every_, self._begin)  # noqa: S311  no secret

    def _begin(self) -> Any:
        self.every(self.every_, self._ask)
        return self._ask()

    async def _ask(self) -> None:
        if self._asking:
            return
        self._asking = True
        try:
            await self.request(self.topic, self._command, min(MAX_WAIT * self.every_, LONGEST))
        except Refusal as refusal:
            self._tell(refusal.reason)
        else:
            self._tell("")
        finally:
            self._asking = False

    def _tell(self, trouble: str) -> None:
        """Log what is wrong when it begins, and that it is over: a device may be off for a week."""
        if trouble and not self._trouble:
            self.log.warn("{topic}: {reason}; polling goes on", topic=self.topic, reason=trouble)  # noqa: G010  Twisted's name
        elif self._trouble and not trouble:
            self.log.info("{topic}: the device answers again", topic=self.topic)
        self._trouble = trouble
