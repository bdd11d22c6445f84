"""storage/history.py and blocks.py: what was acknowledged is replayed, whatever happens to the process and its disk."""

from __future__ import annotations

import random
import shutil
from contextlib import closing

import pytest

from hubbub import limits
from hubbub.dialects.lines import Lines
from hubbub.kernel.history.rule import HistoryRule
from hubbub.storage.database import FILE
from hubbub.storage.reading import check, open_reader, stats
from hubbub.storage.transfer import export, import_lines
from hubbub_plugins.mqtt.packets import Ack
from mqtt_client import PUBACK, V5, kept, messages
from storage.test_faults import Process

ALL = HistoryRule("#")


def start(folder, *rules, vfs=None, durability="process", **more):
    return Process(folder, durability, vfs, history=rules or (ALL,), **more)


def ask(process, *commands, until="LIVE"):
    """What a new client of lines hears after some commands, up to a word."""
    end = process.hub.world.listen("tcp", Lines).connect()
    end.send("".join(f"{one}\n" for one in commands).encode())
    output = bytearray()

    def has_come():
        output.extend(end.received())
        return until in output.decode()

    process.hub.world.turn()
    process.wait(has_come)
    return output.decode().splitlines()


def replay(process, words="LAST 1000000", filter="#"):
    return [line for line in ask(process, f"SUB {filter} {words}") if not line.startswith(("OK", "LIVE"))]


def publish(process, *names, client=None):
    """Publish at QoS 1, each in a turn of its own, and wait for the acknowledgements."""
    writer = client or process.client("writer")
    for n, name in enumerate(names):
        topic, _, payload = name.partition(" ")
        writer.publish(topic, payload.encode(), qos=1, id=n + 1)
    process.settle()
    process.hub.world.turn()


def trimmed(process):
    """Wait until no rule has too much."""
    while any(one.is_over(0.0, 0.0) for one in process.hub.world.hub.history.states):
        process.settle()


def position_of(process):
    return ask(process, "POSITION", until="\n")[0].split()[1]


def test_a_restart_keeps_messages_and_positions(tmp_path):
    process = start(tmp_path / "state")
    publish(process, "a 1", "b 2")
    position = position_of(process)
    publish(process, "a 3", "b 4")
    process.store.stop()
    process = start(tmp_path / "state")
    assert replay(process) == ["MSG a 1", "MSG b 2", "MSG a 3", "MSG b 4"]
    assert replay(process, f"AFTER {position}") == ["MSG a 3", "MSG b 4"]
    assert replay(process, "LAST 1", "a") == ["MSG a 3"]
    publish(process, "a 5")
    assert replay(process, f"AFTER {position}", "a") == ["MSG a 3", "MSG a 5"]
    process.store.stop()


def test_a_position_of_a_message_that_was_never_committed_is_no_later_message(tmp_path, disk):
    process = start(tmp_path / "state", vfs="faulty", durability="fsync")
    publish(process, "a 1")
    disk.go.clear()
    process.client("w").publish("a", b"lost")
    position = position_of(process)
    disk.lose_power(tmp_path / "later")
    disk.go.set()
    process.store.stop()
    process = start(tmp_path / "later", vfs="faulty")
    publish(process, "a 2", "a 3")
    assert replay(process, f"AFTER {position}") == ["MSG a 2", "MSG a 3"]
    process.store.stop()


def test_an_acknowledgement_waits_for_the_commit(tmp_path, disk):
    process = start(tmp_path / "state", HistoryRule("a/#"), vfs="faulty", durability="fsync")
    writer, ear = process.client("w"), process.client("ear")
    ear.subscribe("a/#")
    process.settle()
    disk.go.clear()
    assert writer.publish("a/1", b"kept", qos=1, id=1) == []
    assert messages(ear.output()) == [("a/1", b"kept", 0)]
    other = process.client("other")
    assert other.publish("b", qos=1, id=2) == [Ack(kind=PUBACK, id=2, code=0x10)]
    disk.go.set()
    process.settle()
    assert writer.output() == [Ack(kind=PUBACK, id=1)]
    process.store.stop()


def test_a_replay_has_what_is_not_committed_yet(tmp_path, disk):
    process = start(tmp_path / "state", vfs="faulty", durability="fsync")
    publish(process, "a 1")
    disk.go.clear()
    process.client("w").publish("a", b"2", qos=1, id=1)
    assert replay(process, "SINCE 1h")[1:] == ["MSG a 1", "MSG a 2"]
    disk.go.set()
    process.store.stop()


def test_a_message_is_stored_once_for_the_history_and_sessions(tmp_path):
    process = start(tmp_path / "state")
    for name in "xyz":
        process.away(name, "a/#")
    body = "x" * 10_000
    publish(process, f"a/1 {body}", "a/2 short")
    assert process.store.stored == 2
    process.store.stop()
    with closing(open_reader(tmp_path / "state")) as reader:
        assert reader.execute("SELECT sum(length(body)) FROM messages").get == 0
        assert reader.execute("SELECT sum(length(body)) FROM history").get < 11_000
    process = start(tmp_path / "state")
    sizes = [client.state.size for client in process.hub.world.hub.clients._known.values()]
    assert min(sizes) > 10_000
    found = messages(process.client("y", **kept(V5)).first)
    assert found == [("a/1", body.encode(), 1), ("a/2", b"short", 1)]
    assert replay(process) == [f"MSG a/1 {body}", "MSG a/2 short"]
    process.store.stop()


def test_a_body_that_sessions_wait_for_outlives_the_history(tmp_path):
    process = start(tmp_path / "state", HistoryRule("a/#", messages=2))
    process.away("x", "a/#")
    publish(process, *[f"a/{n} {n}" for n in range(6)])
    trimmed(process)
    assert replay(process, filter="a/#") == ["MSG a/4 4", "MSG a/5 5"]
    process.store.stop()
    with closing(open_reader(tmp_path / "state")) as reader:
        assert set(check(reader)) == {None}
    process = start(tmp_path / "state", HistoryRule("a/#", messages=2))
    found = messages(process.client("x", **kept(V5)).first)
    assert found == [(f"a/{n}", b"%d" % n, 1) for n in range(6)]
    process.store.stop()


def test_what_is_too_much_goes_and_is_reported(tmp_path):
    process = start(tmp_path / "state", HistoryRule("a/#", messages=3), HistoryRule("b/#", bytes=1_000))
    position = position_of(process)
    publish(process, *[f"a/x {n}" for n in range(6)], *[f"b/x {n:0400}" for n in range(6)])
    trimmed(process)
    lost, *rest = replay(process, f"AFTER {position}", "a/x")
    assert rest == ["MSG a/x 3", "MSG a/x 4", "MSG a/x 5"]
    assert replay(process, lost.replace("LOST", "AFTER"), "a/x") == rest
    assert replay(process, filter="b/x") == [f"MSG b/x {n:0400}" for n in (4, 5)]
    process.store.stop()
    process = start(tmp_path / "state", HistoryRule("a/#", messages=3), HistoryRule("b/#", bytes=1_000))
    assert replay(process, f"AFTER {position}", "a/x") == [lost, *rest]
    process.store.stop()


def test_what_is_too_old_goes_without_more_messages(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "HISTORY_TRIM_SECONDS", 0.01)
    process = start(tmp_path / "state", HistoryRule("#", age=0.0))
    publish(process, "a 1")

    def count():
        with closing(open_reader(tmp_path / "state")) as reader:
            return reader.execute("SELECT count(*) FROM history").get

    for _ in range(1_000):
        if not count():
            break
        publish(process)
    assert count() == 0
    process.store.stop()


def test_rules_that_come_and_go(tmp_path):
    process = start(tmp_path / "state", HistoryRule("a"), HistoryRule("b"))
    position = position_of(process)
    publish(process, "a 1", "b 1")
    process.store.stop()
    process = start(tmp_path / "state", HistoryRule("b"))
    publish(process, "a 2", "b 2")
    publish(process, "b 3")
    assert replay(process, f"AFTER {position}", "b") == ["MSG b 1", "MSG b 2", "MSG b 3"]
    assert replay(process, f"AFTER {position}", "a")[0].startswith("LOST")
    process.store.stop()
    assert stats(tmp_path / "state")["history"] == 3
    process = start(tmp_path / "state", HistoryRule("a"), HistoryRule("b"))
    publish(process, "a 3")
    lost, *rest = replay(process, f"AFTER {position}", "a")
    assert (lost.split()[0], rest) == ("LOST", ["MSG a 3"])
    process.store.stop()


def test_rules_that_change_while_it_runs(tmp_path):
    process = start(tmp_path / "state", HistoryRule("a"), HistoryRule("b"))
    position, hub = position_of(process), process.hub.world.hub
    publish(process, "a 1", "b 1", "c 1")
    hub.change_history([HistoryRule("c"), HistoryRule("b")])
    publish(process, "a 2", "b 2", "c 2")
    assert replay(process, f"AFTER {position}", "b") == ["MSG b 1", "MSG b 2"]
    for filter, *left in (("a",), ("c", "MSG c 2")):
        lost, *rest = replay(process, f"AFTER {position}", filter)
        assert (lost.split()[0], rest) == ("LOST", left)
    hub.change_history([HistoryRule("c")])
    hub.change_history([HistoryRule("b"), HistoryRule("c")])  # before anything is written
    publish(process, "b 3")
    process.store.stop()
    process = start(tmp_path / "state", HistoryRule("b"), HistoryRule("c"))
    assert replay(process, "LAST 9", "b") == ["MSG b 3"]
    assert replay(process, "LAST 9", "c") == ["MSG c 2"]
    process.store.stop()


def test_what_a_rule_that_has_ended_had_is_missing(tmp_path):
    """Another rule has the same topics, and not their earlier messages."""
    process = start(tmp_path / "state", HistoryRule("b"), HistoryRule("#"))
    position = position_of(process)
    publish(process, "a 1", "b 1")
    process.hub.world.hub.change_history([HistoryRule("#")])
    for _ in range(2):
        lost, *rest = replay(process, f"AFTER {position}", "#")
        assert (lost.split()[0], rest) == ("LOST", ["MSG a 1"])
        process.store.stop()
        process = start(tmp_path / "state", HistoryRule("#"))
    process.store.stop()


def test_a_history_that_begins_while_it_runs(tmp_path):
    process = Process(tmp_path / "state", "process", None)
    publish(process, "a 1")
    process.hub.world.hub.change_history([ALL])
    publish(process, "a 2")
    position = position_of(process)
    process.store.stop()
    process = start(tmp_path / "state")
    publish(process, "a 3")
    assert replay(process) == ["MSG a 2", "MSG a 3"]
    assert replay(process, f"AFTER {position}") == ["MSG a 3"]
    process.store.stop()


def test_a_start_without_any_rule_forgets_the_history(tmp_path, monkeypatch):
    """What it publishes isn't kept, so a later start must not take the history for complete."""
    monkeypatch.setattr(limits, "HISTORY_TRIM_SECONDS", 0.01)
    process = start(tmp_path / "state")
    process.away("x", "a")
    publish(process, "a 1", "b 1")
    position = position_of(process)
    process.store.stop()
    process = Process(tmp_path / "state", "process", None)
    publish(process, "a 2")
    for _ in range(1_000):
        if not stats(tmp_path / "state")["history"]:
            break
        publish(process)
    process.store.stop()
    with closing(open_reader(tmp_path / "state")) as reader:
        assert reader.execute("SELECT count(*) FROM history").get == 0
        assert reader.execute("SELECT count(*) FROM history_rules").get == 0
        assert set(check(reader)) == {None}
    process = start(tmp_path / "state")
    assert messages(process.client("x", **kept(V5)).first) == [("a", b"1", 1), ("a", b"2", 1)]
    publish(process, "a 3")
    lost, *rest = replay(process, f"AFTER {position}", "a")
    assert (lost.split()[0], rest) == ("LOST", ["MSG a 3"])
    process.store.stop()


def test_while_the_disk_is_full_publishers_are_refused_and_the_rest_goes_on(tmp_path, disk, monkeypatch):
    monkeypatch.setattr(limits, "STORE_PATIENCE_SECONDS", 0.0)
    process = start(tmp_path / "state", vfs="faulty", durability="fsync")
    publish(process, "a 1")
    writer, ear = process.client("w"), process.client("ear")
    ear.subscribe("#")
    position = position_of(process)
    disk.full = True
    writer.publish("a", b"waits", qos=1, id=1)
    process.wait(lambda: process.store.failures > 3)
    (refused,) = process.client("other").publish("a", b"refused", qos=1, id=2)
    assert refused.code == 0x97
    size = process.store.waiting_bytes
    for _ in range(50):
        writer.publish("a", b"unkept" * 100)
    assert process.store.waiting_bytes == size
    assert (b"unkept" * 100) in [payload for _, payload, _ in messages(ear.output())]
    disk.full = False
    process.settle()
    publish(process, "a 2")
    lost, *rest = replay(process, f"AFTER {position}")
    assert (lost.split()[0], rest) == ("LOST", ["MSG a waits", "MSG a 2"])
    process.store.stop()
    process = start(tmp_path / "state", vfs="faulty")
    assert replay(process, f"AFTER {position}") == [lost, *rest]
    process.store.stop()


@pytest.mark.parametrize("seed", range(4))
def test_a_power_loss_loses_nothing_that_was_acknowledged(tmp_path, disk, seed):
    rolls = random.Random(seed)
    process = start(tmp_path / "0", vfs="faulty", durability="fsync")
    acknowledged: set[int] = set()
    sent = 0
    for crash in range(1, 4):
        writer, first = process.client("w"), sent
        for id in range(1, rolls.randrange(10, 30)):
            disk.tears, disk.unsynced = (rolls.random() < 0.1 for _ in range(2))
            output = writer.publish(f"a/{sent % 3}", b"%d" % sent, qos=1, id=id)
            acknowledged |= {first + one.id - 1 for one in output}
            sent += 1
            if rolls.random() < 0.3:
                disk.tears = disk.unsynced = False
                process.settle()
        acknowledged |= {first + one.id - 1 for one in writer.output()}
        disk.lose_power(tmp_path / str(crash))
        disk.tears = disk.unsynced = False
        process.store.stop()
        process = start(tmp_path / str(crash), vfs="faulty", durability="fsync")
        found = [int(line.split()[2]) for line in replay(process)]
        assert found == sorted(set(found))
        assert acknowledged <= set(found)
    assert len(acknowledged) > 10
    process.store.stop()


def test_damage_leaves_what_can_be_read_and_another_epoch(tmp_path):
    process = start(tmp_path / "state")
    process.away("x", "a/#")
    for n in range(60):
        publish(process, f"a/{n} {n:0500}")
    position = position_of(process)
    process.store.stop()
    file = tmp_path / "state" / FILE
    data = bytearray(file.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8192] = b"garbage." * 1024
    file.write_bytes(data)
    warnings: list[str] = []
    process = start(tmp_path / "state", warn=warnings.append)
    assert "is damaged" in warnings[0]
    lost, *rest = replay(process, f"AFTER {position}")
    assert lost.startswith("LOST")
    numbers = [int(line.split()[2]) for line in rest]
    assert numbers == sorted(set(numbers))
    assert 20 < len(numbers) <= 60
    waiting = messages(process.client("x", **kept(V5)).first)
    assert len(waiting) > 10
    process.store.stop()
    with closing(open_reader(tmp_path / "state")) as reader:
        assert set(check(reader)) == {None}


def test_there_and_back_through_lines(tmp_path):
    process = start(tmp_path / "state")
    process.away("x", "a")
    publish(process, "a 1", "b 2", "a 3")
    position = position_of(process)
    with closing(open_reader(tmp_path / "state")) as reader:
        lines = list(export(reader))
        assert set(check(reader)) == {None}
    process.store.stop()
    import_lines(tmp_path / "copy", iter(lines))
    process = start(tmp_path / "copy")
    assert replay(process) == ["MSG a 1", "MSG b 2", "MSG a 3"]
    assert replay(process, f"AFTER {position}")[0].startswith("LOST")
    assert messages(process.client("x", **kept(V5)).first) == [("a", b"1", 1), ("a", b"3", 1)]
    process.store.stop()


def test_a_killed_process_loses_nothing_that_was_acknowledged(tmp_path):
    process = start(tmp_path / "state")
    publish(process, "a 1", "b 2")
    shutil.copytree(tmp_path / "state", tmp_path / "killed")
    process.store.stop()
    process = start(tmp_path / "killed")
    assert replay(process) == ["MSG a 1", "MSG b 2"]
    process.store.stop()
