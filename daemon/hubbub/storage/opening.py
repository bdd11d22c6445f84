"""Opens a store, also one that is damaged: the file is set aside, and what can be read of it goes into a new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from hubbub.errors import ConfigError
from hubbub.kernel.sessions.records import Progress
from hubbub.storage import codec
from hubbub.storage.database import FILE, Damaged, Database, log_of
from hubbub.storage.loading import Loader
from hubbub.storage.reading import TABLES, UNREADABLE
from hubbub.storage.store import DurableStore

ON_DAMAGE = ("set-aside", "refuse")


def open_store(
    folder: Path,
    durability: str,
    call: Callable[..., object],
    on_damage: str = "set-aside",
    warn: Callable[[str], object] = lambda text: None,
    vfs: str | None = None,
) -> DurableStore:
    """Open the store in a folder, and load it. Raises ConfigError.

    call       calls a function with arguments in the reactor, from any thread
    on_damage  one of ON_DAMAGE; warn: is told what was damaged, and what is left of it
    vfs        see Database
    """
    database = Database(folder, vfs)
    try:
        try:
            database.open(durability)
            loader = Loader(database.connection)
        except Damaged as error:
            if on_damage == "refuse":
                raise ConfigError(
                    f"{database.path} is damaged: {error}; --on-damage set-aside starts with the readable records"
                ) from None
            aside = _set_aside(database)
            database.open(durability)
            counts = _salvage(aside, database)
            warn(f"{database.path} is damaged: {error}; it is renamed to {aside.name}, with {counts} recovered")
            loader = Loader(database.connection)
    except BaseException:
        database.close()
        raise
    return DurableStore(database, loader, call)


def _set_aside(database: Database) -> Path:
    """Give the files of a database another name, which no file has."""
    database.disconnect()
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = database.path.with_name(f"{FILE}.damaged-{now}")
    database.path.rename(aside)
    log = log_of(database.path)
    if log.exists() and log.stat().st_size:
        log.rename(log_of(aside))
    log.unlink(missing_ok=True)
    database.path.with_name(f"{FILE}-shm").unlink(missing_ok=True)
    return aside


_PARTS = (
    """DELETE FROM messages WHERE rule > 0
       AND NOT EXISTS (SELECT 1 FROM history WHERE history.rule = messages.rule AND last >= number)""",
    "DELETE FROM subscriptions WHERE session NOT IN (SELECT number FROM sessions)",
    "DELETE FROM progress WHERE session NOT IN (SELECT number FROM sessions)",
    "DELETE FROM messages WHERE audience NOT IN (SELECT id FROM audiences)",
    "DELETE FROM audiences WHERE id NOT IN (SELECT audience FROM messages)",
    "DELETE FROM history WHERE rule NOT IN (SELECT id FROM history_rules)",
    """UPDATE history_rules SET lost = coalesce((SELECT max(last) FROM history), lost), lost_time = unixepoch(),
       count = (SELECT coalesce(sum(count), 0) FROM history WHERE rule = id),
       bytes = (SELECT coalesce(sum(bytes), 0) FROM history WHERE rule = id)""",
)
"""What is of no use without the rest."""


def _salvage(aside: Path, database: Database) -> str:
    """Copy what can be read. Returns how much that is, for people."""
    connection = database.connection
    with database.transaction():
        try:
            with closing(_read_only(aside)) as damaged:
                for table, (key, record, read) in TABLES.items():
                    marks = ", ".join("?" * (key.count(",") + 2))
                    for row in _readable(damaged, table, key, record, read):
                        connection.execute(f"INSERT OR IGNORE INTO {table} ({key}, {record}) VALUES ({marks})", row)  # noqa: S608
        except apsw.Error:  # not even its tables are there
            pass
        aside.with_name(f"{aside.name}-shm").unlink(missing_ok=True)
        nowhere = codec.pack(Progress(1, (), (), ()))  # all its messages once more, rather than none
        connection.execute("INSERT OR IGNORE INTO progress SELECT number, ? FROM sessions", (nowhere,))
        for part in _PARTS:
            connection.execute(part)
    counts = [(connection.execute(f"SELECT count(*) FROM {table}").get, table) for table in TABLES]  # noqa: S608
    return ", ".join(f"{count} {table}" for count, table in counts if table in ("sessions", "messages", "retained"))


def _read_only(path: Path) -> apsw.Connection:
    """Open a file, and leave it and its folder as they are, as far as its log can be read then."""
    alone = "" if log_of(path).exists() else "&immutable=1"
    return apsw.Connection(f"{path.as_uri()}?mode=ro{alone}", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def _readable(
    damaged: apsw.Connection, table: str, key: str, record: str, read: Callable[[bytes], object]
) -> Iterator[Sequence[Any]]:
    """Yield the rows before the first damaged page, and those behind the last one."""
    first = key.partition(",")[0]
    for order in ("ASC", "DESC"):
        try:
            for row in damaged.execute(f"SELECT {key}, {record} FROM {table} ORDER BY {first} {order}"):  # noqa: S608
                try:
                    read(row[-1])
                except UNREADABLE:
                    continue
                yield row
        except apsw.Error:
            continue
        return
