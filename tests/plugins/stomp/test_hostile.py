"""What a STOMP client can't make the hub spend: time, memory, or the messages of others."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from hubbub import limits
from hubbub.kernel.sessions.work_queues import WorkQueue
from stomp_client import StompHub, write

MANY = 200_000  # bytes: as one turn reads them
SECONDS = 0.5  # of processor time for that, ten times what it takes


@pytest.fixture
def hub():
    return StompHub()


def spent(client, data):
    """Seconds of processor time until the hub has dealt with `data`."""
    begun = time.process_time()
    client.raw(data)
    return time.process_time() - begun


@pytest.mark.parametrize(
    "flood",
    [
        b"\n" * MANY,
        b"\r\n" * (MANY // 2),
        b"SEND\r\na:b\r\n\r\n\0" * (MANY // 15),
        b"SEND\r\ndestination:a\r\n\r\n\r\r\r\0" * (MANY // 28),
        b"SEND\n" + b"\\n:" * (limits.STOMP_HEAD_BYTES // 3),
        b"SEND\n" + b"\r" * (MANY - 5),
        write("SEND", b"\n" * 50_000, destination="a") * 4,
        b"".join(write("SEND", destination=f"t/{n}") for n in range(MANY // 30)),
    ],
    ids=range(8),
)
def test_a_read_costs_little(hub, flood):
    assert spent(hub.client(), flood) < SECONDS


def test_bytes_that_come_one_by_one_cost_little(hub):
    client = hub.client()
    said = write("SEND", b"x" * 2_000, destination="a/" + "b" * 2_000)
    begun = time.process_time()
    for byte in said:
        client.end.send(bytes((byte,)))
    hub.world.turn()
    assert time.process_time() - begun < SECONDS


@pytest.mark.parametrize("extra", [0, 1])
def test_the_longest_message(extra):
    hub = StompHub(max_message=1_000)
    client = hub.client()
    client.subscribe("a")
    found = client.publish("a", b"x" * (1_000 + extra))
    assert [frame.command for frame in found] == ["ERROR" if extra else "MESSAGE"]
    assert client.closed == bool(extra)


def test_a_length_that_is_too_long_is_refused_at_once():
    hub = StompHub(max_message=1_000)
    client = hub.client()
    (error,) = client.raw(b"SEND\ndestination:a\ncontent-length:1001\n\n")
    assert (error.command, error.code) == ("ERROR", "too-long")


def test_heads_are_remembered_up_to_a_bound(hub):
    client = hub.client()
    for n in range(limits.TOPIC_TABLE + 10):
        client.publish(f"t/{n}")
        client.publish("x" * limits.TOPIC_TABLE_BYTES + str(n))
    (link,) = hub.listener.context.links
    assert 0 < len(link.dialect._reader._heads) <= limits.TOPIC_TABLE


def test_a_header_cant_be_smuggled_into_a_frame_of_others(hub):
    ear, client = hub.client(), hub.client()
    ear.subscribe("#", id="0\nack:1")
    name, value = "k\nack", "v\n\nforged\0"[:-1]
    client.raw(f"SEND\ndestination:a\nb\n{name}:{value}\n\nx\0")
    assert client.closed
    other = hub.client()
    escaped = "SEND\ndestination:a\\nid\\c7\nk\\nack:v\\n\\nforged\ncontent-type:a\\nb\n\nx\0"
    other.raw(escaped.encode())
    (frame,) = ear.output()
    assert (frame.destination, frame.subscription, frame.body) == ("a\nid:7", "0\nack:1", b"x")
    assert frame.headers["k\nack"] == "v\n\nforged"
    assert "ack" not in frame.headers


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_a_version_cant_say_is_left_out(hub, version):
    ear, client = hub.client(version), hub.client()
    ear.subscribe("#")
    client.publish("a", b"x", **{"k\\c1": "v", "k2": "a\nb", "k3": "fine"})
    (frame,) = ear.output()
    known = {"k:1", "k2", "k3"} & set(frame.headers)
    assert known == ({"k3"} if version == "1.0" else {"k:1", "k2", "k3"})
    client.publish("a\nb", b"x")
    assert len(ear.output()) == (version == "1.1")


def test_an_acknowledgement_asks_no_more_queues_than_there_is_room_for(hub, monkeypatch):
    asked = []
    real = WorkQueue._has_room
    monkeypatch.setattr(WorkQueue, "_has_room", lambda queue, member: asked.append(1) or real(queue, member))
    queues = [f"/queue/{n}" for n in range(50)]
    client, sender = hub.client(), hub.client()
    for at, name in enumerate(queues):
        client.subscribe(name, id=f"s{at}", ack="client-individual")
    for name in queues:
        sender.raw(b"".join(write("SEND", b"%d" % n, destination=name) for n in range(4)))
    client.end.world.turn()
    waiting = client.output()
    assert len(waiting) == limits.INFLIGHT_MESSAGES
    output = []
    while waiting:
        output.append(waiting.pop(0))
        before = len(asked)
        waiting += client.raw(write("ACK", id=output[-1].ack)) + client.output()
        assert len(asked) - before <= 2
    assert Counter(frame.headers["destination"] for frame in output) == dict.fromkeys(queues, 4)


@pytest.mark.parametrize("begin", [b"POST /a HTTP/1.1\r\nHost: a\r\n\r\nPUB a b\n", b"X", b"\n\nCONNECTED\n"])
def test_what_can_be_no_frame_is_not_waited_for(hub, begin):
    client = hub.stranger()
    found = client.raw(begin)
    assert [(frame.command, frame.headers["message"]) for frame in found] == [
        ("ERROR", "the first frame isn't CONNECT or STOMP")
    ]
    assert client.closed


def test_a_connect_may_come_byte_by_byte_behind_line_ends(hub):
    client = hub.stranger()
    *first, last = b"\r\n\n" * 30 + write("CONNECT", accept_version="1.2", host="h")
    for byte in first:
        assert client.raw(bytes([byte])) == []
    assert [frame.command for frame in client.raw(bytes([last]))] == ["CONNECTED"]
