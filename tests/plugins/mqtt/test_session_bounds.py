"""Sessions under attack: what all of them together may take, and what nobody can make them do."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.message import Message, cost
from hubbub.publish import QosPublish
from hubbub_plugins.mqtt.packets import (
    Ack,
    Connect,
    Pingreq,
    Pingresp,
    Publish,
    Subscribe,
    Subscription,
    Unsubscribe,
    Will,
)
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, V5, V311, Client, MqttHub, Rights, kept, messages, subscription


@pytest.fixture
def place():
    return MqttHub()


def vanish(place, *clients):
    for client in clients:
        client.end.vanish()
    place.world.turn()


def ids(found):
    return [(type(one), one.id) for one in found]


# What all take together


def test_all_wills_together(place, monkeypatch):
    monkeypatch.setattr(limits, "WILL_BYTES_ALL", 1_000)
    will = Will(topic="w", payload=b"x" * 400)
    first, second = place.client("1", will=will), place.client("2", will=will)
    third = Client(place.listener)
    answer = third.connect("3", will=will)
    assert answer.code == 0x97
    assert third.closed
    assert place.client("3").connack.code == 0
    assert len(place.world.hub.clients) == 3
    assert Client(place.listener, V311).connect("4", will=will).code == 3  # server unavailable: 3.1.1 has no other word
    first.goodbye()
    vanish(place, second)
    assert place.world.hub.clients.will_bytes == 0
    again = place.client("5", **kept(V5), will=will)
    assert place.world.hub.clients.will_bytes == 401
    again = place.client("5", **kept(V5))
    assert place.world.hub.clients.will_bytes == 0
    assert again.connack.present


def test_a_will_takes_the_place_of_the_one_before_it(place, monkeypatch):
    monkeypatch.setattr(limits, "WILL_BYTES_ALL", 1_000)
    will = Will(topic="w", payload=b"x" * 900, properties={"will_delay_interval": 50})
    vanish(place, place.client("c", **kept(V5), will=will))
    assert place.client("c", **kept(V5), will=will).connack.present
    assert place.world.hub.clients.will_bytes == 901


def test_a_refused_will_leaves_the_session_on_its_node(place, monkeypatch):
    monkeypatch.setattr(limits, "WILL_BYTES_ALL", 1_000)
    client = place.client("c", **kept(V5))
    assert Client(place.listener).connect("c", will=Will(topic="w", payload=b"x" * 1_001)).code == 0x97
    assert not client.closed
    assert client.ping()


def test_what_goes_with_a_message_counts(place):
    client, writer = place.client("c", **kept(V5)), place.client("w")
    client.subscribe(subscription("a", 1))
    vanish(place, client)
    writer.publish("a", b"", qos=1, id=1, properties={"user_property": [("k", "v" * 1_000)] * 50})
    assert place.world.hub.clients.queued_bytes > 50_000
    twice = Message("a", b"", properties={"k": "v"})
    assert cost(twice) == 3 + limits.PROPERTY_BYTES


def test_the_largest_queue_gives_way(place, monkeypatch):
    monkeypatch.setattr(limits, "QUEUED_BYTES_ALL", 100_000)
    greedy, modest, writer = place.client("g", **kept(V5)), place.client("m", **kept(V5)), place.client("w")
    greedy.subscribe(subscription("#", 1))
    modest.subscribe(subscription("m", 1))
    vanish(place, greedy, modest)
    writer.publish("m", b"precious", qos=1, id=1)
    for n in range(200):
        writer.publish(f"g/{n}", b"x" * 1_000, qos=1, id=1)
    assert place.world.hub.clients.queued_bytes <= 100_000
    assert messages(place.client("m", **kept(V5)).first) == [("m", b"precious", 1)]
    got = place.client("g", **kept(V5)).first
    assert 50 < len(got) < 100
    assert got[-1].topic == "g/199"
    assert place.world.hub.clients.forgotten == 0


@pytest.mark.parametrize("there", [True, False])
def test_a_client_that_holds_back_acknowledgements_loses_the_session(place, monkeypatch, there):
    monkeypatch.setattr(limits, "QUEUED_BYTES_ALL", 50_000)
    hoarders, writer = [place.client(f"h{n}", **kept(V5)) for n in range(3)], place.client("w")
    modest = place.client("m")
    modest.subscribe(subscription("m", 1))
    for n, hoarder in enumerate(hoarders):
        hoarder.subscribe(subscription(f"h{n}", 1))
    for _ in range(20):
        for n in range(3):
            writer.publish(f"h{n}", b"x" * 1_000, qos=1, id=1)
        if not there:
            vanish(place, *hoarders)
    writer.publish("m", b"1", qos=1, id=1)
    assert messages(modest.output()) == [("m", b"1", 1)]
    assert place.world.hub.clients.queued_bytes <= 50_000
    if there:
        assert place.world.hub.clients.forgotten
        assert any(one.closed for one in hoarders)
        assert next(one for one in hoarders if one.closed).output()[-1].code == 0x97


def test_ten_thousand_sessions_and_one_more(place, monkeypatch):
    monkeypatch.setattr(limits, "SESSIONS", 20)
    monkeypatch.setattr(limits, "SESSIONS_SOURCE", 10)
    for n in range(5):
        vanish(place, place.client(f"good{n}", **kept(V5)))
    for n in range(50):  # a flood from elsewhere
        flood = Client(place.listener, host="198.51.100.9")
        flood.connect(f"flood{n}", **kept(V5))
        flood.end.vanish()
    place.world.turn()
    clients = place.world.hub.clients
    assert (len(clients), clients.forgotten) == (20, 35)
    assert all(place.client(f"good{n}", **kept(V5)).connack.present for n in range(5))
    assert Client(place.listener, host="198.51.100.9").connect("flood49", **kept(V5)).present
    assert not Client(place.listener, host="198.51.100.9").connect("flood30", **kept(V5)).present
    place.world.advance(101)
    assert clients._away_from == {}
    assert clients._away == {}


# What nobody can make them do


@pytest.mark.mqtt("5:3.3.4-9", "5:4.4.0-1")
def test_no_more_is_sent_again_than_the_client_takes(place):
    client, writer = place.client("c", **kept(V5)), place.client("w")
    client.subscribe(subscription("a", 2))
    for n in range(6):
        writer.publish("a", b"%d" % n, qos=2, id=n + 1)
    sent = [one.id for one in client.output()]
    client.ack(PUBREC, sent[0])
    vanish(place, client)
    more = {"session_expiry_interval": 100, "receive_maximum": 2}
    client = place.client("c", clean=False, properties=more)
    assert ids(client.first) == [(Ack, sent[0]), (Publish, sent[1])]
    writer.publish("a", b"6", qos=1, id=9)
    assert client.output() == []
    assert ids(client.ack(PUBCOMP, sent[0])) == [(Publish, sent[2])]
    client.ack(PUBREC, sent[3])  # of the link before
    assert client.ack(PUBCOMP, sent[3]) == []
    found = []
    for n in (1, 2, 4, 5):
        client.ack(PUBREC, sent[n])
        found += client.ack(PUBCOMP, sent[n])
    assert [(one.payload, one.dup) for one in found] == [(b"4", True), (b"5", True), (b"6", False)]


@pytest.mark.mqtt("5:4.4.0-1")
def test_a_takeover_amid_what_is_sent_again(place):
    client, writer = place.client("c", **kept(V5)), place.client("w")
    client.subscribe(subscription("a", 1))
    for n in range(50):
        writer.publish("a", b"%d" % n, qos=1, id=1)
    sent = [one.id for one in client.output()]
    vanish(place, client)
    data = Client(place.listener), Client(place.listener), Client(place.listener)
    for one in data:  # three CONNECTs that are read in one turn
        one.end.send(Connect(version=V5, client="c", **kept(V5)).encode(V5))
    place.world.turn()
    last = data[-1].output()
    assert [one.id for one in last[1:]] == sent
    assert all(one.closed for one in data[:2])
    assert not data[-1].closed
    for id in sent:
        data[-1].ack(PUBACK, id)
    assert place.world.hub.clients.queued_bytes == 0
    assert len(place.world.hub.clients) == 2


@pytest.mark.parametrize("kind", [PUBACK, PUBREC, PUBREL, PUBCOMP])
def test_identifiers_that_were_never_sent(place, kind):
    client, writer = place.client("c"), place.client("w")
    client.subscribe(subscription("a", 1))
    for id in (1, 2, 65_535):
        for answer in client.ack(kind, id):
            assert answer.code == 0x92
    writer.publish("a", qos=1, id=1)
    (got,) = client.output()
    client.ack(PUBACK, got.id)
    client.ack(PUBACK, got.id)
    assert place.world.hub.clients.queued_bytes == 0
    assert not client.closed


def test_a_will_is_held_to_the_permissions_of_its_time():
    rights = Rights()
    place = MqttHub(rights=lambda session: rights)
    ear = place.client("ear")
    ear.subscribe("#")
    delayed = {"will_delay_interval": 50}
    client = place.client("c", **kept(V5), will=Will(topic="w", payload=b"x", properties=delayed))
    vanish(place, client)
    rights.denied.add("w")
    place.world.advance(51)
    assert ear.output() == []


def test_new_rights_of_a_client_that_is_away_hold_for_the_will():
    denied = set()

    def rights(session):
        found = Rights()
        found.denied = set(denied)
        return found

    place = MqttHub(rights=rights)
    ear = place.client("ear")
    ear.subscribe("#")
    delayed = {"will_delay_interval": 50}
    vanish(place, place.client("c", **kept(V5), will=Will(topic="w", payload=b"x", properties=delayed)))
    denied.add("w")
    place.world.advance(51)
    assert ear.output() == []
    assert place.world.hub.clients.will_bytes == 0


def test_a_will_that_is_kept_names_no_answer_that_its_client_may_not_give():
    rights = Rights()
    rights.denied.add("secret")
    place = MqttHub(rights=lambda session: rights)
    ear = place.client("ear")
    ear.subscribe("w")
    for retain, output in ((True, 0), (False, 1)):
        will = Will(topic="w", payload=b"x", retain=retain, properties={"response_topic": "secret"})
        vanish(place, place.client("c", will=will))
        assert len(ear.output()) == output


def test_a_will_stays_below_the_mount_point():
    place = MqttHub()
    ear = place.client("ear")
    ear.subscribe("#")
    listener = place.world.listen("tcp", type(next(iter(place.listener.context.links)).dialect), prefix="boat")
    client = Client(listener)
    client.connect("c", will=Will(topic="w", payload=b"x", properties={"response_topic": "r"}))
    vanish(place, client)
    (got,) = ear.output()
    assert (got.topic, got.properties["response_topic"]) == ("boat/w", "boat/r")


def test_subscriptions_go_to_and_fro_without_a_trace(place):
    hub = place.world.hub
    client, writer = place.client("c", **kept(V5)), place.client("w")
    client.subscribe(subscription("a/+/#", 1), subscription("b", 0), subscription("$share/g/+/c", 1))
    hub.bound(Bounds(all_subscriptions=hub.subscriptions.count))  # it is full
    before = (hub.subscriptions.count, hub.router.trie.levels, len(hub.subscriptions._encodings))
    for _ in range(3):
        vanish(place, client)
        assert hub.subscriptions.count == before[0]
        writer.publish("a/1", b"1", qos=1, id=1)
        writer.publish("x/c", b"2", qos=1, id=1)
        client = place.client("c", **kept(V5))
        assert messages(client.first) == [("a/1", b"1", 1), ("x/c", b"2", 1)]
        for one in client.first:
            client.ack(PUBACK, one.id)
        assert (hub.subscriptions.count, hub.router.trie.levels, len(hub.subscriptions._encodings)) == before
        (link,) = [one for one in place.listener.context.links if one.session.client == "c"]
        assert link.session.levels == 4 + limits.SHARED_LEVELS
        writer.publish("b")
        assert messages(client.output()) == [("b", b"x", 0)]
    client.goodbye(session_expiry_interval=0)
    assert (hub.subscriptions.count, hub.router.trie.levels, hub.subscriptions._encodings) == (0, 0, {})


def test_a_session_with_many_subscriptions_ends_in_steps():
    context = MqttHub()
    hub, writer = context.world.hub, context.client("w")
    client = context.client("c", **kept(V5))
    for first in range(0, 1_000, 100):
        client.subscribe(*[subscription(f"s/{n}", 1) for n in range(first, first + 100)])
    client.end.vanish()
    context.world.advance(101)
    assert hub.subscriptions.count == 0
    assert hub.turn.scheduler.deferred["subscriptions"] == 1_000 // limits.SUBSCRIPTIONS_AT_ONCE - 1
    assert len(hub.clients) == 1
    writer.publish("s/1", qos=1, id=1)
    assert hub.clients.queued == 0


def test_a_session_that_has_ended_takes_nothing_while_its_subscriptions_end(monkeypatch):
    monkeypatch.setattr(limits, "SUBSCRIPTIONS_AT_ONCE", 1)
    context = MqttHub()
    hub, writer = context.world.hub, context.client("w")
    client, other = context.client("c", **kept(V5)), context.client("o", **kept(V5))
    client.subscribe(*[subscription(f"s/{n}", 1) for n in range(10)], subscription("$share/g/x", 1))
    other.subscribe(subscription("$share/g/x", 1))
    client.end.vanish()
    job = lambda: [hub.router.publish(QosPublish(topic, b"late", 1)) for topic in ("s/9", "x", "x")]  # noqa: E731
    monkeypatch.setattr(hub.clients, "has_expired", lambda client: hub.turn.scheduler.add("test", job))
    context.world.advance(101)
    assert hub.subscriptions.count == 2
    assert messages(other.output()) == [("x", b"late", 1)] * 2
    assert hub.clients.queued == 2  # in flight to the other
    assert hub.clients.queued_bytes < 1_000
    writer.goodbye()


def test_a_client_learns_what_its_session_has_lost(place, monkeypatch):
    monkeypatch.setattr(limits, "QUEUE_MESSAGES", 3)
    place.client("away", **kept(V5)).subscribe(subscription("a", 1))
    place.client("away", **kept(V5)).end.vanish()
    place.world.turn()
    for n in range(5):
        place.client("w").publish("a", b"%d" % n, qos=1, id=1)
    for reported in ([("hubbub-dropped", "2")], None):
        client = place.client("away", **kept(V5))
        assert client.connack.properties.get("user_property") == reported
        client.end.vanish()
        place.world.turn()


@pytest.mark.parametrize("qos", [0, 1])
def test_a_session_with_many_subscriptions_that_ends_with_its_link(place, monkeypatch, qos):
    """Its subscriptions end some in each turn, and nothing comes by the others."""
    monkeypatch.setattr(limits, "SUBSCRIPTIONS_AT_ONCE", 10)
    hub, writer, client = place.world.hub, place.client("w"), place.client("c")
    for at in range(0, 100, 20):
        client.subscribe(*[subscription(f"a/{n}", qos) for n in range(at, at + 20)])
    client.end.vanish()
    assert 80 <= hub.subscriptions.count < 100
    for n in range(100):
        hub.router.publish(QosPublish(f"a/{n}", b"x", 1))
    assert hub.clients.queued == hub.clients.queued_bytes == 0
    place.world.turn()
    assert hub.subscriptions.count == 0
    assert len(hub.clients) == 1
    assert not writer.closed


def test_many_filters_in_one_packet_are_subscribed_to_in_steps(place, monkeypatch):
    """The client's other packets wait, and the links of others have their turns."""
    monkeypatch.setattr(limits, "FILTERS_AT_ONCE", 10)
    monkeypatch.setattr(limits, "PIECES_AT_ONCE", 1)
    hub, client = place.world.hub, place.client("c")
    wishes = [Subscription(filter=f"a/{n}", qos=1) for n in range(100)]
    end = Unsubscribe(id=2, filters=[one.filter for one in wishes])
    client.end.send(Subscribe(id=1, subscriptions=wishes).encode(V5) + end.encode(V5) + Pingreq().encode(V5))
    client.end.move()
    assert hub.subscriptions.count == 10
    place.world.turn()
    suback, unsuback, pong = client.output()
    assert (suback.id, suback.codes, unsuback.id, unsuback.codes) == (1, [1] * 100, 2, [0] * 100)
    assert isinstance(pong, Pingresp)
    assert hub.subscriptions.count == 0
    assert hub.turn.scheduler.deferred["filters"] == 27


def test_a_client_that_goes_amid_many_filters(place, monkeypatch):
    monkeypatch.setattr(limits, "FILTERS_AT_ONCE", 10)
    monkeypatch.setattr(limits, "PIECES_AT_ONCE", 1)
    hub, client = place.world.hub, place.client("c")
    wishes = [Subscription(filter=f"a/{n}", qos=1) for n in range(100)]
    client.end.send(Subscribe(id=1, subscriptions=wishes).encode(V5))
    client.end.move()
    assert hub.subscriptions.count == 10
    client.end.vanish()
    place.world.turn()
    assert hub.subscriptions.count == len(hub.clients) == 0
