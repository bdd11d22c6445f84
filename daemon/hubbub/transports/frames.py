"""Frames of WebSocket (RFC 6455 section 5), as far as hubbub makes and reads them itself.

Going out, all: hubbub's messages are whole, uncompressed and unmasked. Coming in, those that nearly every client sends:
whole, masked, of a moderate size. Whatever else comes is Autobahn's.
"""

from __future__ import annotations

from typing import NamedTuple

from hubbub.transports.masks import mask, unmask

TEXT, BINARY = 0x81, 0x82  # FIN and opcode
_MASKED = 0x80
_CLOSE, _LAST_CONTROL = 0x88, 0x8F


def frame(data: bytes, first: int) -> bytes:
    """Put a server's frame around one message (section 5.2); `first` is FIN and opcode."""
    size = len(data)
    if size < 126:
        return bytes((first, size)) + data
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + data
    return bytes((first, 127)) + size.to_bytes(8, "big") + data


def masked_frame(data: bytes, first: int, key: bytes) -> bytes:
    """Put a client's frame around one message; `key` is 4 unpredictable bytes (section 5.3)."""
    size = len(data)
    if size < 126:
        head = bytes((first, _MASKED | size))
    elif size < 65536:
        head = bytes((first, _MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, _MASKED | 127)) + size.to_bytes(8, "big")
    return head + key + mask(data, key)


def text_frame(data: bytes) -> bytes:
    """Put a server's frame around a text message."""
    return frame(data, TEXT)


class Read(NamedTuple):
    """What a FrameReader found.

    found  in order, messages as (payload, whether it is text), and whole control frames as (bytes, None)
    plain  whether there are no control frames among them
    other  from the first frame on that this reader leaves to Autobahn; empty: nothing
    """

    found: list[tuple[bytes, bool | None]]
    other: bytes
    plain: bool


class FrameReader:
    """Takes whole masked frames of up to `longest` or 65,535 bytes; what two reads don't complete is Autobahn's."""

    __slots__ = ("_longest", "_rest")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""

    def read(self, data: bytes) -> Read:
        """Read what `data` completes; the beginning of one frame may wait for the next call."""
        waited = bool(self._rest)
        if waited:
            data, self._rest = self._rest + data, b""
        found: list[tuple[bytes, bool | None]] = []
        at, end, plain = 0, len(data), True
        while end - at >= 2:
            first, size = data[at], data[at + 1] - _MASKED
            start = at + 6
            if size < 0 or (first != TEXT and first != BINARY and not _is_control(first, size)):
                return Read(found, data[at:], plain)
            if size > 125:
                if size == 127:
                    return Read(found, data[at:], plain)
                start = at + 8
                size = int.from_bytes(data[at + 2 : at + 4], "big")
                if end - at < 4:
                    break
                if size < 126 or size > self._longest:  # the minimal number of bytes must be used
                    return Read(found, data[at:], plain)
            if start + size > end:
                break
            if first > BINARY:
                found.append((data[at : start + size], None))
                plain = False
            else:
                payload = unmask(data, start, size)
                if first == TEXT and not payload.isascii() and not _is_utf8(payload):
                    return Read(found, data[at:], plain)
                found.append((payload, first == TEXT))
            at = start + size
        if at == 0 and waited:
            return Read(found, data, plain)
        self._rest = data[at:]
        return Read(found, b"", plain)


def _is_control(first: int, size: int) -> bool:
    return _CLOSE <= first <= _LAST_CONTROL and size < 126


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
