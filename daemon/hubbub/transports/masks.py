"""The mask that a WebSocket's client puts on what it sends (RFC 6455 section 5.3).

Compiled, it is taken off eight bytes at a time. Interpreted, as one long number, which is the fastest there is for a
short frame, or by Autobahn's masker, whose call costs more than a kilobyte does.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]
from mypy_extensions import i64, u8

with suppress(ImportError):  # it comes with the compiler, and only what that has made calls it
    from librt.strings import BytesWriter, read_i32_le, read_i64_le, write_i64_le

_COMPILED = not __file__.endswith(".py")
_SHORT = 1024  # bytes up to which numbers are faster than a call into C
_WORD: Final = 8  # bytes


def unmask(data: bytes, start: int, size: int) -> bytes:
    """Take the mask off `size` bytes of `data` from `start`; its 4 bytes stand right before them."""
    if _COMPILED:
        return _by_words(data, start, size)
    return mask(data[start : start + size], data[start - 4 : start])


def mask(data: bytes, key: bytes) -> bytes:
    """Put a mask of 4 bytes on `data`, or take it off."""
    size = len(data)
    if size > _SHORT:
        masked: bytes = create_xor_masker(key, size).process(data)
        return masked
    repeated = (key * ((size + 3) // 4))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def _by_words(data: bytes, start: int, size: int) -> bytes:
    at: i64 = start
    end: i64 = at + size
    key: i64 = i64(read_i32_le(data, at - 4)) & 0xFFFFFFFF
    word: i64 = key | key << 32
    out = BytesWriter()
    while at + _WORD <= end:
        write_i64_le(out, read_i64_le(data, at) ^ word)
        at += _WORD
    while at < end:
        out.append(u8((i64(data[at]) ^ word) & 0xFF))
        word >>= 8
        at += 1
    return out.getvalue()
