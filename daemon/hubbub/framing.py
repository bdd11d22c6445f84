"""Readers that cut a stream into frames. Each has a maximum and says so by TooLong; none copies a frame twice.

    reader = EndReader(b"\\r\\n", max_frame=65536)
    reader.feed(b"T=21.5\\r\\nP=1.")    ->  [b"T=21.5"]
    reader.feed(b"02\\r\\n")            ->  [b"P=1.02"]
    reader.rest()                     ->  b""      what is left at the end of input

A reader that has raised TooLong is done with: its link closes.
"""

from __future__ import annotations

import re
from typing import Protocol

from hubbub.errors import HubbubError

LENGTHS = {"u8": (1, "big"), "u16be": (2, "big"), "u16le": (2, "little"), "u32be": (4, "big"), "u32le": (4, "little")}


class TooLong(HubbubError):
    """A frame is longer than its reader's maximum. `frames` are the whole frames before it."""

    def __init__(self, frames: list[bytes], limit: int) -> None:
        super().__init__(f"longer than {limit} bytes")
        self.frames = frames


class Reader(Protocol):
    """Cuts a stream into frames."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes. Raises TooLong."""

    def held(self) -> str:
        """Describe an incomplete frame; empty: there is none."""

    def rest(self) -> bytes:
        """Remove and return an incomplete frame."""


class EndReader:
    """Frames that end with a mark of one or more bytes. The mark isn't part of the frame.

    left  bytes of an incomplete frame
    """

    __slots__ = ("end", "max_frame", "left")

    def __init__(self, end: bytes, max_frame: int) -> None:
        self.end = end
        self.max_frame = max_frame
        self.left = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes. Raises TooLong."""
        rest = self.left
        if rest:
            # A mark may lie across the seam; nothing before it needs a second look.
            seen = max(0, len(rest) - len(self.end) + 1)
            rest += data
            if rest.find(self.end, seen) < 0:
                return self._none()
            data = bytes(rest)
            rest.clear()
        frames = data.split(self.end)
        last = frames.pop()
        if len(data) > self.max_frame:
            for at, frame in enumerate(frames):
                if len(frame) > self.max_frame:
                    raise TooLong(frames[:at], self.max_frame)
        if last:
            rest += last
            if len(last) >= self.max_frame + len(self.end):  # even if its last bytes begin a mark
                raise TooLong(frames, self.max_frame)
        return frames

    def _none(self) -> list[bytes]:
        if len(self.left) >= self.max_frame + len(self.end):
            raise TooLong([], self.max_frame)
        return []

    def held(self) -> str:
        """Say what makes no frame yet; empty: nothing is left."""
        return f"{len(self.left)} bytes held, no end mark" if self.left else ""

    def rest(self) -> bytes:
        """Take what is left: a last frame without its mark."""
        rest = bytes(self.left)
        self.left.clear()
        return rest


def cut_alike(data: bytes, head: bytes, size: int, end: bytes = b"") -> list[bytes]:
    """Return the payloads of whole units at the beginning of `data`, which have `size` bytes between `head` and `end`.

    One call of C cuts them all, where a reader takes some for each. Empty: there are none, or others among them.
    """
    whole = len(head) + size + len(end)
    stop = len(data) // whole * whole
    last = stop - whole
    if last < 0 or not data.startswith(head) or not data.startswith(head, last) or not data.endswith(end, 0, stop):
        return []
    payloads = data[len(head) : stop - len(end)].split(end + head)
    return payloads if set(map(len, payloads)) == {size} else []


class SizeReader:
    """Frames of one fixed size in bytes."""

    __slots__ = ("size", "_rest")

    def __init__(self, size: int) -> None:
        self.size = size
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes."""
        rest = self._rest
        rest += data
        size, whole = self.size, len(rest) - len(rest) % self.size
        taken = bytes(rest[:whole])
        del rest[:whole]
        return [taken[at : at + size] for at in range(0, whole, size)]

    def held(self) -> str:
        """Say what makes no frame yet; empty: nothing is left."""
        return f"{len(self._rest)} of {self.size} bytes held" if self._rest else ""

    def rest(self) -> bytes:
        """Take what is left: a part of a frame."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest


class LengthReader:
    """Frames behind their length, one of LENGTHS; the length doesn't count itself."""

    __slots__ = ("width", "order", "max_frame", "_rest")

    def __init__(self, length: str, max_frame: int) -> None:
        self.width, self.order = LENGTHS[length]
        self.max_frame = max_frame
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that `data` completes. Raises TooLong as soon as a length says so."""
        rest, width = self._rest, self.width
        rest += data
        frames: list[bytes] = []
        at = 0
        while len(rest) - at >= width:
            size = int.from_bytes(rest[at : at + width], self.order)  # type: ignore[arg-type]
            if size > self.max_frame:
                raise TooLong(frames, self.max_frame)
            if len(rest) - at - width < size:
                break
            frames.append(bytes(rest[at + width : at + width + size]))
            at += width + size
        del rest[:at]
        return frames

    def held(self) -> str:
        """Say what makes no frame yet; empty: nothing is left."""
        rest, width = self._rest, self.width
        if len(rest) < width:
            return f"{len(rest)} of the {width} bytes of a length held" if rest else ""
        return f"{len(rest) - width} of {int.from_bytes(rest[:width], self.order)} bytes held"  # type: ignore[arg-type]

    def rest(self) -> bytes:
        """Take what is left: a part of a frame."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest


def prefixed(frame: bytes, length: str) -> bytes:
    """Write a frame behind its length. Raises OverflowError where the length has no room for it."""
    width, order = LENGTHS[length]
    return len(frame).to_bytes(width, order) + frame  # type: ignore[arg-type]


_HTTP = re.compile(rb"\S+ (?:/|\*|[A-Za-z]+://|\S+:\d+ )\S* ?HTTP/\d(?:\.\d)?\r?")

HTTP_400 = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"This port doesn't speak HTTP. Browsers connect to the WebSocket listener.\n"
)


def http_request(line: bytes) -> bool:
    """Tell whether a first line is an HTTP request line (RFC 9112 section 3), so that no web page can send commands.

    The method may be any token, since `fetch` lets a page choose it; the target tells it from `PUB a HTTP/1.1`.
    """
    return b" HTTP/" in line and _HTTP.fullmatch(line) is not None
