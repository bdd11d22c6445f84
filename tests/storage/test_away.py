"""A message for many sessions that are away is one row, and each has it after a restart."""

from __future__ import annotations

from hubbub import limits
from mqtt_client import V5, kept, messages, subscription
from storage.journal import DatabaseDisk, run

COUNT = 2 * limits.AWAY_SESSIONS


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
        assert messages(client.first + client.heard()) == expected
    for one in disk.stores:
        one.stop()
