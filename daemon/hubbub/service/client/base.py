"""What a client of the command line can do, and what can go wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from hubbub.errors import ConfigError


class Lost(ConfigError):
    """There is no connection, or no more."""


class Refused(ConfigError):
    """The other side says no: `code` is one of errors.CODES."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(slots=True)
class Received:
    """A message. `unit`: the JSON object that it came as, or nothing."""

    topic: str
    payload: bytes
    retained: bool = False
    time: float | None = None
    unit: bytes = b""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is published: `json` says that the payload is JSON."""

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 0
    json: bool = False


class Client(Protocol):
    """One connection. Each method raises Lost or Refused."""

    def publish(self, message: Outgoing) -> None:
        """Publish; the answer may be read later."""

    def settle(self) -> None:
        """Wait until all that was published has its answer."""

    def subscribe(self, filters: Sequence[str], qos: int, since: float | None = None) -> Iterator[Received | int]:
        """Yield messages; an int is how many were lost in between.

        since  begin with those that the history has of the last so many seconds; an int of 0: it doesn't have all
        """

    def request(self, message: Outgoing, seconds: float) -> bytes:
        """Return the reply."""

    def close(self) -> None:
        """Close the connection."""
