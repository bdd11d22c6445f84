"""Idempotency keys in the durable store: each is in the batch of its message, and outlives the process with it."""

from __future__ import annotations

from hubbub import limits
from hubbub.dialects.json import Json
from hubbub.kernel.history.rule import HistoryRule
from hubbub.storage.reading import open_reader
from hubbub_plugins.mqtt.packets import Ack
from mqtt_client import PUBACK, V5, kept, messages
from storage.test_faults import Process


def once(client, topic: str = "a", key: str = "k", id: int = 1):
    return client.publish(topic, b"1", qos=1, id=id, properties={"user_property": [("once", key)]})


def received(process: Process) -> list[tuple[str, bytes, int]]:
    return messages(process.client("away", **kept(V5)).first)


def test_a_retry_waits_for_the_commit_of_the_first(disk, tmp_path):
    process = Process(tmp_path / "state")
    process.away("away", "a")
    first, second = process.client("w"), process.client("v")
    disk.go.clear()
    assert once(first) == []
    assert once(second) == []
    disk.go.set()
    process.settle()
    assert first.output() == second.output() == [Ack(kind=PUBACK, id=1)]
    assert once(second) == [Ack(kind=PUBACK, id=1)]  # at once: it is safe by now
    assert received(process) == [("a", b"1", 1)]
    process.store.stop()


def test_after_a_power_loss_key_and_message_are_both_there_or_neither(disk, tmp_path):
    process = Process(tmp_path / "state")
    process.away("away", "a")
    writer = process.client("w")
    once(writer, key="safe")
    process.settle()
    assert writer.output() == [Ack(kind=PUBACK, id=1)]
    disk.go.clear()
    once(writer, key="lost", id=2)
    disk.lose_power(tmp_path / "later")
    disk.go.set()
    process.store.stop()

    later = Process(tmp_path / "later")
    writer = later.client("w")
    assert once(writer, key="safe") == [Ack(kind=PUBACK, id=1)]
    once(writer, key="lost", id=2)
    later.settle()
    assert writer.output() == [Ack(kind=PUBACK, id=2)]
    assert received(later) == [("a", b"1", 1)] * 2
    later.store.stop()


def test_a_retry_after_a_restart_has_the_position_of_the_first(disk, tmp_path):
    command = b'{"op":"publish","topic":"a","data":1,"id":1,"once":"k"}\n'

    def publish() -> bytes:
        process = Process(tmp_path / "state", history=[HistoryRule("a")])
        client = process.hub.world.listen("tcp", Json).connect()
        client.send(command)
        process.settle()
        process.store.stop()
        return client.received()

    first = publish()
    assert b'"position":"' in first
    assert publish() == first


def test_a_key_is_kept_where_no_session_keeps_the_message(disk, tmp_path):
    process = Process(tmp_path / "state")
    writer = process.client("w")
    assert once(writer, "nowhere") == []
    process.settle()
    assert writer.output() == [Ack(kind=PUBACK, id=1, code=0x10)]
    process.store.stop()
    later = Process(tmp_path / "state")
    assert once(later.client("w"), "nowhere") == [Ack(kind=PUBACK, id=1, code=0x10)]
    assert later.hub.world.hub.idempotency.repeated == 1
    later.store.stop()


def test_keys_that_are_old_leave_the_file(disk, tmp_path):
    process = Process(tmp_path / "state")
    writer = process.client("w")
    for n in range(5):
        once(writer, key=f"{n}")
    process.settle()
    process.hub.world.advance(limits.ONCE_SECONDS + 1)
    process.settle()
    reader = open_reader(tmp_path / "state")
    assert reader.execute("SELECT count(*) FROM keys").get == 0
    reader.close()
    process.store.stop()


def test_nothing_new_is_taken_while_nothing_can_be_kept(disk, tmp_path):
    process = Process(tmp_path / "state")
    writer = process.client("w")
    process.store.commits.refuses = "the disk is full"
    (answer,) = once(writer, "nowhere")
    assert (answer.code, answer.properties["reason_string"]) == (0x97, "the disk is full")
    process.store.commits.refuses = ""
    once(writer, "nowhere", id=2)
    process.settle()
    assert writer.output() == [Ack(kind=PUBACK, id=2, code=0x10)]
    process.store.stop()
