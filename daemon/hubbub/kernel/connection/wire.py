"""The end of a link's transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hubbub.dialect import Dialect
from hubbub.errors import Refusal


class Proof(Protocol):
    """Address validation of a UDP client (RFC 9000 section 8.1 has the same problem)."""

    def token(self) -> str: ...
    def check(self, token: str) -> bool: ...


class Wire(Protocol):
    """Writes, reads and closes for one link.

    proof  None if the transport itself validates the address
    """

    proof: Proof | None

    def wrapper(self, dialect: type[Dialect]) -> Callable[[bytes], bytes] | None:
        """Return what puts the transport's own frame around a unit of `dialect`; the same function each time."""

    def write(self, data: bytes) -> object:
        """Send bytes; over UDP one datagram, and return whether it was sent."""

    def reading(self, on: bool) -> None:
        """Go on or stop reading."""

    def unsent(self) -> int:
        """Return how many bytes wait on this machine: any change is progress."""

    def there(self) -> bool:
        """Return whether a client that has ended its input can still receive."""

    def ping(self) -> bool:
        """Send a ping of the transport; False if it has none."""

    def close(self, reason: str, refusal: Refusal | None) -> None:
        """Close once everything is sent."""

    def reject(self, last: bytes, refusal: Refusal) -> None:
        """Send `last` and close, before there is a link."""

    def abort(self) -> None:
        """Close at once."""
