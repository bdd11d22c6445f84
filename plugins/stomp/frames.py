"""Frames on the wire (STOMP 1.2, "STOMP Frames"): read and written. The module reader cuts them out of a stream.

read_frame(raw, body, version) -> Frame
write_frame(command, headers, version) -> bytes
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from hubbub import limits

V10, V11, V12 = "1.0", "1.1", "1.2"

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
