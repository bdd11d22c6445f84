"""The folder of a store: one database file, and a lock that one daemon has."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.storage.schema import NewerVersion, OtherFile, migrate

FILE = "hubbub.db"
DURABILITIES = ("fsync", "process")


class Database:
    """The database of one daemon, open for writing.

    folder      where it is
    durability  "fsync": a commit is on the disk; "process": it is with the operating system
    connection  the one connection that writes; whoever has it may be in any thread, one at a time
    """

    def __init__(self, folder: Path, durability: str) -> None:
        """Lock the folder, which is made if it isn't there, and open the database. Raises ConfigError."""
        self.folder = folder
        self.durability = durability
        self._wal_pages = 0
        self._lock = _locked(folder)
        try:
            self.connection = self._open(folder / FILE)
        except BaseException:
            os.close(self._lock)
            raise

    def _open(self, path: Path) -> apsw.Connection:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite's other files get the mode of this one
            connection = connect(path)
            migrate(connection)
            connection.pragma("synchronous", "FULL" if self.durability == "fsync" else "NORMAL")
        except NewerVersion as error:
            raise ConfigError(f"{path} is of version {error}, which a newer hubbub has written: run that one") from None
        except OtherFile:
            raise ConfigError(f"{path} is a database of another program: choose another folder") from None
        except (apsw.Error, OSError) as error:
            raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
        connection.set_wal_hook(self._count_pages)
        return connection

    def _count_pages(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done meanwhile, or nothing of it. Raises apsw.Error."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def checkpoint(self) -> None:
        """Move the log into the database once it is long. Raises apsw.Error: an automatic one would hide a failure."""
        if self._wal_pages >= limits.STORE_WAL_PAGES:
            self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """Close it, and leave the folder to others."""
        self.connection.close()
        os.close(self._lock)


def connect(path: Path) -> apsw.Connection:
    """Open a database as the store wants it. Raises apsw.Error.

    Neither mmap nor automatic checkpoints: SQLite reports a write error of the one as a signal, and of the others not
    at all.
    """
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(limits.STORE_BUSY_MILLISECONDS)
    connection.pragma("journal_mode", "WAL")
    connection.pragma("mmap_size", 0)
    connection.pragma("wal_autocheckpoint", 0)
    connection.pragma("cache_size", -limits.STORE_CACHE_KIB)
    connection.pragma("journal_size_limit", limits.STORE_WAL_BYTES)
    return connection


def _locked(folder: Path) -> int:
    """Return a descriptor that has the lock of the folder. Raises ConfigError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"--state {folder}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ConfigError(f"--state {folder}: another daemon has it; each needs a folder of its own") from None
    return lock
