"""The log lines of what is dialled again and again."""

from __future__ import annotations

import math
from typing import Any

from twisted.logger import Logger, LogLevel

from hubbub import limits


class ConnectorLog:
    """Tells the log how it stands with a connector: each change once, and no more than limits.CONNECTOR_LOG_LINES.

    Lines begin with `id`.
    """

    log = Logger(namespace="hubbub.connect")

    def __init__(self, reactor: Any, id: str) -> None:
        self._reactor = reactor
        self._id = id
        self._said = self._wanted = ""
        self._level = LogLevel.info
        self._unlogged = -1  # changes since the last line, without the one that is logged next
        self._lines = 0
        self._since = -math.inf
        self._timer: Any = None

    def tell(self, text: str, level: LogLevel = LogLevel.warn) -> None:
        """It stands so now."""
        if text != self._wanted:
            self._wanted, self._level = text, level
            self._unlogged += 1
            if self._timer is None:
                self._log()

    def stop(self) -> None:
        """Say no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _log(self) -> None:
        self._timer = None
        now = self._reactor.seconds()
        if now >= self._since + limits.CONNECTOR_LOG_SECONDS:
            self._since, self._lines = now, 0
        if self._lines >= limits.CONNECTOR_LOG_LINES:
            self._timer = self._reactor.callLater(self._since + limits.CONNECTOR_LOG_SECONDS - now, self._log)
            return
        if self._wanted == self._said and not self._unlogged:
            return
        more = f" ({self._unlogged} changes before that)" if self._unlogged > 0 else ""
        self._lines += 1
        self._said, self._unlogged = self._wanted, -1
        text = self._said + more
        self.log.emit(self._level, "{id}: {what()}", id=self._id, what=lambda: text)
