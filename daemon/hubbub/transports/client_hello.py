"""What a TLS client offers by ALPN (RFC 7301), read from its ClientHello: `ssl` has no way to refuse all of it."""

from __future__ import annotations

from collections.abc import Sequence

from hubbub import limits

NO_APPLICATION_PROTOCOL = b"\x15\x03\x03\0\2\2\x78"  # a fatal alert (RFC 8446 section 6, RFC 7301 section 3.2)
_HANDSHAKE, _CLIENT_HELLO, _ALPN = 22, 1, 16


class _Short(Exception):
    """There are fewer bytes than a length says."""


class _Cursor:
    """Reads vectors (RFC 8446 section 3.4) from bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        """Read so many bytes. Raises _Short."""
        end = self.at + size
        if end > len(self.data):
            raise _Short
        self.at, begin = end, self.at
        return self.data[begin:end]

    def number(self, size: int) -> int:
        """Read a number of so many bytes. Raises _Short."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Read a vector whose length has `size` bytes. Raises _Short."""
        return self.take(self.number(size))


def offered_protocols(data: bytes) -> Sequence[str] | None:
    """Return the protocols that a client offers, in its order; none if it uses no ALPN, or isn't a TLS client.

    data  all that the client has sent so far. None: its ClientHello isn't whole yet
    """
    try:
        hello = _hello(data)
    except _Short:
        return None if len(data) < limits.CLIENT_HELLO_BYTES else ()
    if hello is None:
        return ()
    try:
        return [name.decode("latin-1") for name in _names(hello)]
    except _Short:
        return ()


def _hello(data: bytes) -> bytes | None:
    """Join the records of a ClientHello (RFC 8446 section 5.1). None: it is something else. Raises _Short."""
    records, message = _Cursor(data), b""
    while True:
        if records.number(1) != _HANDSHAKE:
            return None
        records.take(2)  # a version
        message += records.vector(2)
        if message[:1] not in (b"", bytes([_CLIENT_HELLO])):
            return None
        if len(message) >= 4 and len(message) - 4 >= int.from_bytes(message[1:4], "big"):
            return message


def _names(hello: bytes) -> list[bytes]:
    """Return the names in the ALPN extension of a ClientHello (RFC 8446 section 4.1.2). Raises _Short."""
    body = _Cursor(hello)
    body.take(4 + 2 + 32)  # kind and length, version, random
    for size in (1, 2, 1):  # session id, cipher suites, compression methods
        body.vector(size)
    extensions = _Cursor(body.vector(2))
    while extensions.at < len(extensions.data):
        kind, content = extensions.number(2), _Cursor(extensions.vector(2))
        if kind == _ALPN:
            return _vectors(_Cursor(content.vector(2)))
    return []


def _vectors(names: _Cursor) -> list[bytes]:
    found = []
    while names.at < len(names.data):
        found.append(names.vector(1))
    return found
