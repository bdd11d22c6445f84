"""A store as lines of JSON, and back.

    {"session": {...}, "number": 1, "progress": {...}}
    {"subscription": {...}, "of": 1}
    {"audience": 3, "receivers": [[1, ["a/#", 1, ""]]]}
    {"message": {...}, "number": 17, "audience": 3}
    {"retained": {...}}
    {"rule": 1, "filter": "a/#", "lost": 0, "lost_time": 1.7e9}
    {"history": [[18, {...}], [19, {...}]], "of": 1}

A store that is imported has an epoch of its own: clients are told that their positions are of another one. Fields are
those of the records (kernel.sessions.records). A payload that is text is `payload`, any other `base64`.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import apsw
import msgspec

from hubbub.errors import ConfigError, Refusal
from hubbub.kernel.sessions.records import KeyRecord, MessageRecord, Progress, SessionRecord, SubscriptionRecord
from hubbub.storage import codec
from hubbub.storage.blocks import find_bodies
from hubbub.storage.database import FILE, Damaged, Database
from hubbub.storage.reading import UNREADABLE
from hubbub.topics import check_filter, check_topic, unshared

_ANYTHING = "SELECT EXISTS (SELECT 1 FROM sessions UNION SELECT 1 FROM retained UNION SELECT 1 FROM history)"

_WRONG = (*UNREADABLE, AttributeError, OverflowError, RecursionError, Refusal)


def export(reader: apsw.Connection) -> Iterator[bytes]:
    """Yield each row as a line, without its end. Raises Damaged."""
    try:
        yield from _export(reader)
    except (apsw.Error, *UNREADABLE) as error:
        raise Damaged(str(error)) from None


def _export(reader: apsw.Connection) -> Iterator[bytes]:
    sessions = "SELECT number, sessions.record, progress.record FROM sessions JOIN progress ON session = number"
    with reader:  # one snapshot of all tables
        for number, record, progress in reader.execute(sessions):
            fields = _session(codec.unpack_session(record))
            yield _line(session=fields, number=number, progress=codec.unpack_progress(progress)._asdict())
        for number, record in reader.execute("SELECT session, record FROM subscriptions"):
            yield _line(subscription=codec.unpack_subscription(record)._asdict(), of=number)
        for id, receivers in reader.execute("SELECT id, receivers FROM audiences"):
            yield _line(audience=id, receivers=codec.unpack_receivers(receivers))
        for number, audience, body, rule in reader.execute("SELECT number, audience, body, rule FROM messages"):
            record = find_bodies(reader, rule, (number,)).get(number) if rule else codec.unpack_message(body)
            if record is not None:
                yield _line(message=_message(record), number=number, audience=audience)
        for id, filter, lost, lost_time in reader.execute("SELECT id, filter, lost, lost_time FROM history_rules"):
            yield _line(rule=id, filter=filter, lost=lost, lost_time=lost_time)
        for rule, body in reader.execute("SELECT rule, body FROM history ORDER BY last"):
            yield _line(history=[[number, _message(one)] for number, one in codec.unpack_block(body)], of=rule)
        for (body,) in reader.execute("SELECT body FROM retained"):
            yield _line(retained=_message(codec.unpack_message(body)))
        for number, record in reader.execute("SELECT number, record FROM keys"):
            key = codec.unpack_key(record)
            yield _line(key={**key._asdict(), "digest": b64encode(key.digest).decode()}, number=number)


def _line(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def _session(record: SessionRecord) -> dict[str, Any]:
    will = None if record.will is None else _message(record.will)
    return {**record._asdict(), "expiry": None if record.expiry == math.inf else record.expiry, "will": will}


def _message(record: MessageRecord) -> dict[str, Any]:
    fields = record._asdict()
    payload = fields.pop("payload")
    try:
        fields["payload"] = payload.decode()
    except UnicodeDecodeError:
        fields["base64"] = b64encode(payload).decode()
    if record.correlation is not None:
        fields["correlation"] = b64encode(record.correlation).decode()
    return fields


def import_lines(folder: Path, lines: Iterator[bytes]) -> int:
    """Fill a store that is empty. Returns the number of lines. Raises ConfigError, and leaves the store empty."""
    database = Database(folder)
    try:
        database.open("fsync")
        if database.connection.execute(_ANYTHING).get:
            raise ConfigError(f"{folder / FILE} has sessions or messages already: import into an empty folder")
        count = 0
        with database.transaction():
            for count, line in enumerate(lines, 1):
                try:
                    _insert(database.connection, msgspec.json.decode(line))
                except _WRONG as error:
                    raise ConfigError(f"line {count} is no row of a store: {error}") from None
    except (apsw.Error, Damaged) as error:
        raise ConfigError(f"{folder / FILE}: {error}") from None
    finally:
        database.close()
    return count


def _insert(connection: apsw.Connection, row: Mapping[str, Any]) -> None:
    execute = connection.execute
    if "session" in row:
        number = int(row["number"])
        execute("INSERT INTO sessions VALUES (?, ?)", (number, codec.pack(_session_of(row["session"]))))
        progress = _convert(row["progress"], Progress)
        execute("INSERT INTO progress VALUES (?, ?)", (number, codec.pack(progress)))
    elif "subscription" in row:
        record = SubscriptionRecord(**{name: codec.hashable(value) for name, value in row["subscription"].items()})
        check_filter(unshared(record.filter))
        id = record.filter if record.id is None else record.id
        execute("INSERT INTO subscriptions VALUES (?, ?, ?)", (int(row["of"]), codec.pack_id(id), codec.pack(record)))
    elif "receivers" in row:
        receivers = codec.pack_receivers(codec.hashable(row["receivers"]))
        execute("INSERT INTO audiences VALUES (?, ?)", (int(row["audience"]), receivers))
    elif "message" in row:
        values = int(row["number"]), int(row["audience"]), codec.pack(_message_of(row["message"]))
        execute("INSERT INTO messages (number, audience, body) VALUES (?, ?, ?)", values)
    elif "key" in row:
        key = _convert({**row["key"], "digest": b64decode(row["key"]["digest"])}, KeyRecord)
        execute("INSERT INTO keys VALUES (?, ?)", (int(row["number"]), codec.pack(key)))
    elif "lost" in row:
        rule = int(row["rule"]), str(row["filter"]), int(row["lost"]), float(row["lost_time"])
        execute("INSERT INTO history_rules VALUES (?, ?, ?, ?, 0, 0)", rule)
    elif "history" in row:
        _insert_block(connection, int(row["of"]), [(int(number), _message_of(one)) for number, one in row["history"]])
    else:
        message = _message_of(row["retained"])
        execute("INSERT INTO retained VALUES (?, ?)", (message.topic, codec.pack(message)))


def _insert_block(connection: apsw.Connection, rule: int, rows: list[tuple[int, MessageRecord]]) -> None:
    body = codec.pack(rows)
    newest = max(record.time for _, record in rows)
    values = rows[-1][0], rule, len(rows), len(body), newest, body
    connection.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)", values)
    update = "UPDATE history_rules SET count = count + ?, bytes = bytes + ? WHERE id = ?"
    connection.execute(update, (len(rows), len(body), rule))


def _convert(fields: Mapping[str, Any], kind: Any) -> Any:
    """Return a record of its fields. Raises LookupError, msgspec.ValidationError."""
    there = [name for name in kind._fields if name in fields or name not in kind._field_defaults]
    return msgspec.convert([fields[name] for name in there], kind)


def _message_of(fields: Mapping[str, Any]) -> MessageRecord:
    payload = fields["payload"].encode() if "payload" in fields else b64decode(fields["base64"])
    correlation = None if fields["correlation"] is None else b64decode(fields["correlation"])
    made: MessageRecord = _convert({**fields, "payload": payload, "correlation": correlation}, MessageRecord)
    check_topic(made.topic)
    if made.reply_to is not None:
        check_topic(made.reply_to)
    return made


def _session_of(fields: Mapping[str, Any]) -> SessionRecord:
    will = None if fields["will"] is None else _message_of(fields["will"])
    expiry = math.inf if fields["expiry"] is None else fields["expiry"]
    made: SessionRecord = _convert({**fields, "expiry": expiry, "will": None}, SessionRecord)
    return made._replace(will=will)
