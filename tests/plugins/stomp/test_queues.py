"""Work queues: `/queue/NAME` of STOMP, which clients of other dialects share (kernel/sessions/work_queues.py)."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.dialects.lines import Lines
from hubbub.kernel.authorization.permissions import Audience, Clause, Permissions, Rule
from hubbub.kernel.sessions.work_queues import WorkQueue
from hubbub.template import Template
from hubbub_plugins.mqtt import Mqtt
from mqtt_client import PUBACK, kept, messages, subscription
from mqtt_client import Client as MqttClient
from stomp_client import StompHub, write

JOBS = "/queue/jobs"


@pytest.fixture(params=["tcp", "websocket"])
def context(request):
    return StompHub(request.param)


@pytest.fixture
def hub():
    return StompHub()


def send(client, *bodies, **headers):
    found = client.raw(b"".join(write("SEND", body, destination=JOBS, **headers) for body in bodies))
    client.end.world.turn()
    return found


def numbers(count, first=0):
    return [b"%d" % n for n in range(first, first + count)]


def worker(hub, mode="client-individual", **headers):
    client = hub.client(**headers)
    client.begun = client.subscribe(JOBS, ack=mode)
    return client


def bodies(frames):
    assert {frame.command for frame in frames} <= {"MESSAGE"}
    return [frame.body for frame in frames]


def work(client, frames):
    """Acknowledge, and return what comes then."""
    return client.raw(b"".join(write("ACK", id=frame.ack) for frame in frames)) + client.output()


def vanish(client):
    client.end.vanish()
    client.end.world.turn()
    client.end.world.turn()


def waiting(hub):
    return hub.world.hub.clients.queued


def test_what_a_worker_held_counts_once_when_it_goes(hub):
    send(hub.client(), *numbers(3))
    one = worker(hub)
    assert bodies(one.begun + one.output()) == numbers(3)
    before = hub.world.hub.clients.queued_bytes
    assert before > 0
    vanish(one)
    assert hub.world.hub.clients.queued_bytes == before


# Messages wait, and go to one


@pytest.mark.parametrize("mode", ["auto", "client", "client-individual"])
def test_messages_wait_for_the_first_worker(context, mode):
    assert send(context.client(), *numbers(3), receipt=1)[0].command == "RECEIPT"
    one = worker(context, mode)
    frames = one.begun + one.output()
    assert bodies(frames) == numbers(3)
    assert {frame.destination for frame in frames} == {JOBS}
    assert waiting(context) == (0 if mode == "auto" else 3)


def test_the_receipt_of_subscribe_comes_before_what_waits(context):
    send(context.client(), b"0")
    client = context.client()
    frames = client.subscribe(JOBS, receipt="r", ack="client") + client.output()
    assert [frame.command for frame in frames] == ["RECEIPT", "MESSAGE"]


def test_each_message_goes_to_one(context):
    workers = [worker(context) for _ in range(3)]
    send(context.client(), *numbers(9))
    got = [bodies(one.output()) for one in workers]
    assert sorted(body for one in got for body in one) == numbers(9)
    assert [len(one) for one in got] == [3, 3, 3]


def test_a_client_that_has_enough_gets_no_more():
    hub = StompHub(options={"prefetch": 2})
    slow, quick = worker(hub), worker(hub)
    send(hub.client(), *numbers(10))
    assert len(slow.output()) == 2
    found, frames = [], quick.output()
    while frames:
        found += bodies(frames)
        frames = work(quick, frames)
    assert len(found) == 8
    assert waiting(hub) == 2  # which the slow one has


def test_a_backlog_is_shared_with_a_client_that_comes_later():
    hub = StompHub(options={"prefetch": 2})
    send(hub.client(), *numbers(10))
    first, second = worker(hub), worker(hub)
    assert (len(first.begun + first.output()), len(second.begun + second.output())) == (2, 2)


def test_it_is_a_topic_too(hub):
    """Audience subscribes to the topic gets a copy of each message."""
    watcher, one = hub.client(), worker(hub)
    watcher.subscribe("queue/#")
    send(hub.client(), b"0")
    assert [(frame.destination, frame.body) for frame in watcher.output()] == [("queue/jobs", b"0")]
    assert bodies(one.output()) == [b"0"]


# Acknowledging


@pytest.mark.parametrize("end", ["vanish", "disconnect", "error"])
def test_what_a_client_hasnt_acknowledged_goes_to_another(context, end):
    one = worker(context)
    send(context.client(), *numbers(5))
    frames = one.output()
    work(one, frames[1:2])
    other = worker(context)
    assert other.output() == []
    if end == "vanish":
        vanish(one)
    else:
        one.say("DISCONNECT" if end == "disconnect" else "NONSENSE")
    other.end.world.turn()
    assert bodies(other.output()) == [b"0", b"2", b"3", b"4"]


def test_without_another_it_waits_in_its_order(context):
    one = worker(context)
    send(context.client(), *numbers(5))
    work(one, one.output()[1:2])
    vanish(one)
    send(context.client(), b"5")
    other = worker(context)
    assert bodies(other.begun + other.output()) == [b"0", b"2", b"3", b"4", b"5"]


def test_acknowledged_is_gone(context):
    one = worker(context, "client")
    send(context.client(), *numbers(5))
    work(one, one.output()[-1:])
    vanish(one)
    other = worker(context)
    assert (other.begun + other.output(), waiting(context)) == ([], 0)


def test_what_is_refused_goes_to_another(hub):
    one, other = worker(hub), worker(hub)
    send(hub.client(), b"0")
    (frame,) = one.output()
    one.say("NACK", id=frame.ack)
    assert bodies(other.output()) == [b"0"]


def test_what_is_refused_goes_behind_the_others(hub):
    one = worker(hub)
    send(hub.client(), b"0", b"1")
    first, second = one.output()
    again = one.say("NACK", id=first.ack) + one.output()
    assert bodies(again) == [b"0"]
    assert again[0].ack not in (first.ack, second.ack)


def test_a_message_that_all_members_refuse_is_dropped(hub):
    one = worker(hub)
    send(hub.client(), b"0")
    frames, times = one.output(), 0
    while frames:
        times += 1
        frames = one.say("NACK", id=frames[0].ack) + one.output()
    assert times == limits.WORK_QUEUE_REFUSALS
    assert hub.world.hub.turn.counters.dropped == 1
    assert waiting(hub) == 0


def test_after_unsubscribe_what_it_has_is_its_own_until_it_goes(hub):
    one, other = worker(hub), worker(hub)
    send(hub.client(), b"0")
    (frame,) = one.say("UNSUBSCRIBE", id=0)
    send(hub.client(), b"1")
    assert bodies(other.output()) == [b"1"]
    work(one, [frame])
    assert waiting(hub) == 1  # the other's


# Other dialects


def test_any_dialect_may_put_messages_in(hub):
    worker(hub).say("DISCONNECT")
    lines = hub.world.listen("tcp", Lines).connect()
    lines.say(b"PUB queue/jobs from lines\n")
    mqtt = MqttClient(hub.world.listen("tcp", Mqtt))
    mqtt.connect("c")
    assert mqtt.publish("queue/jobs", b"from MQTT", qos=1, id=1)[0].code == 0
    one = worker(hub)
    frames = one.begun + one.output()
    assert bodies(frames) == [b"from lines", b"from MQTT"]
    assert {frame.persistent for frame in frames} == {"true"}
    vanish(one)
    assert waiting(hub) == 2


def test_any_dialect_may_take_messages_out(hub):
    send(hub.client(), *numbers(2))
    lines = hub.world.listen("tcp", Lines).connect()
    output = lines.say(b"SUB $share/queue/queue/jobs\n")
    assert output == b"OK SUB $share/queue/queue/jobs\nMSG queue/jobs 0\nMSG queue/jobs 1\n"
    lines.vanish()
    hub.world.turn()
    mqtt = MqttClient(hub.world.listen("tcp", Mqtt))
    mqtt.connect("c", **kept(mqtt.version))
    mqtt.subscribe(subscription("$share/queue/queue/jobs", 2))
    send(hub.client(), *numbers(2, 2))
    found = mqtt.output()
    assert messages(found) == [("queue/jobs", b"2", 1), ("queue/jobs", b"3", 1)]
    mqtt.ack(PUBACK, found[0].id)
    vanish(mqtt)
    assert waiting(hub) == 1
    one = worker(hub)
    assert one.begun + one.output() == []  # its session goes on, and has the message
    hub.world.advance(101)
    assert bodies(one.output()) == [b"3"]


def test_members_that_were_there_before_it_was_a_queue(hub):
    mqtt = MqttClient(hub.world.listen("tcp", Mqtt))
    mqtt.connect("c")
    mqtt.subscribe(subscription("$share/queue/queue/jobs", 1))
    send(hub.client(), b"0")
    assert messages(mqtt.output()) == [("queue/jobs", b"0", 1)]
    vanish(mqtt)
    one = worker(hub)
    assert bodies(one.begun + one.output()) == [b"0"]


def test_what_one_member_cant_carry_another_gets(hub):
    mqtt = MqttClient(hub.world.listen("tcp", Mqtt))
    mqtt.connect("c", properties={"maximum_packet_size": 60})
    mqtt.subscribe(subscription("$share/queue/queue/jobs", 1))
    one = worker(hub)
    send(hub.client(), *[b"x" * 100] * 4)
    assert len(one.output()) == 4
    vanish(one)
    hub.world.advance(2)
    hub.world.turn()
    assert waiting(hub) == 0
    assert hub.world.hub.turn.counters.uncarried == 4


# Bounds


def test_a_full_queue_refuses_more(hub, monkeypatch):
    monkeypatch.setattr(limits, "QUEUE_MESSAGES", 8)
    client = hub.client()
    send(client, *numbers(8))
    assert client.publish("a", receipt=1)[0].command == "RECEIPT"
    error = client.publish(JOBS, receipt=2)[-1]
    assert (error.command, error.code, error.receipt_id) == ("ERROR", "quota", "2")
    one = worker(hub)
    assert bodies(one.begun + one.output()) == numbers(8)


def test_other_publishers_lose_what_is_too_much(hub, monkeypatch):
    monkeypatch.setattr(limits, "QUEUE_MESSAGES", 8)
    worker(hub).say("DISCONNECT")
    lines = hub.world.listen("tcp", Lines).connect()
    for n in range(20):
        lines.say(b"PUB queue/jobs %d\n" % n)
    assert waiting(hub) == 10
    assert hub.world.hub.turn.counters.dropped == 10


def test_queues_are_bounded_and_idle_ones_give_way(hub, monkeypatch):
    monkeypatch.setattr(limits, "WORK_QUEUES", 3)
    client = hub.client()
    for n in range(3):
        client.publish(f"/queue/{n}")
    assert client.publish("/queue/3", receipt=1)[0].code == "quota"
    one = hub.client()
    one.subscribe("/queue/1", ack="auto")
    one.say("DISCONNECT")
    client = hub.client()
    assert client.publish("/queue/3", receipt=1)[0].command == "RECEIPT"
    assert waiting(hub) == 3


def test_large_queues_are_trimmed_with_those_of_clients(hub, monkeypatch):
    monkeypatch.setattr(limits, "QUEUED_BYTES_ALL", 10_000)
    send(hub.client(), *[b"x" * 500] * 30)
    hub.world.turn()
    assert 0 < waiting(hub) < 20
    assert hub.world.hub.clients.queued_bytes <= 10_000


def test_expired_messages_are_dropped(hub):
    at = round(1_000 * (hub.world.wall() + 10))
    send(hub.client(), b"0", expires=at)
    send(hub.client(), b"1")
    hub.world.advance(11)
    one = worker(hub)
    assert bodies(one.begun + one.output()) == [b"1"]


def test_a_long_backlog_takes_several_turns(hub, monkeypatch):
    lent, flush = [], WorkQueue.flush

    def watched(queue):
        before = len(queue.state.queue)
        flush(queue)
        lent.append(before - len(queue.state.queue))
        lent[-1:] = lent[-1:] if lent[-1] else []

    monkeypatch.setattr(WorkQueue, "flush", watched)
    send(hub.client(), *numbers(3_000))
    one = worker(hub, "auto")
    assert len(one.begun + one.output()) == 3_000
    assert lent == [limits.WORK_QUEUE_TURN] * (3_000 // limits.WORK_QUEUE_TURN)


def test_a_slow_worker_at_qos_0_is_asked_again(hub):
    one, client = worker(hub, "auto"), hub.client()
    one.end.taking = False
    for _ in range(9):
        send(client, b"x" * 1_000_000)
    assert waiting(hub) > 4
    one.end.taking = True
    for _ in range(3):
        hub.world.advance(limits.WORK_QUEUE_SECONDS)
    assert len(one.output()) == 9
    assert waiting(hub) == 0


# Rights


def rights(*said):
    clauses = [Clause(True, action, Template(filter, "filter"), "") for action, filter in said]
    return Permissions([Rule(Audience(), tuple(clauses))]).of


@pytest.mark.parametrize(
    ("allowed", "may_send", "may_work"),
    [([("publish", "queue/jobs")], True, False), ([("subscribe", "queue/#")], False, True), ([], False, False)],
)
def test_rights(allowed, may_send, may_work):
    hub = StompHub(rights=rights(*allowed))
    assert (hub.client().publish(JOBS, receipt=1)[-1].command == "RECEIPT") == may_send
    assert (hub.client().subscribe(JOBS, receipt=1)[0].command == "RECEIPT") == may_work
    assert len(hub.world.hub.shared) == (may_send or may_work)


def test_a_mount_point_has_queues_of_its_own():
    hub = StompHub(prefix="t")
    send(hub.client(), b"0")
    other = hub.world.listen("tcp", hub.kind)
    from stomp_client import Client

    client = Client(other)
    client.connect()
    assert client.subscribe(JOBS) + client.output() == []
    client.say("DISCONNECT")
    client = Client(other)
    client.connect()
    frames = client.subscribe("/queue/x") + client.subscribe("$share/queue/t/queue/jobs", id=1) + client.output()
    assert bodies(frames) == [b"0"]
