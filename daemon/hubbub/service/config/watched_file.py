"""Files that are read again when they have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from twisted.logger import Logger

from hubbub.errors import ConfigError

T = TypeVar("T")
_Stamp = tuple[int, int, int] | None


class Watched(Generic[T]):
    """What `read(path)` made of a file, made anew once the file is another. Threads may share it.

    Making it raises ConfigError; later a file that can't be read leaves what was, and is logged once.
    """

    log = Logger(namespace="hubbub.auth")

    def __init__(self, path: Path, read: Callable[[Path], T]) -> None:
        self.path = path
        self._read = read
        self._lock = Lock()
        self._stamp = _stamp(path)
        self._value = read(path)

    def get(self) -> T:
        """Return what the file says now."""
        if _stamp(self.path) != self._stamp:
            try:
                self.look()
            except ConfigError as error:
                self.log.error("{error}; what it said before stays", error=error)
        return self._value

    def look(self) -> None:
        """Read the file again if it has changed. Raises ConfigError, once for each change."""
        with self._lock:
            stamp = _stamp(self.path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._value = self._read(self.path)
                self.log.info("{path} has been read again", path=str(self.path))


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_bounded(path: Path, most: int) -> bytes:
    """Return what is in `path`, at most `most` bytes. Raises ConfigError naming it."""
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(data) > most:
        raise ConfigError(f"{path} is longer than {most} bytes")
    return data
