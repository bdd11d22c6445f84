"""Messages that may have more parts than hubbub takes: these are counted before they are made.

A megabyte of lists in one another is a million Python objects, and takes a tenth of a second. Of a message with too
many parts the elements before them are read, so that it can be answered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cbor2
import msgpack  # type: ignore[import-untyped]
import msgspec

from hubbub import limits

TOO_MANY: list[Any] = []
"""Stands for an element with too many parts, and for those behind it."""

DICTIONARY = 5  # what one counts as beside its values
_JSON_DICTIONARY, _JSON_LIST = b"{", b"["
_CBOR_HEADS = bytes(range(0x80, 0xDC))  # of lists, dictionaries and tags
_BREAK, _INDEFINITE = 0xFF, 31
_BYTES, _TEXT, _LIST, _DICTIONARY, _TAG = range(2, 7)  # major types of RFC 8949 section 3.1
_read_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_json = msgspec.json.Decoder().decode


class _TooMany(Exception):
    """There are more parts than limits.WAMP_PARTS."""


def is_small(data: bytes) -> bool:
    """Return whether a message has too few bytes for too many parts."""
    return len(data) <= limits.WAMP_PARTS


@lru_cache(maxsize=1)  # each serializer of a message's receivers asks
def json_parts(data: bytes) -> int:
    """Return what the lists and dictionaries of a JSON text count as."""
    found = _brackets(data)
    return found if found <= limits.WAMP_PARTS else _brackets(_without_strings(data))


def _brackets(data: bytes) -> int:
    return data.count(_JSON_LIST) + DICTIONARY * data.count(_JSON_DICTIONARY)


def _without_strings(data: bytes) -> bytes:
    return b"".join(data.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


def read_json(data: bytes) -> list[Any] | None:
    """Read a message with too many parts in JSON; None: it hasn't so many."""
    if json_parts(data) <= limits.WAMP_PARTS:
        return None
    found: list[Any] = []
    for raw in _read_elements(data):
        if _brackets(bytes(raw)) > limits.WAMP_PARTS:
            return [*found, TOO_MANY]
        found.append(_read_json(raw))
    return found


def read_msgpack(data: bytes) -> list[Any]:
    """Read a message in MessagePack."""
    left = limits.WAMP_PARTS

    def count(one: Any) -> Any:
        nonlocal left
        left -= 1 if type(one) is list else DICTIONARY
        if left < 0:
            raise _TooMany
        return one

    reader = msgpack.Unpacker(raw=False, list_hook=count, object_hook=count, max_buffer_size=len(data))
    reader.feed(data)
    found: list[Any] = []
    try:
        found.extend(reader.unpack() for _ in range(reader.read_array_header()))
    except _TooMany:
        return [*found, TOO_MANY]
    if reader.tell() != len(data):
        raise ValueError("something follows the message")
    return found


def read_cbor(data: bytes) -> list[Any] | None:
    """Read a message with many parts in CBOR; None: it hasn't so many."""
    if len(data) - len(data.translate(None, _CBOR_HEADS)) <= limits.WAMP_PARTS // DICTIONARY:
        return None
    walk = _Walk(data)
    found: list[Any] = []
    try:
        for start, end in walk.elements():
            found.append(cbor2.loads(data[start:end], strict_hashable_types=True))
    except _TooMany:
        return [*found, TOO_MANY]
    if walk.at != len(data):
        raise ValueError("something follows the message")
    return found


class _Walk:
    """Finds where the elements of an array end (RFC 8949 section 3), as far as limits.WAMP_PARTS allow.

    at  where it is
    """

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data
        self._left = limits.WAMP_PARTS

    def elements(self) -> Any:
        """Yield where each element begins and ends. Raises _TooMany, ValueError, IndexError."""
        kind, count = self._head()
        if kind != _LIST:
            raise ValueError("no array")
        while count:
            if count < 0 and self._data[self.at] == _BREAK:
                self.at += 1
                return
            count -= 1
            start = self.at
            self._skip()
            yield start, self.at

    def _head(self) -> tuple[int, int]:
        """Return major type and argument of what begins here; -1: its length is indefinite."""
        first = self._data[self.at]
        self.at += 1
        kind, value = first >> 5, first & 31
        if 24 <= value < 28:
            size = 1 << (value - 24)
            value = int.from_bytes(self._data[self.at : self.at + size], "big")
            self.at += size
        elif value == _INDEFINITE:
            value = -1
        return kind, value

    def _skip(self) -> None:
        """Pass one element; `needs` has how many items each open one still has, less than 0: until a break."""
        needs = [1]
        while needs:
            if not needs[-1]:
                needs.pop()
                continue
            if needs[-1] < 0 and self._data[self.at] == _BREAK:
                self.at += 1
                needs.pop()
                continue
            needs[-1] -= 1
            kind, value = self._head()
            self._left -= DICTIONARY if kind == _DICTIONARY else 1
            if self._left < 0:
                raise _TooMany
            if kind == _TAG:
                needs.append(1)
            elif kind == _LIST or (kind in (_BYTES, _TEXT) and value < 0):
                needs.append(value)
            elif kind == _DICTIONARY:
                needs.append(2 * value)
            elif kind in (_BYTES, _TEXT):
                self.at += value
