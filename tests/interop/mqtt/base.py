"""What a test asks of every MQTT client that people have, whatever its own words for it are."""

from __future__ import annotations

import queue
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

SECONDS = 20.0
V31, V311, V5 = 3, 4, 5
EXPIRY = 60  # seconds that a session is kept, where the version lets a client say so


@dataclass(frozen=True)
class At:
    """Where the hub is. `trust`: the authority, for TLS; `own`: the client's key and certificate in one file."""

    carrier: str
    host: str = ""
    port: int = 0
    path: str = ""
    trust: Path | None = None
    own: Path | None = None

    @property
    def secure(self) -> bool:
        return self.carrier in ("tls", "wss")

    @property
    def web(self) -> bool:
        return self.carrier in ("websocket", "wss")

    def context(self) -> ssl.SSLContext | None:
        if not self.secure:
            return None
        made = ssl.create_default_context(cafile=self.trust)
        if self.own is not None:
            made.load_cert_chain(self.own)
        return made


@dataclass(frozen=True)
class Said:
    """The properties of a message in version 5."""

    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None
    user: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Output:
    """A message that a client was given."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    said: Said = Said()


@dataclass(frozen=True)
class Wish:
    """How a client connects: version, client identifier, whether its session is kept, its will at quality 1."""

    version: int
    name: str = ""
    keep: bool = False
    will: tuple[str, bytes] | None = None


class Client(Protocol):
    """One client, connected once it is made.

    present  whether the hub had kept a session; None: this client doesn't tell
    """

    present: bool | None

    def __init__(self, at: At, wish: Wish) -> None: ...

    def subscribe(self, filter: str, qos: int) -> int:
        """Return what is granted, once it is."""

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, said: Said | None = None) -> None:
        """Return once the hub has it, as far as the quality lets one know."""

    def publish_all(self, topic: str, payloads: list[bytes], qos: int) -> None:
        """Don't wait for one before the next."""

    def next(self) -> Output: ...

    def end(self) -> None:
        """Say goodbye."""

    def die(self) -> None:
        """Go without a word."""


class Mailbox:
    """What a thread hears, for the test to take."""

    def __init__(self) -> None:
        self.queue: queue.Queue[Output] = queue.Queue()

    def next(self) -> Output:
        return self.queue.get(timeout=SECONDS)


class Closing:
    """Ends a client once, however that came about."""

    _over = False

    def end(self) -> None:
        if not self._over:
            self._over = True
            self._end(True)

    def die(self) -> None:
        if not self._over:
            self._over = True
            self._end(False)

    def next(self) -> Output:
        """Return the next message."""
        return self.next_all(1)[0]

    def next_all(self, count: int) -> list[Output]:
        """Return so many messages; override one of the two."""
        return [self.next() for _ in range(count)]

    def _end(self, politely: bool) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
