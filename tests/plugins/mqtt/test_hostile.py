"""What a few bytes can't cost, and what nobody gets by the session, the will or the group of somebody else."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.kernel.routing import sys_topics
from hubbub.message import Message, cost
from hubbub_plugins.mqtt.packets import V5, Publish, Suback, Subscribe, Will
from mqtt_client import PUBREC, Client, MqttHub, Rights, kept, subscription


class Asked:
    """A member's box that counts how often it is asked for room."""

    def __init__(self, receiver):
        self.receiver = receiver
        self.times = 0

    def __getattr__(self, name):
        return getattr(self.receiver, name)

    def room(self, message):
        self.times += 1
        return self.receiver.room(message)


@pytest.fixture
def context():
    return MqttHub()


def vanish(context, *clients):
    for client in clients:
        client.end.vanish()
    context.world.turn()


def share_of(context, name):
    return context.world.hub.shared._groups[name]


def watch(those):
    found = []
    for member in those:
        member.receiver = Asked(member.receiver)
        found.append(member.receiver)
    return found


def test_what_was_in_flight_isnt_sent_again_without_the_right():
    rights = Rights()
    context = MqttHub(rights=lambda session: rights)
    client, writer = context.client("c", **kept(V5)), context.client("w")
    client.subscribe(subscription("#", 2))
    for id, topic in enumerate(("secret", "public", "half"), 1):
        writer.publish(topic, b"x", qos=2, id=id)
    flew = {one.topic: one.id for one in client.output()}
    client.ack(PUBREC, flew["half"])
    vanish(context, client)
    rights.denied = {"secret", "half"}
    again = context.client("c", **kept(V5)).first
    assert [one.topic for one in again if isinstance(one, Publish)] == ["public"]
    assert [one.id for one in again if not isinstance(one, Publish)] == [flew["half"]]  # it has that one
    assert context.world.hub.clients.queued == 2


def test_a_will_has_the_rights_of_its_client_for_a_handler_that_answers_it():
    rights = Rights()
    context = MqttHub(rights=lambda session: rights)
    client = context.client("c", **kept(V5), will=Will(topic="w", payload=b"x", properties={"response_topic": "r"}))
    vanish(context, client)
    (known,) = context.world.hub.clients._known.values()
    assert known.state.owner.rights is rights


def test_wills_of_one_source_leave_room_for_others(context, monkeypatch):
    monkeypatch.setattr(limits, "WILL_BYTES_SOURCE", 1_000)
    will = Will(topic="w", payload=b"x" * 600)

    def connect(client, host):
        return Client(context.listener, host=host).connect(client, will=will, **kept(V5)).code

    assert connect("1", "192.0.2.1") == 0
    assert connect("2", "192.0.2.1") == 0x97
    assert connect("3", "192.0.2.2") == 0
    assert connect("1", "192.0.2.2") == 0x97
    assert [connect(client, "127.0.0.1") for client in "45"] == [0, 0]  # nobody tells them apart
    assert Client(context.listener, host="192.0.2.9").connect("1", **kept(V5)).present  # without one
    assert connect("2", "192.0.2.1") == 0


def test_a_search_on_sys_that_waits_holds_nothing(context, monkeypatch):
    looked = []
    context.world.hub.system._known = {"$SYS/broker/uptime": "1"}
    monkeypatch.setattr(sys_topics, "matches", lambda *_: looked.append(1))
    found = context.world.hub.system.match("$SYS/#")
    assert not looked
    assert list(found) == []


def test_searches_of_one_link_have_a_bound(context, monkeypatch):
    monkeypatch.setattr(limits, "SEARCHES", 2)
    monkeypatch.setattr(limits, "RETAINED_AT_ONCE", 1)
    writer, client = context.client("w"), context.client("c")
    for topic in "abc":
        writer.publish(topic, b"x", retain=True)
    two = Subscribe(id=1, subscriptions=[subscription("#")] * 2).encode(V5)
    output = [one for one in client.raw(two * 2) if isinstance(one, Suback)]
    assert [one.codes for one in output] == [[0, 0], [0x97, 0x97]]
    assert client.subscribe("#")[0].codes == [0]


def test_what_members_of_one_kind_cant_be_sent_asks_one_and_is_encoded_once(context, monkeypatch):
    for n in range(20):
        one = context.client(f"m{n}", properties={"maximum_packet_size": 40})
        one.subscribe("$share/g/a")
    hub, writer, encoded = context.world.hub, context.client("w"), []
    real = hub.router.encode_each
    monkeypatch.setattr(hub.router, "encode_each", lambda *more: encoded.append(1) or real(*more))
    receivers = watch(share_of(context, "$share/g/a").members)
    writer.publish("a", b"x" * 100)
    assert sum(receiver.times for receiver in receivers) == 1
    assert len(encoded) == 1


def test_a_client_that_is_away_isnt_asked_for_what_others_get(context):
    holder = context.client("h", **kept(V5))
    others = [context.client(f"o{n}", **kept(V5)) for n in range(5)]
    holder.subscribe(subscription("$share/g/a", 1))
    vanish(context, holder)
    writer = context.client("w")
    for n in range(10):
        writer.publish("a", b"%d" % n, qos=1, id=n + 1)
    for other in others:
        other.subscribe(subscription("$share/g/a", 1))
    vanish(context, *others)
    holder = context.client("h", **kept(V5))
    receivers = watch(share_of(context, "$share/g/a").away)
    assert len(receivers) == 5
    vanish(context, holder)
    assert [receiver.times for receiver in receivers] == [0] * 5


def test_user_properties_count_for_what_they_take():
    pairs = {f"{n}": "" for n in range(64)}
    assert cost(Message("a", b"", properties=pairs)) > 64 * 200


def test_a_will_of_a_client_that_is_given_a_name_stays_below_its_own_mount_point(context):
    ear = context.client("ear")
    ear.subscribe("#")
    listener = context.world.listen(
        "tcp", type(next(iter(context.listener.context.links)).dialect), prefix="t/{client}"
    )
    client = Client(listener)
    name = client.connect(will=Will(topic="w", payload=b"x")).properties["assigned_client_identifier"]
    vanish(context, client)
    assert [one.topic for one in ear.output()] == [f"t/{name}/w"]


@pytest.mark.parametrize(
    "more",
    [
        {"content_type": "a\0b"},
        {"reply_to": "a\0b"},
        {"properties": {"a": "b\0c"}},
        {"properties": {"a\0b": "c"}},
        {"properties": {"a": "\ud800"}},
    ],
)
@pytest.mark.parametrize("retain", [False, True])
def test_what_no_string_of_mqtt_may_have_ends_no_link(context, more, retain):
    """A client of another dialect may say it; one of MQTT would have to close (MQTT-1.5.4-2), again and again."""
    before, later = context.client("before"), context.client("later")
    before.subscribe(subscription("#", 1))
    context.world.hub.router.publish(Message("x", b"bad", retain, **more))
    context.world.hub.router.publish(Message("y", b"good", retain))
    context.world.turn()
    _, *retained = later.subscribe(subscription("#", 1))
    assert [one.payload for one in before.output()] == [b"good"]
    assert [one.payload for one in retained] == [b"good"] * retain
