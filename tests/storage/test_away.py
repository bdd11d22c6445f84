"""A message for many sessions that are away is one row, and each has it after a restart."""

from __future__ import annotations

from hubbub import limits
from hubbub_plugins.mqtt.connect import DROPPED
from mqtt_client import PUBACK, V5, kept, messages, subscription
from storage.journal import DatabaseDisk, run

COUNT = 2 * limits.AWAY_SESSIONS
ONE_IN_FLIGHT = {"properties": {"session_expiry_interval": 100, "receive_maximum": 1}}


def test_a_message_is_stored_once_and_comes_back_to_each(tmp_path):
    disk = DatabaseDisk(tmp_path)
    context = run(disk)
    for n in range(COUNT):
        client = context.client(f"s{n}", **kept(V5))
        client.subscribe(subscription("a", 1 + n % 2))
        client.end.vanish()
    there = context.client("there", **kept(V5))
    there.subscribe(subscription("a", 1))
    writer = context.client("w")
    for n in range(20):
        writer.publish("a", b"%d" % n, qos=1 + n % 2, id=n + 1)
    (store,) = disk.stores
    rows = store.database.connect_reader()
    assert rows.execute("SELECT count(*) FROM messages").get == 20
    assert rows.execute("SELECT count(*) FROM audiences").get <= 4
    rows.close()
    again = run(disk)
    for n in range(COUNT):
        client = again.client(f"s{n}", **kept(V5))
        again.world.turn()
        expected = [("a", b"%d" % number, min(1 + number % 2, 1 + n % 2)) for number in range(20)]
        assert messages(client.first + client.output()) == expected
    for one in disk.stores:
        one.stop()


def test_what_gave_way_to_others_is_counted_over_a_kill(tmp_path, monkeypatch):
    disk = DatabaseDisk(tmp_path)
    context = run(disk)
    for n in range(COUNT):
        client = context.client(f"s{n}", **kept(V5))
        client.subscribe(subscription("a", 1))
        client.end.vanish()
    writer = context.client("w")
    with monkeypatch.context() as tight:
        tight.setattr(limits, "QUEUED_BYTES_ALL", 20 * 1_300)
        for n in range(30):
            writer.publish("a", b"%d" % n + 1_000 * b"x", qos=1, id=n + 1)
        context.world.turn()
    assert context.world.hub.turn.counters.dropped > 0
    context = run(disk)
    for n in range(COUNT):
        client = context.client(f"s{n}", **kept(V5))
        there = messages(client.first + client.output())
        assert there[-1][1].startswith(b"29")
        assert client.connack.properties["user_property"] == [(DROPPED, str(30 - len(there)))]
    for one in disk.stores:
        one.stop()


def test_a_queue_that_is_written_anew_leaves_what_waits_in_a_log(tmp_path, monkeypatch):
    """Members of a group take much of it while a message waits for this session and others."""
    monkeypatch.setattr(limits, "AWAY_SESSIONS", 1)
    monkeypatch.setattr(limits, "QUEUE_GAPS", 2)
    monkeypatch.setattr(limits, "STORE_SWEEP_SECONDS", 0.0)
    disk = DatabaseDisk(tmp_path)
    context = run(disk)
    client, writer = context.client("c", **(kept(V5) | ONE_IN_FLIGHT)), context.client("w")
    client.subscribe(subscription("$share/g/a", 1), subscription("b", 1))
    for n in range(5):
        writer.publish("a", b"%d" % n, qos=1, id=n + 1)
    other = context.client("other")
    other.subscribe(subscription("$share/g/a", 1))
    client.end.vanish()
    writer.publish("b", qos=1, id=6)  # before the turn in which the other member takes them
    assert messages(other.output()) == [("a", b"%d" % n, 1) for n in range(1, 5)]
    writer.publish("c", qos=1, id=7)
    again = run(disk).client("c", **kept(V5))
    assert messages(again.first) == [("a", b"0", 1), ("b", b"x", 1)]
    for one in disk.stores:
        one.stop()


def test_sessions_in_another_order_leave_nothing_either(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "STORE_SWEEP_SECONDS", 0.01)
    disk = DatabaseDisk(tmp_path)
    context = run(disk)
    writer = context.client("w")
    for name in ("x", "y"):
        client = context.client(name, **kept(V5))
        client.subscribe(subscription("a", 1))
        client.end.vanish()
    writer.publish("a", qos=1, id=1)
    context.client("x", **kept(V5)).end.vanish()
    context.world.turn()
    writer.publish("a", qos=1, id=2)
    context = run(disk)
    for name in ("x", "y"):
        client = context.client(name, **kept(V5))
        for one in client.first:
            client.ack(PUBACK, one.id)
    rows = disk.stores[-1].database.connect_reader()
    for _ in range(1_000):
        if rows.execute("SELECT count(*) FROM messages").get == 0:
            break
        context.client("w").publish("r", qos=1, id=1, retain=True)
    assert rows.execute("SELECT count(*) FROM messages").get == 0
    assert rows.execute("SELECT count(*) FROM audiences").get == 0
    rows.close()
    for one in disk.stores:
        one.stop()
