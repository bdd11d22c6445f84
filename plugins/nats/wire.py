"""What both sides of the NATS client protocol read and write: operations, errors, and limits."""

from __future__ import annotations

from collections.abc import Collection

from hubbub import limits
from hubbub.errors import HubbubError

MAX_LINE = limits.LINE_SLACK  # bytes of a line; nats-server takes 4,096, and topics may be longer here
OK = b"+OK\r\n"
PING = b"PING\r\n"
PONG = b"PONG\r\n"

Operation = tuple[list[bytes], bytes]
"""The words of a line, and the payload behind it; for an operation without one, what follows its first word."""


class Malformed(HubbubError):
    """What the other side sent ends the connection.

    text    the text of -ERR, as nats-server has it, because clients compare it
    reason  a sentence for a person; code: of the Refusal
    """

    def __init__(self, text: str, reason: str, code: str = "bad-command") -> None:
        super().__init__(reason)
        self.text = text
        self.reason = reason
        self.code = code


def error_line(text: str) -> bytes:
    """Encode -ERR."""
    return f"-ERR '{text}'\r\n".encode()


def number(word: bytes, most: int = 10**9 - 1) -> int:
    """Read a whole number. Raises Malformed."""
    if not word.isdigit() or len(word) > 9 or int(word) > most:
        raise Malformed("Parser Error", "a number is expected: the bytes of a payload or of its headers, or a maximum")
    return int(word)


class Reader:
    """Cuts a stream into operations.

    sized        the operations with a payload, whose length is the last word of their line
    max_payload  bytes of the longest, headers included
    """

    __slots__ = ("_max_payload", "_need", "_rest", "_sized")

    def __init__(self, sized: Collection[bytes], max_payload: int) -> None:
        self._max_payload = max_payload
        self._need = 0  # bytes that complete the operation that is held, where its line is there
        self._rest = bytearray()
        self._sized = sized

    def feed(self, data: bytes) -> tuple[list[Operation], Malformed | None]:
        """Return the operations that `data` completes, and the error behind them."""
        rest = self._rest
        if rest:
            rest += data
            if self._need > len(rest) or (not self._need and len(rest) <= MAX_LINE and b"\n" not in data):
                return [], None
            data = bytes(rest)
            rest.clear()
        found: list[Operation] = []
        try:
            rest += data[self._read(data, found) :]
        except Malformed as error:
            return found, error
        return found, None

    def _read(self, data: bytes, found: list[Operation]) -> int:
        """Append the operations of `data`, and return where the incomplete one begins. Raises Malformed."""
        find, append, sized, at = data.find, found.append, self._sized, 0
        self._need = 0
        while True:
            end = find(b"\n", at)
            if (end if end >= 0 else len(data)) - at > MAX_LINE:
                raise Malformed("maximum control line exceeded", f"a line is longer than {MAX_LINE} bytes", "too-long")
            if end < 0:
                return at
            words = data[at:end].split()
            if not words or (words[0] not in sized and words[0].upper() not in sized):
                append((words, data[at:end].strip()[len(words[0]) :].strip() if words else b""))
                at = end + 1
                continue
            start = end + 1
            stop = start + self._size(words[-1])
            if len(data) < stop + 2:
                self._need = stop + 2 - at
                return at
            if data[stop : stop + 2] != b"\r\n":
                raise Malformed("Parser Error", "a payload is followed by CR LF")
            append((words, data[start:stop]))
            at = stop + 2

    def _size(self, word: bytes) -> int:
        size = number(word)
        if size > self._max_payload:
            reason = f"a message with its headers is longer than {self._max_payload} bytes"
            raise Malformed("Maximum Payload Violation", reason, "too-long")
        return size

    def held(self) -> str:
        """Describe the incomplete operation; empty: there is none."""
        rest = self._rest
        if not rest:
            return ""
        return f"{len(rest)} of {self._need} bytes held" if self._need else f"{len(rest)} bytes of a line held"
