"""Frames on the wire (STOMP 1.2, "STOMP Frames"): cut out of a stream, read, and written.

    Reader.feed(bytes) -> heads and bodies -> read_frame(raw, body, version) -> Frame
    write_frame(command, headers, body, version) -> bytes

A head is what stands before the empty line. It is cut out before its version is known, and read after that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from hubbub import limits

V10, V11, V12 = "1.0", "1.1", "1.2"

_END = re.compile(rb"\n\r?\n")
_GAP = re.compile(rb"[\r\n]*")
_LENGTH = re.compile(rb"\ncontent-length:([^\r\n]*)")
_DIGITS = 10  # of a content-length
_EOL = b"\r\n"
_UNESCAPED = {"\\n": "\n", "\\c": ":", "\\\\": "\\", "\\r": "\r"}
_ESCAPE = re.compile(r"\\.?", re.DOTALL)
_WRITTEN = {V10: None, V11: str.maketrans({"\\": "\\\\", "\n": "\\n", ":": "\\c"})}
_WRITTEN[V12] = str.maketrans({"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"})


class Malformed(Exception):
    """What a client sent breaks the specification, or is more than the hub accepts.

    code     of a Refusal
    reason   a sentence for people
    receipt  that the frame asks for, or None
    """

    def __init__(self, reason: str, code: str = "bad-command") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.receipt: str | None = None


class Frame(NamedTuple):
    """A frame of a client; of repeated headers the first counts."""

    command: str
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header that the frame needs. Raises Malformed."""
        try:
            return self.headers[name]
        except KeyError:
            raise Malformed(f"a {self.command} needs the header {name}") from None


class Head:
    """The head of a frame.

    raw           its lines, as they came; whole: with the empty line
    length        bytes of the body; None: it ends with the first NUL
    size          bytes of the whole frame, where that is known; else 0
    topic         of a SEND that was understood before and has nothing else but its `content_type`; "": it is to be read
    """

    __slots__ = ("content_type", "length", "raw", "size", "topic", "whole")

    def __init__(self, raw: bytes, length: int | None) -> None:
        self.content_type: str | None = None
        self.length = length
        self.raw = raw
        self.size = 0
        self.topic = ""
        self.whole = b""


_NOTHING = Head(b"", None)


class Reader:
    """Cuts a stream into frames. `max_body`: bytes of the longest body."""

    __slots__ = ("_head", "_heads", "_last", "_max_body", "_rest")

    def __init__(self, max_body: int) -> None:
        self._head: Head | None = None  # of the frame whose body is in `_rest`
        self._heads: dict[bytes, Head] = {}
        self._last = _NOTHING  # of those that are remembered
        self._max_body = max_body
        self._rest = bytearray()

    def feed(self, data: bytes) -> tuple[list[tuple[Head, bytes]], Malformed | None]:
        """Return the frames that `data` completes, head and body each, and the error after them."""
        rest = self._rest
        if rest:
            before = len(rest)
            rest += data
            if not self._goes_on(before):
                return [], None
            data = bytes(rest)
            rest.clear()
        found: list[tuple[Head, bytes]] = []
        last = self._last
        if last.size and len(data) == last.size and self._head is None and data.startswith(last.whole) and not data[-1]:
            return [(last, data[len(last.whole) : -1])], None  # one message alone, as most come
        try:
            self._cut(data, found)
        except Malformed as error:
            return found, error
        return found, None

    def _goes_on(self, before: int) -> bool:
        """Return whether the bytes from `before` on complete something, or are an error: none is looked at twice."""
        rest, head = self._rest, self._head
        if head is None:
            found = rest.find(0, before) >= 0 or _END.search(rest, max(0, before - 2)) is not None
            return found or len(rest) >= limits.STOMP_HEAD_BYTES
        if head.length is None:
            return rest.find(0, before) >= 0 or len(rest) > self._max_body
        return len(rest) > head.length

    def _cut(self, data: bytes, found: list[tuple[Head, bytes]]) -> None:
        at, end, max_body, heads = 0, len(data), self._max_body, self._heads
        head, self._head = self._head, None
        last, whole = self._last, self._last.whole
        while True:
            if head is None and whole and data.startswith(whole, at):
                head = last
                at += len(whole)
            elif head is None:
                if at < end and data[at] in _EOL:
                    at = _GAP.match(data, at).end()  # type: ignore[union-attr]  # it matches nothing too
                mark = _END.search(data, at, at + limits.STOMP_HEAD_BYTES)
                if mark is None:
                    _check_begun(data, at)
                    break
                raw = data[at : mark.start()]
                head = heads.get(raw) or self._read(raw)
                if head.topic:
                    self._last = last = head
                    whole = last.whole
                at = mark.end()
            length = head.length
            if length is None:
                stop = data.find(0, at, at + max_body + 1)
                if stop < 0:
                    if end - at > max_body:
                        raise self._too_long()
                    break
            else:
                stop = at + length
                if stop >= end:
                    break
                if data[stop]:
                    raise Malformed("a body is longer than its content-length: a NUL must follow")
            found.append((head, data[at:stop]))
            at = stop + 1
            head = None
        self._head = head
        self._rest += data[at:]

    def _read(self, raw: bytes) -> Head:
        if b"\0" in raw:
            raise _nul()
        length_header = _LENGTH.search(raw)
        if length_header is None:
            return Head(raw, None)
        if not length_header[1].isdigit() or len(length_header[1]) > _DIGITS:
            raise Malformed("a content-length is a number of bytes")
        length = int(length_header[1])
        if length > self._max_body:
            raise self._too_long()
        return Head(raw, length)

    def _too_long(self) -> Malformed:
        return Malformed(f"a body has more than {self._max_body} bytes", "too-long")

    def remember(self, head: Head, topic: str, content_type: str | None) -> None:
        """Know the head of a SEND again, which says no more than that. Bounded."""
        if len(head.raw) <= limits.TOPIC_TABLE_BYTES:
            if len(self._heads) >= limits.TOPIC_TABLE:
                self._heads.clear()
            self._heads[head.raw] = head
            head.topic, head.content_type = topic, content_type
            head.whole = head.raw + b"\n\n"
            head.size = 0 if head.length is None else len(head.whole) + head.length + 1

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


def read_frame(raw: bytes, body: bytes, version: str) -> Frame:
    """Read a frame by its head. Raises Malformed.

    version  V10 has no escapes, and V11 leaves unknown ones as they are: clients send raw values
    """
    first, *lines = raw.split(b"\n")
    if len(lines) > limits.STOMP_HEADERS:
        raise Malformed(f"a frame has more than {limits.STOMP_HEADERS} headers", "too-long")
    headers: dict[str, str] = {}
    try:
        command = _line(first)
        if command in ("CONNECT", "STOMP"):
            version = V10  # "Value Encoding": these have no escapes
        for line in lines:
            name, colon, value = _line(line).partition(":")
            if not name or not colon:
                raise Malformed("a header is NAME:VALUE; an empty line ends the headers")
            headers.setdefault(_unescape(name, version), _unescape(value, version))
    except UnicodeDecodeError:
        raise Malformed("a header is UTF-8", "bad-utf8") from None
    return Frame(command, headers, body)


def _line(line: bytes) -> str:
    return (line[:-1] if line.endswith(b"\r") else line).decode()


def _unescape(text: str, version: str) -> str:
    if "\\" not in text or version == V10:
        return text
    return _ESCAPE.sub(_escaped if version == V12 else _perhaps_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    try:
        return _UNESCAPED[found[0]]
    except KeyError:
        raise Malformed(r"in a header \ is followed by r, n, c or \ (STOMP 1.2, Value Encoding)") from None


def _perhaps_escaped(found: re.Match[str]) -> str:
    return found[0] if found[0] == "\\r" else _UNESCAPED.get(found[0], found[0])


def write_header(name: str, value: str, version: str) -> bytes:
    r"""Return `name:value\n`, escaped as of `version`; empty if that version can't say it."""
    escapes = _WRITTEN[version]
    if escapes is not None:
        name, value = name.translate(escapes), value.translate(escapes)
    elif ":" in name or "\n" in name or "\n" in value:
        return b""
    if not name or "\0" in name or "\0" in value:
        return b""
    try:
        return f"{name}:{value}\n".encode()
    except UnicodeEncodeError:  # a lone surrogate
        return b""


def write_headers(headers: Mapping[str, str], version: str) -> bytes:
    """Return header lines; those that the version can't say are left out."""
    return b"".join([write_header(name, value, version) for name, value in headers.items()])


def write_frame(command: str, headers: Mapping[str, str], version: str) -> bytes:
    """Return a frame of the server without a body. CONNECTED has no escapes: pass V10."""
    return b"%b\n%b\n\0" % (command.encode(), write_headers(headers, version))
