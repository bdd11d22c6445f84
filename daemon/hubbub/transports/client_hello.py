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


class ClientHello:
    """The ClientHello of one connection, as its bytes come: each is looked at once."""

    __slots__ = ("_message", "_record", "_size")

    def __init__(self) -> None:
        self._message = bytearray()  # what the records so far have brought
        self._record = bytearray()  # the one that isn't whole yet
        self._size = 0

    def offered(self, data: bytes) -> Sequence[str] | None:
        """Take what has come, and return the protocols that the client offers, in its order.

        None: the ClientHello isn't whole yet. Empty: it uses no ALPN, or isn't a TLS client.
        """
        self._size += len(data)
        self._record += data
        try:
            whole = self._join()
            if whole is None:
                return None if self._size < limits.CLIENT_HELLO_BYTES else ()
            return [name.decode("latin-1") for name in _names(bytes(self._message))] if whole else ()
        except _Short:
            return ()

    def _join(self) -> bool | None:
        """Join whole records (RFC 8446 section 5.1). None: more has to come. False: it isn't a ClientHello."""
        record, message, at = self._record, self._message, 0
        whole: bool | None = None
        while whole is None and at < len(record):
            end = at + 5 + int.from_bytes(record[at + 3 : at + 5], "big")
            if record[at] != _HANDSHAKE:
                whole = False
            elif len(record) < at + 5 or len(record) < end:
                break
            else:
                message += record[at + 5 : end]
                at = end
                if message and message[0] != _CLIENT_HELLO:
                    whole = False
                elif len(message) >= 4 and len(message) - 4 >= int.from_bytes(message[1:4], "big"):
                    whole = True
        del record[:at]
        return whole


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
