"""Looks at a store, also at that of a running daemon, and changes nothing: what it has, whether it is sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import apsw
import msgspec

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.storage import codec, schema
from hubbub.storage.database import FILE, log_of

TABLES: Mapping[str, tuple[str, str, Callable[[Any], Any]]] = {
    "sessions": ("number", "record", codec.unpack_session),
    "subscriptions": ("session, id", "record", codec.unpack_subscription),
    "progress": ("session", "record", codec.unpack_progress),
    "audiences": ("id", "receivers", codec.unpack_receivers),
    "messages": ("number, audience, rule, size", "body", codec.unpack_body),
    "retained": ("topic", "body", codec.unpack_message),
    "keys": ("number", "record", codec.unpack_key),
    "history_rules": ("id, filter, lost, lost_time, count", "bytes", int),
    "history": ("last, rule, count, bytes, time", "body", codec.unpack_block),
}
"""Each table with its key, its record, and what reads that."""
UNREADABLE = (msgspec.MsgspecError, LookupError, TypeError, ValueError)
"""What such a reader raises."""


def open_reader(folder: Path) -> apsw.Connection:
    """Open the store in a folder for reading. Raises ConfigError."""
    path = folder / FILE
    if not path.exists():
        raise ConfigError(f"{folder} has no store: there is no {FILE}")
    try:
        reader = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        reader.set_busy_timeout(limits.STORE_BUSY_MILLISECONDS)
        version = reader.pragma("user_version")
        if reader.pragma("application_id") != schema.APPLICATION_ID or version != schema.VERSION:
            raise ConfigError(f"{path} is no store of this hubbub, or of another version ({version})")
    except apsw.Error as error:
        raise ConfigError(f"{path}: {error}") from None
    return reader


def stats(folder: Path) -> dict[str, int]:
    """Return how much there is: rows of each table, and bytes of the files. Raises ConfigError."""
    reader = open_reader(folder)
    try:
        found = {table: int(reader.execute(f"SELECT count(*) FROM {table}").get) for table in TABLES}  # noqa: S608
        found["history"] = int(reader.execute("SELECT sum(count) FROM history_rules").get or 0)
    except apsw.Error as error:
        raise ConfigError(f"{folder / FILE}: {error}") from None
    return {**found, "bytes": file_bytes(folder / FILE)}


def file_bytes(path: Path) -> int:
    """Return the bytes of a database and its log."""
    return sum(one.stat().st_size for one in (path, log_of(path)) if one.exists())


def rows(reader: apsw.Connection) -> int:
    """Return how many rows `check` looks at."""
    return sum(int(reader.execute(f"SELECT count(*) FROM {table}").get) for table in TABLES)  # noqa: S608


def check(reader: apsw.Connection) -> Iterator[str | None]:
    """Yield what is wrong, in lines, and None for each row that is sound."""
    try:
        for (line,) in reader.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield str(line)
        for table, (key, record, read) in TABLES.items():
            for *keys, data in reader.execute(f"SELECT {key}, {record} FROM {table}"):  # noqa: S608
                yield None if _reads(read, data) else f"{table} {keys}: the record can't be read"
    except apsw.Error as error:
        yield str(error)


def _reads(read: Callable[[bytes], Any], data: bytes) -> bool:
    try:
        read(data)
    except UNREADABLE:
        return False
    return True
