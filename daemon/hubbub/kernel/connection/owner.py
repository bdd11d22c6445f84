"""What an outbox knows of its link."""

from __future__ import annotations

from typing import Protocol


class Writer(Protocol):
    """The wire of a link (connection.wire.Wire)."""

    def write(self, data: bytes) -> object: ...


class Owner(Protocol):
    """The link of an outbox."""

    def gap(self, n: int) -> bytes:
        """Encode the notice that n messages were dropped; empty: the dialect has none."""

    def cut(self, reason: str) -> None:
        """Cut the link, and count why."""

    def on_overflow(self) -> None:
        """The outbox is full, and the policy is to disconnect."""

    def fail(self, error: Exception) -> None:
        """The dialect has raised: close."""


class NoOwner:
    """The owner of an outbox whose link has gone."""

    def gap(self, n: int) -> bytes:
        return b""

    def cut(self, reason: str) -> None:
        pass

    def on_overflow(self) -> None:
        pass

    def fail(self, error: Exception) -> None:
        pass


NO_OWNER = NoOwner()
