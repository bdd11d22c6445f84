"""What JetStream needs of a connection to NATS."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from hubbub.errors import Refusal
from hubbub.nats_protocol.headers import read_headers

NO_HEADERS: Mapping[str, str] = {}


class Received(NamedTuple):
    """A message from NATS.

    reply    the subject of the answer, or ""
    headers  with `Status` and `Description` where the server says something by itself
    """

    subject: str
    payload: bytes
    reply: str = ""
    headers: Mapping[str, str] = NO_HEADERS

    @property
    def status(self) -> str:
        """What the server says by itself, as a number of three digits, or ""."""
        return self.headers.get("Status", "")


Take = Callable[[bytes, bytes, bytes, bytes], object]
"""Takes a message as it came: subject, reply subject, block of headers, payload; b"" is none."""


class Listening(Protocol):
    """A subscription."""

    def end(self) -> None:
        """End it: no message of it is handed over any more."""


class ConnectionWatcher(Protocol):
    """What wants to know of the connection."""

    def joined(self) -> None: ...
    def left(self) -> None: ...


class Connection(Protocol):
    """A connection to NATS, which comes back by itself when it is lost.

    watchers  are told when it is there, and when it is lost
    """

    watchers: list[ConnectionWatcher]

    @property
    def max_payload(self) -> int:
        """Bytes of a message with its headers that the server takes; 0 without a server."""

    def write(self, data: bytes) -> None:
        """Send whole operations, each of them one that the server takes. Without a connection they are lost."""

    def publish(self, subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Send a message. Without a connection, or if the server doesn't take one so long, it is lost."""

    def subscribe(self, subject: str, received: Callable[[Received], object]) -> Callable[[], object]:
        """Call `received` with each message on a subject, over later connections too. Returns what ends that."""

    def listen(self, subject: str, take: Take) -> Listening:
        """Call `take` with each message on a subject as it comes, undecoded."""

    def request(self, subject: str, payload: bytes, headers: Mapping[str, str] = NO_HEADERS) -> Deferred[Received]:
        """Send a message, and return the first answer. It fails with TimeoutError after CLUSTER_REQUEST_SECONDS."""


def new_inbox() -> str:
    """Return a subject for answers that no other has."""
    return f"$hubbub.inbox.{secrets.token_hex(11)}"  # which no filter of a client matches


def headers_of(block: bytes) -> Mapping[str, str]:
    """Return the headers of a block; those that can't be read are none."""
    try:
        return read_headers(block)[0] if block else NO_HEADERS
    except Refusal:
        return NO_HEADERS
