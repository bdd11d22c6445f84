"""The tables, and how an older file becomes a newer one."""

from __future__ import annotations

import apsw

APPLICATION_ID = 0x68756262  # "hubb", in the header of the file
VERSION = 2

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

MIGRATIONS: dict[int, str] = {0: _TABLES, 1: _KEYS}
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
