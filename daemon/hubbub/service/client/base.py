"""What a client of the command line can do, and what can go wrong."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from hubbub.client.address import Address
from hubbub.errors import ConfigError

_UNTRUSTED = (18, 19, 20, 21)  # X509_V_ERR_* of chains whose end isn't known
_TLS_ERRORS = {
    "CERTIFICATE_REQUIRED": "it wants a certificate of yours: --cert FILE",
    "HANDSHAKE_FAILURE": "no TLS handshake; it may want a certificate of yours: --cert FILE",
    "UNKNOWN_CA": "it doesn't know the authority of the certificate that --cert names",
    "BAD_CERTIFICATE": "it doesn't accept the certificate that --cert names",
    "WRONG_VERSION_NUMBER": "it doesn't speak TLS on this port",
    "RECORD_LAYER_FAILURE": "it doesn't speak TLS on this port",
}  # fmt: skip
"""The ends of OpenSSL's names of errors, and what they mean for the caller of a command."""


class Lost(ConfigError):
    """There is no connection, or no more."""

    @classmethod
    def of(cls, address: Address, error: Exception, connection: socket.socket | None = None) -> Lost:
        """Say what has gone wrong with the connection to `address`, and for TLS which option may help."""
        return cls(f"{address}: {_words(_alert(error, connection))}")


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


def _alert(error: Exception, connection: socket.socket | None) -> Exception:
    """Return the alert that a server has sent, if it came behind the handshake (TLS 1.3) and a write failed first."""
    says_why = isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError)
    if isinstance(connection, ssl.SSLSocket) and not says_why:
        try:
            connection.settimeout(1)
            connection.recv(1)
        except ssl.SSLError as alert:
            return alert
        except OSError:
            pass
    return error


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "; --ca FILE names the certificate of its authority" if error.verify_code in _UNTRUSTED else ""
        return f"its certificate isn't accepted: {error.verify_message.rstrip('.')}{hint}"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        return next((says for end, says in _TLS_ERRORS.items() if reason.endswith(end)), str(error))
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
