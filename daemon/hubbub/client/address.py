"""URLs of hubs and brokers: tcp://, udp://, ws://, wss://, mqtt://, mqtts://, http://, https://."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hubbub.errors import ConfigError
from hubbub.option import host_port, shown

PORTS = {
    "tcp": 6999, "udp": 6999, "ws": 80, "wss": 443, "mqtt": 1883, "mqtts": 8883, "http": 80, "https": 443,
}  # fmt: skip
SECURE = ("wss", "mqtts", "https")
STAYING = ("tcp", "ws", "wss")  # that clients speak who stay connected


@dataclass(frozen=True, slots=True)
class Address:
    """Where a client connects, and as whom.

    path    of a WebSocket or HTTP, with its query
    ca      the file with the certificates to trust, or None: those of the system
    cert    the file with the client's own certificate, or None; key: with its private key, None: the same file
    seconds how long an answer may take
    """

    scheme: str
    host: str
    port: int
    path: str = "/"
    user: str | None = None
    password: str | None = None
    token: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    seconds: float = 10.0

    def __str__(self) -> str:
        return f"{self.scheme}://{host_port(self.host, self.port)}"

    def tls(self) -> ssl.SSLContext | None:
        """Return how TLS is spoken, or None. Raises ConfigError."""
        if self.scheme not in SECURE:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise ConfigError(f"{self.ca}: {error.strerror or error}") from None
        if self.ca is not None:
            # Python 3.13 would refuse what `openssl x509 -req` signs, without RFC 5280's key identifiers
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key)
            except OSError as error:
                files = self.cert if self.key is None else f"{self.cert}, {self.key}"
                raise ConfigError(f"{files}: {_why(error)}") from None
        return context


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "this isn't a certificate in PEM and its private key, which a file of its own may have: key"
    return error.strerror or str(error)


def parse(
    url: str,
    password_file: str | None = None,
    token_file: str | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
) -> Address:
    """Read a URL. Raises ConfigError."""
    if key is not None and cert is None:
        raise ConfigError(f"{key}: a private key needs its certificate")
    kind, colon, rest = url.partition(":")
    if colon and kind in PORTS and not rest.startswith("//"):
        raise ConfigError(f"{shown(url)}: did you mean {kind}://{shown(rest)}?")
    try:
        parts = urlsplit(url if "://" in url else f"tcp://{url}")
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{shown(url)}: a URL is SCHEME://HOST:PORT; {error}") from None
    if parts.scheme not in PORTS or not parts.hostname:
        meant = ", with TLS mqtts or wss" if parts.scheme in ("tls", "ssl") else ""
        raise ConfigError(f"{shown(url)}: a URL is SCHEME://HOST:PORT, SCHEME one of {', '.join(PORTS)}{meant}")
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else _secret(password_file)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if password is not None and user is None:
        raise ConfigError(f"{shown(url)}: a password needs its user, as in {parts.scheme}://USER@{parts.hostname}")
    return Address(
        parts.scheme, parts.hostname, PORTS[parts.scheme] if port is None else port, path,
        user, password, _secret(token_file), ca, cert, key,
    )  # fmt: skip


def located(url: str, token: str | None, ca: str | None, cert: str | None, key: str | None) -> Address:
    """Read the URL of a hub for a client that stays connected. Raises ConfigError, for a file of TLS too."""
    address = replace(parse(url, ca=ca, cert=cert, key=key), token=token)
    if address.scheme not in STAYING:
        raise ConfigError(f"{shown(url)}: the scheme is one of {', '.join(STAYING)}")
    address.tls()
    return address


def _secret(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return Path(file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {getattr(error, 'strerror', None) or 'it is no text'}") from None
