"""What a client of the command line can do, and what can go wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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


class Begin(NamedTuple):
    """Where a subscription begins in the history: `name` is "since" (seconds) or "last" (messages of each topic)."""

    name: str
    value: float | int

    @property
    def text(self) -> str:
        """The value as MQTT and HTTP have it."""
        return f"{self.value:f}" if isinstance(self.value, float) else str(self.value)


class Client(Protocol):
    """One connection. Each method raises Lost or Refused."""

    def publish(self, message: Outgoing) -> None:
        """Publish; the answer may be read later."""

    def settle(self) -> None:
        """Wait until all that was published has its answer."""

    def subscribe(self, filters: Sequence[str], qos: int, begin: Begin | None = None) -> Iterator[Received | int]:
        """Yield messages, first those of the history from `begin` on; an int is how many were lost in between.

        An int of 0: the history doesn't have all.
        """

    def request(self, message: Outgoing, seconds: float) -> bytes:
        """Return the reply."""

    def close(self) -> None:
        """Close the connection."""
