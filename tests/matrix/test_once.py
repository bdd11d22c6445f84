"""An idempotency key in each dialect: however often the message comes, it is published once, and answered alike."""

from __future__ import annotations

import json

import pytest

from hubbub import limits
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.kernel.history.rule import HistoryRule
from hubbub.option import configure
from hubbub.testing import World
from hubbub_plugins.mqtt import Mqtt, packets
from hubbub_plugins.mqtt.packets import V5
from hubbub_plugins.nats import Nats
from hubbub_plugins.stomp import Stomp
from mqtt_client import Rights
from stomp_client import write

TOPIC = "a/b"


def lines(key: str, payload: bytes) -> bytes:
    return b"ONCE %b PUB %b %b\n" % (key.encode(), TOPIC.encode(), payload)


def as_json(key: str, payload: bytes) -> bytes:
    command = {"op": "publish", "topic": TOPIC, "data": payload.decode(), "id": 1, "once": key}
    return json.dumps(command).encode() + b"\n"


def mqtt(qos: int):
    def publish(key: str, payload: bytes) -> bytes:
        properties = {"user_property": [("once", key)]}
        return packets.Publish(topic=TOPIC, payload=payload, qos=qos, id=7, properties=properties).encode(V5)

    return publish


def stomp(key: str, payload: bytes) -> bytes:
    return write("SEND", payload, destination=TOPIC, receipt="r", once=key)


def nats(key: str, payload: bytes) -> bytes:
    headers = b"NATS/1.0\r\nNats-Msg-Id: %b\r\n\r\n" % key.encode()
    return b"HPUB a.b %d %d\r\n%b%b\r\n" % (len(headers), len(headers + payload), headers, payload)


CONNECT = packets.Connect(version=V5, client="c").encode(V5)
WAYS = {
    "lines": (Lines, b"", lines),
    "json": (Json, b"", as_json),
    "mqtt, QoS 1": (Mqtt, CONNECT, mqtt(1)),
    "mqtt, QoS 2": (Mqtt, CONNECT, mqtt(2)),
    "stomp": (Stomp, write("CONNECT", accept_version="1.2"), stomp),
    "nats": (Nats, b'CONNECT {"verbose":true,"headers":true}\r\n', nats),
}


class Scene:
    """A hub with a listener, publishers that come one after the other, and a subscriber to everything."""

    def __init__(self, way: str, **keys) -> None:
        self.world = World()
        dialect, self.first, self.write = WAYS[way]
        self.listener = self.world.listen("tcp", configure(dialect, {}), **keys)
        self.ear = self.world.listen("tcp", Lines).connect()
        self.ear.send(b"SUB #\n")
        self.world.turn()
        self.ear.received()

    def publish(self, key: str = "k", payload: bytes = b"1", host: str = "192.0.2.7") -> bytes:
        """Publish by a new connection. Returns the answer."""
        client = self.listener.connect(host)
        client.send(self.first)
        self.world.turn()
        client.received()
        client.send(self.write(key, payload))
        self.world.turn()
        answer = client.received()
        client.vanish()
        self.world.turn()
        return answer

    def output(self) -> list[bytes]:
        self.world.turn()
        return self.ear.received().splitlines()


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


def test_the_second_is_answered_like_the_first_and_published_once(way):
    scene = Scene(way)
    first = scene.publish()
    assert first
    assert scene.publish() == first
    assert scene.output() == [b"MSG a/b 1"]
    assert scene.world.hub.idempotency.repeated == 1
    scene.publish("another")
    assert scene.output() == [b"MSG a/b 1"]


def test_the_position_in_the_history_is_that_of_the_first(way):
    scene = Scene(way)
    scene.world.hub.keep_history([HistoryRule(TOPIC)])
    first = scene.publish()
    assert (b"position" in first) == (way == "json")
    assert scene.publish() == first
    scene.publish("another")
    assert scene.world.hub.history.metrics()["messages"] == 2


def test_a_key_lasts_for_its_time(way):
    scene = Scene(way)
    scene.publish()
    scene.world.advance(limits.ONCE_SECONDS - 1)
    scene.publish()
    assert scene.output() == [b"MSG a/b 1"]
    scene.world.advance(2)
    assert len(scene.world.hub.idempotency) == 0
    scene.publish()
    assert scene.output() == [b"MSG a/b 1"]


def test_a_key_of_another_message_is_refused(way):
    scene = Scene(way)
    accepted = scene.publish()
    assert scene.publish(payload=b"2") != accepted
    assert scene.output() == [b"MSG a/b 1"]
    assert scene.world.hub.turn.counters.refused == 1


def test_a_key_that_is_too_long_is_refused(way):
    scene = Scene(way)
    assert scene.publish("x" * (limits.NAME_CHARACTERS + 1))
    assert scene.output() == []
    assert scene.world.hub.turn.counters.refused == 1


def test_what_a_client_may_not_do_it_may_not_do_again(way):
    rights = Rights()
    scene = Scene(way, rights=lambda session: rights)
    accepted = scene.publish()
    rights.denied.add(TOPIC)
    assert scene.publish() != accepted
    assert scene.output() == [b"MSG a/b 1"]
    rights.denied.clear()
    assert scene.publish() == accepted


def test_a_refusal_is_repeated_unless_it_may_pass(way):
    rights = Rights()
    scene = Scene(way, rights=lambda session: rights)
    rights.denied.add(TOPIC)
    refused = scene.publish()
    rights.denied.clear()
    assert scene.publish() == refused
    assert scene.output() == []
    scene.world.hub.turn.commits.refuses = "no room for now"
    scene.publish("other")
    scene.world.hub.turn.commits.refuses = ""
    scene.publish("other")
    assert scene.output() == [b"MSG a/b 1"]


def test_keys_of_other_clients_are_others(way):
    users = iter(["ann", "bob", "ann"])
    scene = Scene(way)
    for listener in ({"user": next(users)} for _ in range(3)):
        scene.listener = scene.world.listen("tcp", configure(WAYS[way][0], {}), **listener)
        scene.publish()
    assert scene.output() == [b"MSG a/b 1"] * 2


def test_a_retry_may_come_in_another_dialect():
    scene = Scene("json")
    for way, (dialect, scene.first, scene.write) in WAYS.items():
        scene.listener = scene.world.listen("tcp", configure(dialect, {}), user="ann")
        assert scene.publish("k"), way
    assert scene.output() == [b"MSG a/b 1"]


def test_clients_without_a_login_are_distinguished_by_their_source(way):
    scene = Scene(way)
    for host in ("192.0.2.7", "192.0.2.8", "192.0.2.7"):
        scene.publish(host=host)
    assert scene.output() == [b"MSG a/b 1"] * 2


def test_a_retry_at_quality_2_is_released_as_any_other():
    scene = Scene("mqtt, QoS 2")
    client = scene.listener.connect()
    client.send(CONNECT)
    for id in (1, 2):
        message = packets.Publish(
            topic=TOPIC, payload=b"1", qos=2, id=id, properties={"user_property": [("once", "k")]}
        )
        client.send(message.encode(V5) + message.encode(V5))
        scene.world.turn()
        client.received()
        client.send(packets.Ack(kind=6, id=id).encode(V5))
        scene.world.turn()
        assert client.received() == packets.Ack(kind=7, id=id).encode(V5)
    assert scene.output() == [b"MSG a/b 1"]


def test_one_publisher_leaves_room_to_the_others(monkeypatch):
    monkeypatch.setattr(limits, "ONCE_KEYS", 8)
    monkeypatch.setattr(limits, "ONCE_KEYS_ALL", 10)
    scene = Scene("lines")
    greedy = [scene.publish(f"k{n}") for n in range(9)]
    assert greedy[-1].startswith(b"ERR quota 8 idempotency keys of yours are remembered already")
    for host in range(20, 26):  # once all are very many there is room for an even share
        assert scene.publish("k", host=f"192.0.2.{host}") == b"OK ONCE k\n"
    assert scene.publish("k9", host="192.0.2.20").startswith(b"ERR quota 1 ")
    assert len(scene.world.hub.idempotency) <= 2 * limits.ONCE_KEYS_ALL
    scene.world.advance(limits.ONCE_SECONDS + 1)
    assert len(scene.world.hub.idempotency) == 0
    assert scene.publish("k9") == b"OK ONCE k9\n"


@pytest.mark.parametrize(
    "line",
    [b"ONCE\n", b"ONCE k\n", b"ONCE k SUB a\n", b"ONCE k ONCE l PUB a 1\n", b"ONCE k REQ a 1\n", b"ONCE k PUB\n"],
)
def test_lines_that_are_none(line):
    scene = Scene("lines")
    client = scene.listener.connect()
    client.send(line)
    scene.world.turn()
    assert client.received().startswith(b"ERR bad-command")


def test_lines_of_every_kind():
    scene = Scene("lines")
    client = scene.listener.connect()
    client.send(b"once 1 pub! a 1\nONCE 2 PUBB a /w==\nONCE 3 PUBB! a MQ==\n" * 2)
    scene.world.turn()
    assert client.received() == b"OK ONCE 1\nOK ONCE 2\nOK ONCE 3\n" * 2
    assert scene.output() == [b"MSG a 1", b"MSGB a /w==", b"MSG a 1"]


def test_json_takes_no_key_for_a_request():
    scene = Scene("json")
    client = scene.listener.connect()
    client.send(b'{"op":"request","topic":"a","data":1,"once":"k","id":1}\n')
    scene.world.turn()
    assert json.loads(client.received())["code"] == "bad-command"


def test_a_bridge_passes_no_key_on():
    """The next hub would take those of two publishers for two of the bridge."""
    from hubbub.loop_prevention import with_hop
    from hubbub.message import Message

    message = Message("a", b"1", properties={"once": "k", "Nats-Msg-Id": "k", "x": "y"})
    assert set(with_hop(message, "here")) == {"x", "hubbub-path"}


def test_a_refusal_says_what_is_wrong():
    scene = Scene("json")
    scene.publish()
    assert json.loads(scene.publish(payload=b"2")) == {
        "op": "error",
        "code": "bad-command",
        "reason": "another message of yours had this idempotency key; a key is for one message",
        "id": 1,
    }
