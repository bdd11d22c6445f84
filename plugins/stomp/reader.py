"""Cuts a stream into frames (STOMP 1.2, "STOMP Frames").

A head is what stands before the empty line. It is cut out before its version is known, and read after that. Most heads
of a client have come before, but for their content-length: those of plain SENDs are remembered, and become a Publish at
once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hubbub import Publish, limits
from hubbub_plugins.stomp.frames import Malformed

_END = re.compile(rb"\n\r?\n")
_GAP = re.compile(rb"[\r\n]*")
_LENGTH = re.compile(rb"\ncontent-length:([^\r\n]*)")
_COMMAND = 64  # bytes of a head, more than a command has
_DIGITS = 10  # of a content-length
_CR, _LF = b"\r\n"


class Head:
    """The head of a frame.

    raw       its lines, as they came; whole: with the empty line
    alike     the same with an empty line, which no head has, in place of the digits of its content-length
    length    bytes of the body; -1: it ends with the first NUL
    topic     of a SEND that has nothing else but its `content_type`; "": it is to be read
    """

    __slots__ = ("alike", "content_type", "length", "raw", "topic", "whole")

    def __init__(self, raw: bytes, alike: bytes, length: int) -> None:
        self.alike = alike
        self.content_type: str | None = None
        self.length = length
        self.raw = raw
        self.topic = ""
        self.whole = raw + b"\n\n"


Act = Callable[[Head, bytes, list[Any]], bool]
"""Appends the events of a frame, its head and its body. Returns whether there may be more frames. Raises Malformed."""


class Reader:
    """Cuts a stream into frames. `max_body`: bytes of the longest body."""

    __slots__ = ("_head", "_heads", "_last", "_max_body", "_rest")

    def __init__(self, max_body: int) -> None:
        self._head: Head | None = None  # of the frame whose body is in `_rest`
        self._heads: dict[bytes, Head] = {}  # of plain SENDs, each as it came, and without its length
        self._last: Head | None = None  # of these
        self._max_body = max_body
        self._rest = bytearray()

    def feed(self, data: bytes, events: list[Any], act: Act) -> Malformed | None:
        """Append the events of the frames that `data` completes, and return the error behind them."""
        rest = self._rest
        if rest:
            before = len(rest)
            rest += data
            if not self._goes_on(before):
                return None
            data = bytes(rest)
            rest.clear()
        try:
            at = self._cut(data, events, act)
        except Malformed as error:
            return error
        if at < len(data):
            rest += data[at:]
        return None

    def begin_with(self, data: bytes) -> bytes:
        """Return how the frame begins that is incomplete, or that `data` begins; it is no part of this yet."""
        if self._head is not None:
            return self._head.whole
        return (bytes(self._rest[:_COMMAND]) + data).lstrip(b"\r\n")[:_COMMAND]

    def _goes_on(self, before: int) -> bool:
        """Return whether the bytes from `before` on complete something, or are an error: none is looked at twice."""
        rest, head = self._rest, self._head
        if head is None:
            found = rest.find(0, before) >= 0 or _END.search(rest, max(0, before - 2)) is not None
            return found or len(rest) >= limits.STOMP_HEAD_BYTES
        if head.length < 0:
            return rest.find(0, before) >= 0 or len(rest) > self._max_body
        return len(rest) > head.length

    def _cut(self, data: bytes, events: list[Any], act: Act) -> int:
        """Append the events of the frames of `data`, and return where what is incomplete begins. Raises Malformed."""
        at, end, head, last = 0, len(data), self._head, self._last
        while at < end:
            if head is None:
                if last is not None and data.startswith(last.whole, at):
                    head = last
                    at += len(last.whole)
                else:
                    head, at = self._find_head(data, at)
                    if head is None:
                        break
                    last = self._last
            stop = at + head.length if head.length >= 0 else self._find_nul(data, at)
            if stop >= end:
                break
            if data[stop]:
                raise Malformed("a body is longer than its content-length: a NUL must follow")
            if head.topic:
                events.append(Publish(head.topic, data[at:stop], False, head.content_type))
            elif not act(head, data[at:stop], events):
                return end
            at = stop + 1
            head = None
        self._head = head
        return at

    def _find_head(self, data: bytes, at: int) -> tuple[Head | None, int]:
        """Return the head behind the line ends at `at`, and where its body begins. Raises Malformed.

        None: it is incomplete, and begins there.
        """
        if at < len(data) and (data[at] == _LF or data[at] == _CR):
            at = _GAP.match(data, at).end()  # type: ignore[union-attr]  # it matches nothing too
        mark = _END.search(data, at, at + limits.STOMP_HEAD_BYTES)
        if mark is None:
            _check_begun(data, at)
            return None, at
        raw = data[at : mark.start()]
        head = self._heads.get(raw) or self._read(raw)
        if head.topic:
            self._last = head
        return head, mark.end()

    def _find_nul(self, data: bytes, at: int) -> int:
        """Return where the body at `at` ends; behind the data: it is incomplete. Raises Malformed."""
        stop = data.find(0, at, at + self._max_body + 1)
        if stop < 0 and len(data) - at > self._max_body:
            raise self._too_long()
        return stop if stop >= 0 else len(data)

    def _read(self, raw: bytes) -> Head:
        if b"\0" in raw:
            raise _nul()
        found = _LENGTH.search(raw)
        if found is None:
            return Head(raw, raw, -1)
        digits = found[1]
        if not digits.isdigit() or len(digits) > _DIGITS:
            raise Malformed("a content-length is a number of bytes")
        length = int(digits)
        if length > self._max_body:
            raise self._too_long()
        head = Head(raw, b"%b\n\n%b" % (raw[: found.start(1)], raw[found.end(1) :]), length)
        known = self._heads.get(head.alike)
        if known is not None:
            self.remember(head, known.topic, known.content_type)
        return head

    def _too_long(self) -> Malformed:
        return Malformed(f"a body has more than {self._max_body} bytes", "too-long")

    def remember(self, head: Head, topic: str, content_type: str | None) -> None:
        """Know the head of a SEND again, which says no more than that. Bounded."""
        if len(head.raw) <= limits.TOPIC_TABLE_BYTES:
            if len(self._heads) >= limits.TOPIC_TABLE - 1:
                self._heads.clear()
            self._heads[head.raw] = self._heads[head.alike] = self._last = head
            head.topic, head.content_type = topic, content_type

    def held(self) -> str:
        """Describe the incomplete frame; empty: there is none."""
        if self._head is None and not self._rest:
            return ""
        return f"{len(self._rest)} bytes of a {'head' if self._head is None else 'body'} held, no NUL"


def _check_begun(data: bytes, at: int) -> None:
    """Raise Malformed if what begins at `at` can't become a head any more."""
    if data.find(0, at, at + limits.STOMP_HEAD_BYTES) >= 0:
        raise _nul()
    if len(data) - at >= limits.STOMP_HEAD_BYTES:
        raise Malformed(f"the head of a frame has more than {limits.STOMP_HEAD_BYTES} bytes", "too-long")


def _nul() -> Malformed:
    return Malformed("a NUL comes before the empty line that ends the headers of a frame")
