"""storage/transfer.py and reading.py: a store goes into lines and comes back as it was."""

from __future__ import annotations

import json
import math
from contextlib import closing

import pytest

from hubbub.errors import ConfigError
from hubbub.storage.reading import TABLES, check, open_reader, rows, stats
from hubbub.storage.transfer import export, import_lines
from hubbub_plugins.mqtt.packets import Will
from mqtt_client import V5, kept, subscription
from storage.test_faults import Process


@pytest.fixture
def full(tmp_path):
    """A store with something of each kind, whose daemon runs."""
    process = Process(tmp_path / "state", "process", None)
    process.away("away", "a/#", "$share/g/b")
    ear = process.client("ear", will=Will(topic="w", payload=b"\xff", qos=1), **kept(V5))
    ear.subscribe(subscription("a/#", 1))
    writer = process.client("w", **kept(V5))
    process.settle()
    writer.publish(
        "a/1", b"text", qos=2, id=9, properties={"correlation_data": b"\0", "user_property": [("k", "v")] * 2}
    )
    writer.publish("a/2", b"\xff\xfe", qos=1, id=8, retain=True)
    writer.publish("b", qos=1, id=7, properties={"user_property": [("once", "k")]})
    process.settle()
    process.hub.world.hub.clients._known["", None, "away"].state.expiry = math.inf
    process.hub.world.hub.clients._known["", None, "away"].state.save()
    process.settle()
    yield tmp_path / "state"
    process.store.stop()


def everything(folder):
    with closing(open_reader(folder)) as reader:
        found = {table: list(reader.execute(f"SELECT * FROM {table} ORDER BY 1, 2")) for table in TABLES}
    return {table: [(*keys, TABLES[table][2](record)) for *keys, record in rows] for table, rows in found.items()}


def test_there_and_back(full, tmp_path):
    with closing(open_reader(full)) as reader:
        lines = list(export(reader))
        assert len(lines) == rows(reader) - stats(full)["progress"]
    assert {"text", None} <= {row["message"].get("payload") for row in map(json.loads, lines) if "message" in row}
    assert import_lines(tmp_path / "copy", iter(lines)) == len(lines)
    assert everything(tmp_path / "copy") == everything(full)
    with pytest.raises(ConfigError, match="import into an empty folder"):
        import_lines(tmp_path / "copy", iter(lines))


def test_a_line_that_is_none_leaves_the_folder_empty(full, tmp_path):
    with closing(open_reader(full)) as reader:
        lines = [*export(reader), b'{"session": {}, "number": 99}']
    with pytest.raises(ConfigError, match=f"line {len(lines)} is no row of a store"):
        import_lines(tmp_path / "copy", iter(lines))
    assert not any(everything(tmp_path / "copy").values())


MESSAGE = {"topic": "a", "retain": True, "content_type": None, "reply_to": None, "properties": [], "time": 1.7e9,
           "qos": 0, "message_expiry": None, "correlation": None, "format": None, "payload": "x"}  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        b"[" * 100_000,
        json.dumps({"retained": {**MESSAGE, "payload": 5}}).encode(),
        json.dumps({"retained": {**MESSAGE, "topic": ""}}).encode(),
        json.dumps({"retained": {**MESSAGE, "topic": "a/#"}}).encode(),
        json.dumps({"retained": {**MESSAGE, "topic": "a\0b"}}).encode(),
        json.dumps({"retained": {**MESSAGE, "reply_to": "#"}}).encode(),
        json.dumps({"rule": 1, "filter": "a/#", "lost": 10**20, "lost_time": 0}).encode(),
        json.dumps({"history": [[10**20, MESSAGE]], "of": 1}).encode(),
        b'{"subscription":{"filter":"a/#/b"},"of":1}',
    ],
    ids=lambda row: row[:60].decode(),
)
def test_what_no_hub_has_written_is_refused(tmp_path, row):
    with pytest.raises(ConfigError, match="line 2 is no row of a store"):
        import_lines(tmp_path / "copy", iter([json.dumps({"retained": MESSAGE}).encode(), row]))
    assert not any(everything(tmp_path / "copy").values())


def test_check_finds_what_cannot_be_read(full):
    with closing(open_reader(full)) as reader:
        assert set(check(reader)) == {None}
    import apsw

    with closing(apsw.Connection(str(full / "hubbub.db"))) as writer:
        writer.set_busy_timeout(5_000)
        writer.execute("UPDATE retained SET body = x'c1'")
    with closing(open_reader(full)) as reader:
        assert [line for line in check(reader) if line] == ["retained ['a/2']: the record can't be read"]


def test_no_store(tmp_path):
    with pytest.raises(ConfigError, match="has no store"):
        open_reader(tmp_path)
