"""What both sides of the NATS client protocol read and write: operations, errors, and limits."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from hubbub import limits
from hubbub.errors import HubbubError
from hubbub.framing import cut_alike
from hubbub.publish import Publish

MAX_LINE = limits.LINE_SLACK  # bytes of a line with its end; nats-server takes 4,096, and topics may be longer here
OK = b"+OK\r\n"
PING = b"PING\r\n"
PONG = b"PONG\r\n"

Act = Callable[[bytes, list[bytes], bytes, list[Any]], None]
"""Appends the events of an operation: its line, the words of the line, and the payload behind it. Raises Malformed.

For an operation without a payload it is what follows the first word.
"""


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
    known        lines, up to their LF, of PUB operations that come again and again: topic, and bytes of the payload.
                 They become a Publish at once; a client writes few different ones
    fast         attribute: reads operations at an offset by itself, and returns where these end, or None
    """

    __slots__ = ("fast", "known", "_max_payload", "_need", "_rest", "_sized")

    def __init__(self, sized: Collection[bytes], max_payload: int) -> None:
        self.fast: Callable[[bytes, int], int] | None = None
        self.known: dict[bytes, tuple[str, int]] = {}
        self._max_payload = max_payload
        self._need = 0  # bytes that complete the operation that is held, where its line is there
        self._rest = bytearray()
        self._sized = sized

    def feed(self, data: bytes, events: list[Any], act: Act) -> Malformed | None:
        """Append the events of the operations that `data` completes, and return the error behind them."""
        rest = self._rest
        if rest:
            rest += data
            if self._need > len(rest) or (not self._need and len(rest) <= MAX_LINE and b"\n" not in data):
                return None
            data = bytes(rest)
            rest.clear()
            self._need = 0
        at = self._read_alike(data, events) if self.known else 0
        if at == len(data):
            return None
        try:
            at = self._read(data, at, events, act)
        except Malformed as error:
            return error
        if at < len(data):
            rest += data[at:]
        return None

    def _read(self, data: bytes, at: int, events: list[Any], act: Act) -> int:
        """Append the events of what stands at `at`; return where the incomplete operation begins. Raises Malformed."""
        find, append, get, end_of_data, fast = data.find, events.append, self.known.get, len(data), self.fast
        if fast is not None:
            at = fast(data, at)
        while at < end_of_data:
            start = find(b"\n", at) + 1
            if (start or end_of_data) - at > MAX_LINE:
                raise Malformed("maximum control line exceeded", f"a line is longer than {MAX_LINE} bytes", "too-long")
            if not start:
                return at
            line = data[at:start]
            known = get(line)
            if known is not None:
                topic, size = known
                stop = start + size
                if stop + 2 <= end_of_data and data[stop : stop + 2] == b"\r\n":  # slices end within what is there
                    append(Publish(topic, data[start:stop]))
                    at = stop + 2
                    continue
            words = line.split()
            if not words or (words[0] not in self._sized and words[0].upper() not in self._sized):
                act(line, words, line.strip()[len(words[0]) :].strip() if words else b"", events)
                at = start
                continue
            stop = start + self._size(words[-1])
            if end_of_data < stop + 2:
                self._need = stop + 2 - at
                return at
            if data[stop : stop + 2] != b"\r\n":
                raise Malformed("Parser Error", "a payload is followed by CR LF")
            act(line, words, data[start:stop], events)
            at = stop + 2
            if fast is not None:
                at = fast(data, at)
        return at

    def _read_alike(self, data: bytes, events: list[Any]) -> int:
        """Read operations that all have the line of the first, a known one: they are cut at once. Returns their end."""
        line = data[: data.find(b"\n") + 1]
        known = self.known.get(line)
        if known is None:
            return 0
        topic, size = known
        payloads = cut_alike(data, line, size, b"\r\n")
        events += [Publish(topic, payload) for payload in payloads]
        return len(payloads) * (len(line) + size + 2)

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
