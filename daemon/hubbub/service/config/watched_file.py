"""Files that are read again when they have changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from stat import S_ISREG
from threading import Lock
from typing import BinaryIO, Generic, TypeVar

from twisted.logger import Logger

from hubbub.errors import ConfigError

T = TypeVar("T")
Stamp = tuple[int, int, int, int]
_TICK = 20_000_000  # nanoseconds: longer than a tick of the kernel's clock, in which two writes have the same time
_READS = 3  # of a file that is written meanwhile


class Watched(Generic[T]):
    """What `read(path)` made of a file, replaced once the file says something else. Threads may share it.

    Making it raises ConfigError; later a file that can't be read leaves what was, and is logged once.
    """

    log = Logger(namespace="hubbub.auth")

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self.path = path
        self._error = ""  # why the file of that stamp can't be read
        self._read = read
        self._lock = Lock()
        self._stamp = stamp(path)
        self._fresh = _is_fresh(self._stamp)
        self._value = read(path)

    def get(self) -> T:
        """Return what the file says now."""
        if self._fresh or stamp(self.path) != self._stamp:
            try:
                self.look()
            except ConfigError as error:
                self.log.error("{error}; its earlier content stays in use", error=error)
        return self._value

    def look(self) -> None:
        """Read the file again if it has changed. Raises ConfigError as long as it can't be read."""
        with self._lock:
            found = stamp(self.path)
            if self._fresh or found != self._stamp:
                changed = found != self._stamp
                self._stamp, self._fresh, self._error = found, _is_fresh(found), ""
                try:
                    value = self._read(self.path)
                    if value != self._value:
                        self._value = value
                except ConfigError as error:
                    self._error = str(error)
                else:
                    if changed:
                        self.log.info("{path} has been read again", path=str(self.path))
            if self._error:
                raise ConfigError(self._error)


def stamp(path: Path) -> Stamp | None:
    """Return what changes whenever the file does; None: it isn't there.

    The time of its last change is part of that: `cp -p` and rsync keep the time of its last modification.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _is_fresh(found: Stamp | None) -> bool:
    """Return whether a file has changed so lately that another change could have the same stamp."""
    return found is not None and abs(time.time_ns() - max(found[:2])) < _TICK


def read_bounded(path: Path, most: int) -> bytes:
    """Return what is in `path`, at most `most` bytes, read again if it is written meanwhile.

    Raises ConfigError naming it.
    """
    data = b""
    for _ in range(_READS):
        try:
            with path.open("rb") as stream:
                before = _state(stream)
                data = stream.read(most + 1)
                if _state(stream) == before:
                    break
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
    if len(data) > most:
        raise ConfigError(f"{path} is longer than {most} bytes")
    return data


def _state(stream: BinaryIO) -> tuple[int, int] | None:
    """Return what changes as a file is written; a pipe can't be read again."""
    status = os.fstat(stream.fileno())
    return (status.st_size, status.st_mtime_ns) if S_ISREG(status.st_mode) else None
