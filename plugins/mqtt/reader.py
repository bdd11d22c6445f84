"""Cuts a stream into control packets by their remaining length (MQTT 5.0 sections 2.1.4 and 1.5.5)."""

from __future__ import annotations

from hubbub_plugins.mqtt.codes import PACKET_TOO_LARGE
from hubbub_plugins.mqtt.wire import Malformed


class Reader:
    """Holds an incomplete packet between two calls. `max_size`: bytes of the longest body."""

    __slots__ = ("_max_size", "_need", "_rest")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._need = 2  # bytes until the packet can be complete
        self._rest = bytearray()

    def feed(self, data: bytes) -> tuple[list[tuple[int, bytes]], Malformed | None]:
        """Return the packets that `data` completes, first byte and body each, and the error after them."""
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._need:
                return [], None
            data = bytes(rest)
            rest.clear()
        self._need = 2
        found: list[tuple[int, bytes]] = []
        at, end, max_size = 0, len(data), self._max_size
        while end - at >= 2:
            size, body = data[at + 1], at + 2
            if size >= 0x80:
                size, body = self._length(data, at + 1)
                if not body:
                    break
                if size < 0:
                    return found, Malformed("the remaining length of a packet is malformed")
            if size > max_size:
                return found, Malformed(f"a packet has more than {max_size} bytes", PACKET_TOO_LARGE)
            if end - body < size:
                self._need = body - at + size
                break
            found.append((data[at], data[body : body + size]))
            at = body + size
        rest += data[at:]
        return found, None

    def _length(self, data: bytes, at: int) -> tuple[int, int]:
        """Return a remaining length, -1 if it is malformed, and where the body begins, 0 if bytes are missing."""
        value = 0
        for width in range(4):
            if at + width >= len(data):
                return 0, 0
            byte = data[at + width]
            value |= (byte & 0x7F) << 7 * width
            if byte < 0x80:
                return (-1 if width and not byte else value), at + width + 1
        return -1, at + 4

    def held(self) -> str:
        """Describe the incomplete packet; empty: there is none."""
        return f"{len(self._rest)} bytes of a packet held" if self._rest else ""
