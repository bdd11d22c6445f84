"""Speaks the native protocol of systemd's journal (systemd.io/JOURNAL_NATIVE_PROTOCOL): an entry is a datagram."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from typing import TextIO

SOCKET = "/run/systemd/journal/socket"
_PRIORITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}  # syslog's (RFC 5424 section 6.2.1)


def is_journal(stream: str | None, file: TextIO | None) -> bool:
    """Tell whether `file` (None: closed) is the stream that systemd has connected to the journal.

    stream  JOURNAL_STREAM, which a child inherits whatever its own output is (systemd.exec(5))
    """
    if file is None:
        return False
    try:
        found = os.fstat(file.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"


class Journal:
    """Sends entries with their fields, and never waits: what finds no room is counted, and the next one has the count.

    Making it raises OSError where there is no journal.
    """

    def __init__(self, path: str | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._lost = 0
        try:
            self._socket.connect(path or SOCKET)
        except OSError:
            self._socket.close()
            raise

    def __call__(self, entry: Mapping[str, object]) -> None:
        fields = dict(_fields(entry))
        if self._lost:
            fields["HUBBUB_LOST"] = str(self._lost)
        try:
            self._socket.send(datagram(fields))
        except OSError:
            self._lost += 1
        else:
            self._lost = 0


def _fields(entry: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Name the fields of an entry as the journal does; what isn't in its list is hubbub's own."""
    yield "MESSAGE", "\n".join(str(entry[name]) for name in ("msg", "traceback") if entry.get(name))
    yield "PRIORITY", str(_PRIORITIES.get(str(entry["level"]), 6))
    yield "SYSLOG_IDENTIFIER", "hubbub"
    for name, value in entry.items():
        if name not in ("msg", "traceback", "level", "ts"):
            yield f"HUBBUB_{name.upper()}", str(value)


def datagram(fields: Mapping[str, str]) -> bytes:
    """Write fields as the protocol wants: a value of several lines is preceded by its length, in 8 bytes."""
    parts = []
    for name, text in fields.items():
        value = text.encode(errors="backslashreplace")
        if b"\n" in value:
            parts.append(name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n")
        else:
            parts.append(name.encode() + b"=" + value + b"\n")
    return b"".join(parts)
