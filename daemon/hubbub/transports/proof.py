"""Address validation over UDP: a client proves that it receives at its address."""

from __future__ import annotations

import base64
import hmac

from hubbub import limits
from hubbub.hashed_counter import HashedCounter

_CHARACTERS = 7  # of base64url: 42 bits, short enough to be typed


class Tokens:
    """The tokens of addresses: a keyed hash of address, port and epoch, so that asking for one leaves no state.

    secret  random bytes
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._failures = HashedCounter(secret, b"failures", limits.TOKEN_FAILURE_TABLE)

    def token(self, host: str, port: int, now: float) -> str:
        """Return the token of that address in the epoch of `now`, in seconds."""
        return self._token(host, port, epoch(now)).decode()

    def check(self, host: str, port: int, token: str, now: float, known: bool = False) -> bool | None:
        """Tell whether `token` is that address's, of this epoch or the one before.

        None: that address has sent too many wrong ones and is ignored in this epoch. A `known` one was validated before
        and is never ignored: a sender that forges its address would silence it.
        """
        current, address = epoch(now), f"{host} {port}"
        if not known and self._failures.count(address, current) >= limits.TOKEN_FAILURES:
            return None
        given = token.encode(errors="replace")
        for one in (current, current - 1):
            if hmac.compare_digest(given, self._token(host, port, one)):
                return True
        self._failures.add(address, current)
        return False

    def _token(self, host: str, port: int, epoch: int) -> bytes:
        digest = hmac.digest(self._secret, f"token|{host}|{port}|{epoch}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:6])[:_CHARACTERS]


def epoch(now: float) -> int:
    """Return the number of the epoch that `now`, in seconds, lies in."""
    return int(now // limits.TOKEN_SECONDS)
