"""How long a message may wait for one session, `--limit queue-age`."""

from __future__ import annotations

import time

import pytest

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub_plugins.mqtt.connect import DROPPED
from mqtt_client import PUBACK, V5, MqttHub, kept, messages, subscription
from storage.journal import DatabaseDisk, run

MINUTE = Bounds(queue_age=60.0)


def away(context: MqttHub, name: str, **more: object) -> None:
    client = context.client(name, **(kept(V5) | more))
    client.subscribe(subscription("a", 1))
    client.end.vanish()
    context.world.turn()


def reported(client) -> int:
    """How many messages the session of a client has lost, as CONNACK says."""
    return int(dict(client.connack.properties.get("user_property", ())).get(DROPPED, "0"))


@pytest.mark.parametrize("sessions", [1, 2 * limits.AWAY_SESSIONS], ids=["its own queue", "a log of many"])
def test_what_has_waited_for_too_long_is_dropped_and_counted(sessions):
    context = MqttHub()
    hub, writer = context.world.hub, context.client("w")
    for n in range(sessions):
        away(context, f"s{n}")
    writer.publish("a", b"old", qos=1, id=1)
    hub.bound(MINUTE)
    context.world.advance(50)
    writer.publish("a", b"new", qos=1, id=1)
    size = hub.clients.queued_bytes
    context.world.advance(25)
    assert 0 < hub.clients.queued_bytes < size  # also of clients that stay away
    assert hub.turn.counters.dropped + hub.clients.unsettled == sessions
    for n in range(sessions):
        client = context.client(f"s{n}", **kept(V5))
        assert (messages(client.first), reported(client)) == ([("a", b"new", 1)], 1)


def test_a_client_that_comes_back_gets_the_number_of_expired_messages():
    context = MqttHub()
    context.world.hub.bound(MINUTE)
    away(context, "s")
    context.client("w").publish("a", b"old", qos=1, id=1)
    context.world.advance(61)
    client = context.client("s", **kept(V5))
    assert (messages(client.first), reported(client)) == ([], 1)


def test_a_work_queue_has_the_bound_too(tmp_path):
    disk = DatabaseDisk(tmp_path)
    context = run(disk)
    context.world.hub.clients.open_queue("$share/queue/a", False)
    writer = context.client("w")
    for n in range(3):
        writer.publish("a", b"%d" % n, qos=1, id=n + 1)
    context = run(disk)  # where the store alone has them
    world = context.world
    world.hub.bound(Bounds(queue_age=0.0))
    world.advance(time.time() - world.wall())  # the store counts real seconds
    world.hub.bound(MINUTE)
    world.advance(50)
    assert (world.hub.clients.queued, world.hub.turn.counters.dropped) == (3, 0)
    world.advance(25)
    assert (world.hub.clients.queued, world.hub.turn.counters.dropped) == (0, 3)
    for one in disk.stores:
        one.stop()


def test_what_is_in_flight_stays():
    context = MqttHub()
    context.world.hub.bound(MINUTE)
    client, writer = context.client("s", **kept(V5)), context.client("w")
    client.subscribe(subscription("a", 1))
    writer.publish("a", b"old", qos=1, id=1)
    (sent,) = client.output()
    context.world.advance(100)
    client.ack(PUBACK, sent.id)
    assert context.world.hub.turn.counters.dropped == 0


def test_a_queue_of_an_earlier_process_has_its_age(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SESSION_SECONDS", 1e10)
    disk = DatabaseDisk(tmp_path)
    context = run(disk)
    away(context, "s", properties={"session_expiry_interval": 2**32 - 2})
    writer = context.client("w")
    for n in range(3):
        writer.publish("a", b"%d" % n, qos=1, id=n + 1)
    context = run(disk)
    world = context.world
    world.hub.bound(Bounds(queue_age=0.0))
    world.advance(time.time() - world.wall())  # the store counts real seconds
    world.hub.bound(MINUTE)
    world.advance(50)
    assert world.hub.clients.queued == 3
    world.advance(25)
    assert world.hub.clients.queued == 0
    assert reported(context.client("s", **kept(V5))) == 3
    for one in disk.stores:
        one.stop()
