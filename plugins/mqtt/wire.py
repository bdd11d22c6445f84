"""The data types of MQTT (MQTT 5.0 section 1.5): integers, variable byte integers, strings, binary data."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

TEXT_BYTES = 65_535  # what a length of two bytes can say (section 1.5.4)

MALFORMED, PROTOCOL_ERROR = 0x81, 0x82


@mypyc_attr(allow_interpreted_subclasses=True)
class Malformed(Exception):
    """What a peer sent breaks the specification.

    code     the reason code (MQTT 5.0 section 2.4) to close with
    reason   a sentence for people
    version  of the protocol, where it is a CONNECT that has come as far as to say it, else 0
    """

    def __init__(self, reason: str, code: int = MALFORMED, version: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.version = version


class Cursor:
    """Reads the types one after the other. Raises Malformed where the data ends too early."""

    __slots__ = ("data", "at", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        at, self.at = self.at, self.at + size
        if self.at > self.end:
            raise Malformed("a packet ends before what it announces")
        return self.data[at : self.at]

    def u8(self) -> int:
        """Return an integer of one byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Return an integer of two bytes (section 1.5.2)."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Return an integer of four bytes (section 1.5.3)."""
        return int.from_bytes(self.take(4), "big")

    def varint(self) -> int:
        """Return a variable byte integer (MQTT-1.5.5-1: in the fewest bytes)."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    raise Malformed("a variable byte integer is longer than it needs to be")
                return value
        raise Malformed("a variable byte integer has more than four bytes")

    def binary(self) -> bytes:
        """Return binary data (section 1.5.6)."""
        return self.take(self.u16())

    def text(self) -> str:
        """Return a string (MQTT-1.5.4-1: UTF-8 without surrogates; MQTT-1.5.4-2: without U+0000)."""
        try:
            found = self.binary().decode()
        except UnicodeDecodeError:
            raise Malformed("a string isn't UTF-8") from None
        if "\0" in found:
            raise Malformed("a string contains U+0000")
        return found

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(self.end - self.at)

    def done(self) -> bool:
        """Tell whether nothing is left."""
        return self.at >= self.end


def varint(value: int) -> bytes:
    """Write a variable byte integer (section 1.5.5)."""
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def binary(data: bytes) -> bytes:
    """Write binary data. Raises ValueError for more than 65,535 bytes."""
    if len(data) > TEXT_BYTES:
        raise ValueError(f"{len(data)} bytes don't fit into a field of {TEXT_BYTES}")
    return len(data).to_bytes(2, "big") + data


def text(value: str) -> bytes:
    """Write a string. Raises ValueError for what none may have (MQTT-1.5.4-1, MQTT-1.5.4-2), or too many bytes."""
    if "\0" in value:
        raise ValueError("U+0000 is in no string")
    return binary(value.encode())
