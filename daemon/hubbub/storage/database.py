"""The folder of a store: one database file, and a lock that one daemon has."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.storage.schema import NewerVersion, OtherFile, migrate

FILE = "hubbub.db"


class Damaged(Exception):
    """The database can't be read."""


class Database:
    """The database of one daemon, open for writing.

    folder      where it is; path: its file
    durability  "fsync": a commit is on the disk; "process": it is with the operating system
    connection  the one connection that writes; any thread may use it, one at a time
    """

    connection: apsw.Connection

    def __init__(self, folder: Path, vfs: str | None = None) -> None:
        """Lock the folder, which is made if it isn't there. Raises ConfigError.

        vfs  the name of SQLite's layer above the operating system, None: its own
        """
        self.folder = folder
        self.path = folder / FILE
        self.durability = ""
        self._pages = 0  # in the log
        self._checkpoint_at = limits.STORE_WAL_PAGES
        self._vfs = vfs
        self._lock = _locked(folder)

    def open(self, durability: str) -> None:
        """Open the file. Raises ConfigError, Damaged."""
        self.durability = durability
        path = self.path
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite's other files get the mode of this one
            write_again(log_of(path))
            self.connection = connect(path, self._vfs)
            migrate(self.connection)
            self.connection.pragma("synchronous", "FULL" if durability == "fsync" else "NORMAL")
        except NewerVersion as error:
            raise ConfigError(f"{path} has version {error}, which a newer hubbub wrote: run that one") from None
        except OtherFile:
            raise ConfigError(f"{path} is a database of another program: choose another folder") from None
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise Damaged(str(error)) from None
        except (apsw.Error, OSError) as error:
            raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
        self.connection.set_wal_hook(self._count_pages)

    def connect_reader(self) -> apsw.Connection:
        """Return a connection that can't write. Raises apsw.Error."""
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY, vfs=self._vfs)
        connection.set_busy_timeout(limits.STORE_BUSY_MILLISECONDS)
        connection.pragma("mmap_size", 0)
        return connection

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

    def why(self, error: apsw.Error) -> str:
        """Say what is wrong, for an operator."""
        return f"{self.path}: {str(error) or type(error).__name__}"

    # The log

    def _count_pages(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def checkpoint(self) -> None:
        """Move the log into the database once it is long. Raises apsw.Error: an automatic one would hide a failure."""
        if self.has_unmoved():
            self._move_log()

    def make_room(self) -> None:
        """Move the log however short it is, so that its room is written anew: the disk may have no other."""
        with suppress(apsw.Error):  # the next try to write says it
            self._move_log()

    def _move_log(self) -> None:
        try:
            pages, moved = self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.IOError:
            with suppress(OSError):  # the next try says it
                write_again(log_of(self.path))
            raise
        # A reader holds a checkpoint up: then the next one is due when the log is longer by a quarter of that.
        self._checkpoint_at = limits.STORE_WAL_PAGES if moved == pages else pages + limits.STORE_WAL_PAGES // 4
        self._pages = 0

    def has_unmoved(self) -> bool:
        """Return whether a checkpoint is due."""
        return self._pages >= self._checkpoint_at

    # The end

    def disconnect(self) -> None:
        """Close the file, if it is open."""
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            with suppress(apsw.Error):  # of the last checkpoint: the next start makes it
                connection.close()

    def close(self) -> None:
        """Close the file, and leave the folder to others."""
        self.disconnect()
        os.close(self._lock)


def log_of(path: Path) -> Path:
    """Return where SQLite has the log of a database."""
    return path.with_name(f"{path.name}-wal")


def write_again(path: Path) -> None:
    """Write a file over itself, and sync it. Raises OSError.

    After a failed fsync Linux takes the pages for clean, and the next fsync says nothing of them, in another process
    neither: so all are made dirty again.
    """
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        at = 0
        while data := os.pread(file, limits.MiB, at):
            at += os.pwrite(file, data, at)
        os.fsync(file)
    finally:
        os.close(file)


def connect(path: Path, vfs: str | None = None) -> apsw.Connection:
    """Open a database as the store wants it. Raises apsw.Error.

    Neither mmap nor automatic checkpoints: SQLite reports a write error of the one as a signal, and of the others not
    at all.
    """
    connection = apsw.Connection(str(path), vfs=vfs)
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
