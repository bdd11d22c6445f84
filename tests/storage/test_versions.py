"""A file of each version that was ever released is read as it was meant; see `schema.VERSION`.

A new version adds a file here, and changes none. A record (kernel.sessions.records) gets a new field at its end and
with a default, or the schema a new version.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hubbub.kernel.history.rule import HistoryRule
from hubbub.storage import schema
from hubbub.storage.codec import unpack_block
from mqtt_client import PUBREL, V5, kept, messages, subscription
from storage.test_faults import Process

FILES = sorted(Path(__file__).parent.glob("version-*.db"))


def test_there_is_a_file_of_each_version():
    assert [one.name for one in FILES] == [f"version-{n}.db" for n in range(1, schema.VERSION + 1)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_all_there(file, tmp_path):
    """`away` waits for messages, `flying` has some in flight, and a will; `w` has published at QoS 2."""
    (tmp_path / "state").mkdir()
    shutil.copy(file, tmp_path / "state" / "hubbub.db")
    warnings: list[str] = []
    process = Process(tmp_path / "state", "process", None, warn=warnings.append, history=(HistoryRule("h/#"),))
    assert warnings == []
    assert process.store.database.connection.pragma("user_version") == schema.VERSION
    clients = process.hub.world.hub.clients
    states = {key[2]: client.state for key, client in clients._known.items()}
    assert sorted(states) == ["away", "flying", "w"]
    assert sorted(states["away"].subscriptions) == ["$share/g/b", "a/#"]
    assert states["w"].received == {1, 2, 3}
    assert (states["flying"].will.topic, states["flying"].will.payload) == ("w", b"gone")
    assert states["flying"].will_delay == 5
    away = process.client("away", **kept(V5))
    assert messages(away.first) == [("a/0", b"0", 2), ("a/1", b"1", 2), ("a/2", b"2", 2), ("b", b"shared", 1)]
    first, *_ = away.first
    assert first.properties["user_property"] == [("k", "v"), ("k", "w")]
    assert (first.properties["content_type"], first.properties["correlation_data"]) == ("text/plain", b"\0\1")
    if file.stem != "version-1":
        assert process.store.database.connection.execute("SELECT count(*) FROM keys").get == 1
    if file.stem >= "version-3":
        connection = process.store.database.connection
        kept_ones = [unpack_block(body) for (body,) in connection.execute("SELECT body FROM history ORDER BY last")]
        assert [(one.topic, one.payload) for ((_, one),) in kept_ones] == [(f"h/{n}", b"%d" % n) for n in range(3)]
    if file.stem >= "version-4":
        assert process.store.load_stream() == ("2m42hug7e7vmzzcg", 17)
    released, second, third = process.client("flying", **kept(V5)).first
    assert (released.kind, second.topic, third.topic) == (PUBREL, "a/1", "a/2")
    assert second.dup
    assert messages(process.client("new").subscribe(subscription("r"))[1:]) == [("r", b"\xff", 0)]
    process.store.stop()
