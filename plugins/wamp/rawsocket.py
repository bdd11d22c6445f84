"""WAMP over RawSocket ("RawSocket Transport"): a handshake of four octets each, then messages behind their length.

7F LS 00 00                 L: the longest message that one takes, 2 ** (9 + L) bytes; S: serializer
00 00 00 05 hello           type (0 message, 1 ping, 2 pong), length, payload
"""

from __future__ import annotations

import struct

from hubbub_plugins.wamp.codec import RAW_SOCKET, Codec, Malformed

MAGIC = 0x7F
MESSAGE, PING, PONG = range(3)
_UNSUPPORTED, _RESERVED = b"\x7f\x10\0\0", b"\x7f\x30\0\0"
_SHIFT, _MOST = 9, 15
_HEAD = 4  # bytes
_read_head = struct.Struct(">I").unpack_from


class RawSocket:
    """What comes in on one connection, and how what goes out is framed.

    codec   of the client, None: its handshake hasn't come
    most    bytes of the longest message that the client takes
    answer  what the handshake is answered with
    """

    __slots__ = ("answer", "codec", "most", "_buffer", "_longest", "_nibble")

    def __init__(self, longest: int) -> None:
        """`longest`: bytes of the longest message from the client."""
        self.answer = b""
        self.codec: Codec | None = None
        self.most = 0
        self._buffer = bytearray()
        self._nibble = min(_MOST, max(0, (longest - 1).bit_length() - _SHIFT))
        self._longest = min(longest, (1 << 24) - 1)

    def held(self) -> int:
        """Return how many bytes wait for more."""
        return len(self._buffer)

    def feed(self, data: bytes) -> tuple[list[tuple[int, bytes]], Malformed | None]:
        """Return type and payload of what `data` completes, and what is wrong behind that."""
        buffer = self._buffer
        if self.codec is not None and not buffer:  # whole frames, mostly
            found, at, error = self._frames(data, 0)
            if error is None and at < len(data):
                buffer += data[at:]
            return found, error
        buffer += data
        at = 0
        if self.codec is None:
            if len(buffer) < _HEAD:
                return [], None
            error = self._handshake(bytes(buffer[:_HEAD]))
            if error is not None:
                return [], error
            at = _HEAD
        found, at, error = self._frames(buffer, at)
        del buffer[: len(buffer) if error is not None else at]
        return found, error

    def _frames(self, data: bytes | bytearray, at: int) -> tuple[list[tuple[int, bytes]], int, Malformed | None]:
        """Return the whole frames from an index on, where they end, and what is wrong there."""
        found: list[tuple[int, bytes]] = []
        have = len(data)
        while have - at >= _HEAD:
            (head,) = _read_head(data, at)
            kind, size = head >> 24, head & 0xFFFFFF
            if kind > PONG:
                return found, at, Malformed("a frame of RawSocket has an unknown type")
            if size > self._longest:
                return found, at, Malformed(f"a message has more than {self._longest} bytes", code="too-long")
            if have - at - _HEAD < size:
                break
            at += _HEAD + size
            found.append((kind, bytes(data[at - size : at])))
        return found, at, None

    def _handshake(self, head: bytes) -> Malformed | None:
        self.codec = RAW_SOCKET.get(head[1] & 15)
        self.most = min(1 << (_SHIFT + (head[1] >> 4)), (1 << 24) - 1)
        if head[0] != MAGIC:
            return Malformed("a connection of RawSocket begins with 7F")
        if head[2:] != b"\0\0":
            self.answer = _RESERVED
            return Malformed("the last two octets of the handshake are reserved")
        if self.codec is None:
            self.answer = _UNSUPPORTED
            return Malformed("that serializer is unknown: there are 1 (JSON), 2 (MessagePack) and 3 (CBOR)")
        self.answer = bytes((MAGIC, self._nibble << 4 | head[1] & 15, 0, 0))
        return None


def framed(unit: bytes, kind: int = MESSAGE) -> bytes:
    """Put the head of a frame before a message."""
    return (kind << 24 | len(unit)).to_bytes(_HEAD, "big") + unit
