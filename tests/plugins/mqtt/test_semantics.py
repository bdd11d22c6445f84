"""The rows of docs/semantics.md that have MQTT in them."""

from __future__ import annotations

import json

import pytest

from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub_plugins.mqtt.packets import V5, V311, Publish
from mqtt_client import Client, Place, wish

SAID = {
    "content_type": "text/plain",
    "response_topic": "re/1",
    "correlation_data": b"\0\1",
    "user_property": [("k", "1"), ("k", "2"), ("a", "")],
    "message_expiry_interval": 60,
}


@pytest.fixture
def place():
    return Place()


def other(place, dialect):
    return place.world.listen("tcp", dialect).connect()


def lines_of(end):
    return [json.loads(line) for line in end.received().splitlines()]


@pytest.mark.parametrize("version", [V311, V5])
def test_mqtt_to_mqtt(place, version):
    ear = place.client("ear", version)
    ear.subscribe(wish("a", 1))
    place.client("w").publish("a", b"x", qos=2, id=1, retain=True, properties=SAID)
    (live,) = ear.heard()
    kept = ear.subscribe(wish("a", 2))[1]
    for one, qos in ((live, 1), (kept, 2)):
        assert (one.topic, one.payload, one.qos) == ("a", b"x", qos)
        assert one.properties == (SAID if version == V5 else {})
    assert (live.retain, kept.retain) == (False, True)


def test_mqtt_to_lines(place):
    ear = other(place, Lines)
    assert ear.say(b"SUB a\n") == b"OK SUB a\n"
    place.client("w").publish("a", b"x", qos=2, id=1, retain=True, properties=SAID)
    assert ear.received() == b"MSG a x\n"
    assert ear.say(b"SUB a\n") == b"OK SUB a\nMSG a x\n"


def test_mqtt_to_json(place):
    ear = other(place, Json)
    ear.say(b'{"op":"subscribe","topic":"a","meta":true}\n')
    place.client("w").publish("a", b"x", qos=1, id=1, retain=True, properties=SAID)
    (told,) = lines_of(ear)
    assert (told["content_type"], told["reply_to"]) == ("text/plain", "re/1")
    assert told["properties"] == {"k": "2", "a": ""}
    ear.send(b'{"op":"subscribe","topic":"a","meta":true}\n')
    place.world.turn()
    assert lines_of(ear)[1]["retained"]


def test_an_expired_message_is_kept_from_everybody(place):
    place.client("w").publish("a", b"x", retain=True, properties={"message_expiry_interval": 5})
    ear = other(place, Lines)
    assert ear.say(b"SUB a\n") == b"OK SUB a\nMSG a x\n"
    place.world.advance(6)
    assert ear.say(b"SUB a\n") == b"OK SUB a\n"


@pytest.mark.parametrize("version", [V311, V5])
def test_lines_to_mqtt(place, version):
    ear, mouth = place.client("ear", version), other(place, Lines)
    ear.subscribe(wish("a/#", 2))
    mouth.say(b"PUB! a/1 x y\n")
    assert ear.heard() == [Publish(topic="a/1", payload=b"x y")]
    assert ear.subscribe(wish("a/#", 2))[1:] == [Publish(topic="a/1", payload=b"x y", retain=True)]


def test_json_to_mqtt(place):
    ear, mouth = place.client("ear"), other(place, Json)
    ear.subscribe(wish("a", 2))
    said = {"op": "publish", "topic": "a", "data": {"t": 1}, "reply_to": "re", "properties": {"k": "v"}}
    mouth.say(json.dumps(said).encode() + b"\n")
    (got,) = ear.heard()
    assert (got.payload, got.qos) == (b'{"t":1}', 0)
    assert got.properties == {
        "content_type": "application/json", "response_topic": "re", "user_property": [("k", "v")],
    }  # fmt: skip


def test_a_request_is_answered_over_mqtt(place):
    device, asker = place.client("device"), other(place, Lines)
    device.subscribe(wish("ask", 1))
    asker.say(b"REQ ask how\n")
    (got,) = device.heard()
    device.publish(got.properties["response_topic"], b"fine")
    place.world.turn()
    assert asker.received() == b"REP fine\n"


def test_a_client_of_311_keeps_its_words():
    client = Client(Place().door, V311)
    assert client.connect("c").code == 0
