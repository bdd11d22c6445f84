"""Cuts a stream into control packets (MQTT 5.0 section 2.1)."""

from __future__ import annotations

from hubbub_plugins.mqtt.wire import Malformed

TOO_LARGE = 0x95


class Reader:
    """Packets behind their length, a variable byte integer. `most`: bytes of the longest body."""

    __slots__ = ("most", "_need", "_rest")

    def __init__(self, most: int) -> None:
        self.most = most
        self._need = 2  # bytes until it is worth a look
        self._rest = bytearray()

    def feed(self, data: bytes) -> tuple[list[tuple[int, bytes]], Malformed | None]:
        """Return what `data` completes, first byte and body each, and what is wrong behind them."""
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._need:
                return [], None
            data = bytes(rest)
            rest.clear()
        self._need = 2
        found: list[tuple[int, bytes]] = []
        at, end, most = 0, len(data), self.most
        while end - at >= 2:
            size, body = data[at + 1], at + 2
            if size >= 0x80:
                size, body = self._length(data, at + 1)
                if not body:
                    break
                if size < 0:
                    return found, Malformed("the length of a packet isn't as it must be")
            if size > most:
                return found, Malformed(f"a packet has more than {most} bytes", TOO_LARGE)
            if end - body < size:
                self._need = body - at + size
                break
            found.append((data[at], data[body : body + size]))
            at = body + size
        rest += data[at:]
        return found, None

    def _length(self, data: bytes, at: int) -> tuple[int, int]:
        """Read a length: it, and where the body begins, or 0 while bytes of it are missing. -1: it is malformed."""
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
        """Say what makes no packet yet; empty: nothing is left."""
        return f"{len(self._rest)} bytes of a packet held" if self._rest else ""
