"""The tables, and how an older file becomes a newer one."""

from __future__ import annotations

import apsw

APPLICATION_ID = 0x68756262  # "hubb", in the header of the file
VERSION = 4

_TABLES = """
CREATE TABLE sessions (number INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE subscriptions (session INTEGER, id BLOB, record BLOB NOT NULL, PRIMARY KEY (session, id)) WITHOUT ROWID;
CREATE TABLE progress (session INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE audiences (id INTEGER PRIMARY KEY, receivers BLOB NOT NULL);
CREATE TABLE messages (number INTEGER PRIMARY KEY, audience INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX messages_by_audience ON messages (audience);
CREATE TABLE retained (topic TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""

_KEYS = "CREATE TABLE keys (number INTEGER PRIMARY KEY, record BLOB NOT NULL);"

_HISTORY = """
CREATE TABLE history (
    last INTEGER PRIMARY KEY, rule INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL, time REAL NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX history_by_rule ON history (rule, last, time);
CREATE TABLE history_rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT, filter TEXT NOT NULL, lost INTEGER NOT NULL, lost_time REAL NOT NULL,
    count INTEGER NOT NULL, bytes INTEGER NOT NULL
);
CREATE TABLE history_store (epoch TEXT NOT NULL, first INTEGER NOT NULL);
ALTER TABLE messages ADD COLUMN rule INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
CREATE INDEX messages_in_history ON messages (rule, number) WHERE rule > 0;
"""
"""The history (storage.blocks). A message with a `rule` has its body there, `size` bytes, about."""

_STREAM = "CREATE TABLE stream (epoch TEXT NOT NULL, seq INTEGER NOT NULL);"
"""How far the sessions here have got what the stream of a cluster has; no row, or one."""

MIGRATIONS: dict[int, str] = {0: _TABLES, 1: _KEYS, 2: _HISTORY, 3: _STREAM}
"""By version, what makes a file of it one of the next version; 0 is an empty file."""


class NewerVersion(Exception):
    """A later hubbub has written this file."""


class OtherFile(Exception):
    """Another program has written this file."""


def migrate(database: apsw.Connection) -> None:
    """Bring a file to VERSION in one transaction. Raises NewerVersion, OtherFile, apsw.Error."""
    application, version = database.pragma("application_id"), database.pragma("user_version")
    if application != APPLICATION_ID and (application or version or database.pragma("schema_version")):
        raise OtherFile
    if version > VERSION:
        raise NewerVersion(version)
    if version == VERSION:
        return
    with database:
        for step in range(version, VERSION):
            database.execute(MIGRATIONS[step])
        database.pragma("application_id", APPLICATION_ID)
        database.pragma("user_version", VERSION)
