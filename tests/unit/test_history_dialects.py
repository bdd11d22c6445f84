"""The history in each dialect: one position serves all of them."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest

from hubbub import limits
from hubbub.dialects.http import Http
from hubbub.dialects.json import Json
from hubbub.events import Subscribe
from hubbub.http import HttpRequest
from hubbub.kernel.history.rule import HistoryRule
from hubbub_plugins.mqtt.packets import Suback
from mqtt_client import PUBACK, MqttHub, subscription
from unit.history_help import Lines, hub_with, lines


@pytest.fixture
def world():
    world, _ = hub_with(HistoryRule("#"))
    return world


@pytest.fixture
def position(world):
    lines(world, "PUB a zero")
    position = world.hub.history.end
    lines(world, "PUB a one", "PUB a two")
    return position


def end(world):
    return world.hub.history.end


def say(world, link, *commands):
    data = "".join(json.dumps(one) + "\n" for one in commands).encode()
    return [json.loads(line) for line in world.say(link, data).splitlines()]


def get(world, path, query, **headers):
    """What an HTTP client hears, and its link."""
    link = world.link(Http, transport="websocket")
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = HttpRequest.made("GET", path.encode(), {name: [*value] for name, value in query.items()}, names)
    link.receive(request)
    world.turn()
    return link.wire.output(), link


def test_json(world, position):
    link = world.link(Json)
    first, one, two, live = say(
        world, link, {"op": "subscribe", "topic": "a", "after": position, "meta": True, "id": 7}
    )
    assert first == {"op": "subscribed", "topic": "a", "id": 7, "position": end(world)}
    assert [message["data"] for message in (one, two)] == ["one", "two"]
    assert two["position"] == end(world)
    assert live == {"op": "live", "topic": "a", "position": end(world)}
    lines(world, "PUB a three")
    three = json.loads(link.wire.output())
    assert (three["data"], three["position"]) == ("three", end(world))
    assert lines(world, f"SUB a AFTER {two['position']}")[1] == "MSG a three"


@pytest.mark.parametrize("asked", [{"after": "x"}, {"since": 1e9}])
def test_json_says_what_is_lost(world, position, asked):
    first, *rest = say(world, world.link(Json), {"op": "subscribe", "topic": "a", **asked})
    assert first == {"op": "subscribed", "topic": "a", "position": end(world), "complete": False}
    assert [one.get("data") for one in rest] == ["zero", "one", "two", None]


def test_json_last(world, position):
    _, one, _ = say(world, world.link(Json), {"op": "subscribe", "topic": "#", "last": 1})
    assert one == {"op": "message", "topic": "a", "data": "two"}


@pytest.mark.parametrize("asked", [{"after": 1}, {"since": -1}, {"last": -1}, {"last": 1.5}, {"after": "x", "last": 1}])
def test_json_refuses(world, asked):
    (error,) = say(world, world.link(Json), {"op": "subscribe", "topic": "a", **asked})
    assert (error["op"], error["code"]) == ("error", "bad-command")


def test_what_is_lost_on_the_way_is_reported_in_each_dialect(world):
    said = world.link(Json).dialect.encode_lost(Subscribe("a"), "e-1")
    assert json.loads(said) == {"op": "lost", "topic": "a", "position": "e-1"}
    assert world.link(Lines).dialect.encode_lost(Subscribe("a"), "e-1") == b"LOST e-1\n"


def test_server_sent_events(world, position):
    output, link = get(world, "/events", {"filter": ["a"], "after": [position]})
    before_last, last = (number(position, more) for more in (1, 2))
    assert output == (
        f":\n\nid: {before_last}\nevent: a\ndata: one\n\nid: {last}\nevent: a\ndata: two\n\nid: {last}\n\n".encode()
    )
    lines(world, "PUB a three")
    assert link.wire.output() == f"id: {end(world)}\nevent: a\ndata: three\n\n".encode()
    again, _ = get(world, "/events", {"filter": ["a"], "since": ["1h"]}, last_event_id=last)
    assert again == f":\n\nid: {end(world)}\nevent: a\ndata: three\n\nid: {end(world)}\n\n".encode()


def number(position, more):
    epoch, _, n = position.rpartition("-")
    return f"{epoch}-{int(n) + more}"


def test_an_event_source_that_comes_back_with_another_epoch(world, position):
    output, _ = get(world, "/events", {"filter": ["a", "b"]}, last_event_id="other-1")
    assert output.startswith(b":\n\nevent: $hubbub/lost\ndata: ")
    assert output.count(b"event: a\n") == 3
    output, _ = get(world, "/events", {"filter": ["a"], "format": ["json"]}, last_event_id="other-1")
    assert output.startswith(b':\n\ndata: {"op":"lost","position":"')


def test_json_lines_over_http(world, position):
    output, link = get(world, "/messages", {"filter": ["a"], "last": ["1"], "poll": ["1"]})
    two, live = map(json.loads, output.splitlines())
    assert (two["data"], two["position"]) == ("two", end(world))
    assert live == {"op": "live", "position": end(world)}
    assert link.wire.closed is not None
    output, link = get(world, "/messages", {"filter": ["a", "b/#"], "after": [position], "poll": ["1"]})
    assert [json.loads(line).get("data") for line in output.splitlines()] == ["one", "two", None, None]
    assert link.wire.closed is not None


@pytest.mark.parametrize("query", [{"since": ["x"]}, {"last": ["-1"]}, {"last": ["1"], "since": ["1"]}])
def test_http_refuses(world, query):
    output, _ = get(world, "/events", {"filter": ["a"], **query})
    assert json.loads(output)["status"] == 400


def test_http_says_the_position_of_what_it_has_published(world):
    link = world.link(Http, transport="websocket")
    link.receive(HttpRequest.made("POST", b"/topics/a", body=b"1"))
    world.turn()
    assert json.loads(link.wire.output()) == {"receivers": 0, "position": end(world)}


@pytest.fixture
def mqtt():
    hub = MqttHub()
    hub.world.hub.keep_history([HistoryRule("#")])
    return hub


def ask(hub, *wishes, **asked):
    client = hub.client()
    pairs = [(f"history-{name}", value) for name, value in asked.items()]
    suback, *rest = client.subscribe(*wishes, user_property=pairs)
    return client, suback, rest


def positions(packets):
    return [dict(one.properties.get("user_property", ())).get("position") for one in packets]


def test_mqtt(mqtt):
    writer = mqtt.client()
    for n in range(3):
        writer.publish(
            "a", b"%d" % n, qos=1, id=n + 1, properties={"user_property": [("k", "v"), ("position", "mine")]}
        )
    client, suback, found = ask(mqtt, "a", last="2")
    assert (suback.codes, suback.properties) == ([0], {})
    assert [one.payload for one in found] == [b"1", b"2"]
    assert found[0].properties["user_property"][0] == ("k", "v")
    assert positions(found)[1] == mqtt.world.hub.history.end
    writer.publish("a", b"live", qos=1, id=9)
    assert positions(client.output()) == [mqtt.world.hub.history.end]
    plain = mqtt.client()
    plain.subscribe("a")
    writer.publish("a", b"more", qos=1, id=10)
    assert positions(plain.output()) == [None]
    _, suback, found = ask(mqtt, "a", after=mqtt.world.hub.history.end)
    assert (suback.properties, found) == ({}, [])


def test_mqtt_says_what_is_lost(mqtt):
    _, suback, _ = ask(mqtt, "a", "b", after="nothing")
    assert suback.properties == {"user_property": [("history-complete", "no")]}


@pytest.mark.parametrize("asked", [{"since": "x"}, {"last": "-1"}, {"last": "1", "after": "x"}])
def test_mqtt_refuses(mqtt, asked):
    _, suback, _ = ask(mqtt, "a", "b", **asked)
    assert isinstance(suback, Suback)
    assert all(code >= 0x80 for code in suback.codes)
    assert len(suback.codes) == 2


def test_mqtt_qos_1_is_paced_by_its_acknowledgements(mqtt):
    writer = mqtt.client()
    for n in range(30):
        writer.publish("a", b"%d" % n, qos=1, id=n + 1)
    client = mqtt.client(properties={"receive_maximum": 5})
    _, *found = client.subscribe(subscription("a", 1), user_property=[("history-last", "30")])
    output = []
    while found:
        assert len(found) <= 5
        output += [one.payload for one in found]
        found = [one for packet in found for one in client.ack(PUBACK, packet.id)]
    assert output == [b"%d" % n for n in range(30)]
    writer.publish("a", b"live", qos=1, id=99)
    assert [one.payload for one in client.output()] == [b"live"]


def test_mqtt_filters_of_one_packet_come_in_one_order(mqtt):
    writer = mqtt.client()
    for n, topic in enumerate("abab"):
        writer.publish(topic, b"%d" % n, qos=1, id=n + 1)
    _, _, found = ask(mqtt, subscription("a", 1), subscription("b", 0), last="9")
    assert [(one.payload, one.qos) for one in found] == [(b"0", 1), (b"1", 0), (b"2", 1), (b"3", 0)]


def test_a_subscription_without_history_says_where_it_begins(world):
    """Where the history covers its filters: the next connection goes on from there."""
    world.hub.change_history([HistoryRule("a/#")])
    for filter, covered in (("a/1", True), ("a/#", True), ("#", False), ("$share/g/a/1", False)):
        (answer,) = say(world, world.link(Json), {"op": "subscribe", "topic": filter})
        assert answer.get("position") == (end(world) if covered else None)
    for filters, covered in ((["a/1", "a/2"], True), (["a/1", "b"], False)):
        output, _ = get(world, "/events", {"filter": filters})
        assert output == b":\n\n" + f"id: {end(world)}\n\n".encode() * covered
    output, _ = get(world, "/messages", {"filter": ["a/1"]})
    assert output == b""


def test_a_retained_message_is_no_place_to_go_on_from(world):
    lines(world, "PUB! a kept", "PUB a new")
    output, _ = get(world, "/events", {"filter": ["a"]})
    assert output == f":\n\nid: {end(world)}\n\nevent: a\ndata: kept\n\n".encode()


class Tongueless(Lines):
    """Can't say that something is lost."""

    def encode_lost(self, wish, where):
        raise ValueError("no word for that")


def test_a_dialect_that_cannot_tell_what_is_lost_costs_its_link_alone():
    world, store = hub_with(HistoryRule("#", messages=5), slow=True)
    position = end(world)
    lines(world, *[f"PUB a {n}" for n in range(5)])
    store.commit(5)
    with patch.object(limits, "HISTORY_TAIL_MESSAGES", 0):
        world.hub.history.tail.trim(store.readable)
    link = world.link(Tongueless)
    assert lines(world, f"SUB a AFTER {position}", link=link) == ["OK SUB a"]
    lines(world, *[f"PUB a {n}" for n in range(5, 10)])
    while store.answer():
        world.turn()
    world.turn()
    assert not link.open
    assert lines(world, "PING") == ["PONG"]
