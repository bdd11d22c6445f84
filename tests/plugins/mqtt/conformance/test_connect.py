"""MQTT 5.0 sections 3.1 and 3.2, 3.1.1 likewise: CONNECT and what CONNACK says to it."""

from __future__ import annotations

import pytest

from hubbub import Refusal
from hubbub_plugins.mqtt.packets import Connack, Connect, Disconnect, Pingreq, Subscribe, Will, packet
from hubbub_plugins.mqtt.wire import text
from mqtt_client import V5, V311, Client, MqttHub, case, kept, messages, subscription

BOTH = pytest.mark.parametrize("version", [V311, V5])
NUL = b"\0\0"


def head(version, flags, name="MQTT", properties=b"\0"):
    """A CONNECT up to its payload."""
    return text(name) + bytes((version, flags)) + NUL + (properties if version == V5 else b"")


@BOTH
@pytest.mark.mqtt("5:3.1.0-1", "3.1.1:3.1.0-1", "5:3.2.0-1", "3.1.1:3.2.0-1", "5:3.14.0-1")
@pytest.mark.parametrize("first", [0x30, 0x82, 0xC0, 0xE0, 0x20, 0xF0, 0x00])
def test_something_else_than_connect_comes_first(version, first):
    client = Client(MqttHub().listener, version)
    assert client.raw(packet(first, b"\0\1a\0")) == []
    assert client.closed


@BOTH
@pytest.mark.mqtt("5:3.1.0-2", "3.1.1:3.1.0-2", "5:3.2.0-2", "5:3.1.2-8", "3.1.1:3.1.2-8", "3.1.1:4.8.0-1")
def test_a_second_connect(version):
    context = MqttHub()
    ear = context.client("ear")
    ear.subscribe("w")
    client = context.client("c", version, will=Will(topic="w", payload=b"gone"))
    found = client.send(Connect(version=version, client="c"))
    assert [one.code for one in found if isinstance(one, Disconnect)] == ([0x82] if version == V5 else [])
    assert not any(isinstance(one, Connack) for one in found)
    assert client.closed
    assert messages(ear.output()) == [("w", b"gone", 0)]


@pytest.mark.parametrize("name", ["MQTX", "mqtt", "MQIsdp", "", "MQTT\N{SNOWMAN}"])
@pytest.mark.mqtt("5:3.1.2-1", "3.1.1:3.1.2-1")
@BOTH
def test_another_protocol_name(version, name):
    client = Client(MqttHub().listener, version)
    client.end.send(packet(0x10, head(version, 2, name) + text("c")))
    client.end.world.turn()
    assert client.closed
    assert client.end.received() in (b"", packet(0x20, b"\0\1"), packet(0x20, b"\0\x84\0"))


@pytest.mark.parametrize("number", [0, 1, 2, 6, 7, 127, 128, 255])
@pytest.mark.mqtt("5:3.1.2-2", "3.1.1:3.1.2-2", "3.1.1:3.2.2-5")
def test_another_version(number):
    client = Client(MqttHub().listener, V311)
    (answer,) = client.raw(packet(0x10, head(number, 2) + text("c")))
    assert answer == Connack(code=1)
    assert client.closed


SURPLUS, SHORT = text("u"), b"\0\5u"


@BOTH
@pytest.mark.parametrize(
    ("flags", "payload"),
    [
        case("reserved flag", 0x03, text("c"), shows="5:3.1.2-3 3.1.1:3.1.2-3"),
        case("will QoS without will", 0x0A, text("c"), shows="5:3.1.2-11 3.1.1:3.1.2-11 3.1.1:3.1.2-13"),
        case("will retain without will", 0x22, text("c"), shows="5:3.1.2-13 3.1.1:3.1.2-11 3.1.1:3.1.2-15"),
        case("will QoS 3", 0x1E, text("c"), shows="5:3.1.2-12 3.1.1:3.1.2-14"),
        case("no will where one is said", 0x06, text("c"), shows="5:3.1.2-9 3.1.1:3.1.2-9"),
        case("a will where none is said", 0x02, text("c") + text("w") + text("x"), shows="3.1.1:3.1.2-11"),
        case("half a will", 0x06, text("c") + NUL + text("w"), shows="5:3.1.2-9 3.1.1:3.1.2-9"),
        case("no user name where one is said", 0x82, text("c"), shows="5:3.1.2-17 3.1.1:3.1.2-19"),
        case("a user name where none is said", 0x02, text("c") + text("u"), shows="5:3.1.2-16 3.1.1:3.1.2-18"),
        case("no password where one is said", 0xC2, text("c") + text("u"), shows="5:3.1.2-19 3.1.1:3.1.2-21"),
        case(
            "a password where none is said", 0x82, text("c") + text("u") + text("p"), shows="5:3.1.2-18 3.1.1:3.1.2-20"
        ),
        case("no identifier", 0x02, b"", shows="5:3.1.3-3 3.1.1:3.1.3-3"),
        case("an identifier that ends early", 0x02, b"\0\2c", shows="5:3.1.3-3 3.1.1:3.1.3-3"),
        case("something behind the end", 0x02, text("c") + b"x", shows="5:3.1.3-1 3.1.1:3.1.3-1"),
    ],
)
@pytest.mark.mqtt("5:3.1.4-1", "3.1.1:3.1.4-1", "5:4.13.1-1", "3.1.1:4.8.0-1")
def test_a_connect_of_another_form(version, flags, payload):
    client = Client(MqttHub().listener, version)
    answers = client.raw(packet(0x10, head(version, flags) + payload))
    assert client.closed
    assert [one.code for one in answers] == ([0x81] if version == V5 else [])


@pytest.mark.mqtt("3.1.1:3.1.2-22", "3.1.1:3.1.4-1")
def test_a_password_without_a_user_name():
    client = Client(MqttHub().listener, V311)
    assert client.raw(packet(0x10, head(V311, 0x42) + text("c") + text("p"))) == []
    assert client.closed


@pytest.mark.parametrize(
    "properties",
    [
        b"\x21\0\0",
        b"\x21\0\1\x21\0\1",
        b"\x27\0\0\0\0",
        b"\x19\2",
        b"\x17\2",
        b"\x16\0\1x",
        b"\x11\0\0\0\1\x11\0\0\0\1",
    ],
)
@pytest.mark.mqtt("5:3.1.4-1", "5:4.13.1-1", "5:3.2.2-6", "5:3.2.2-7")
def test_properties_that_connect_may_not_have(properties):
    client = Client(MqttHub().listener)
    (answer,) = client.raw(packet(0x10, head(V5, 2, properties=bytes((len(properties),)) + properties) + text("c")))
    assert (answer.code, answer.present) == (0x82, False)
    assert client.closed


@BOTH
@pytest.mark.mqtt(
    "5:3.1.2-17", "5:3.1.2-19", "5:3.1.3-1", "3.1.1:3.1.2-19", "3.1.1:3.1.2-21", "3.1.1:3.1.3-1", "5:3.1.3-2",
    "3.1.1:3.1.3-2", "5:3.1.2-9", "3.1.1:3.1.2-9",
)  # fmt: skip
def test_the_fields_are_read_in_their_order(version):
    logins = []

    def login(event, session, done):
        logins.append((event.client, event.user, event.password, event.will.topic, bytes(event.will.payload)))
        done(event.user)

    client = Client(MqttHub(login=login).listener, version)
    none = b"\0" if version == V5 else b""
    fields = [text("c"), none, text("w"), text("gone"), text("ada"), text("secret")]
    (answer,) = client.raw(packet(0x10, head(version, 0xC6) + b"".join(fields)))
    assert answer.code == 0
    assert logins == [("c", "ada", "secret", "w", b"gone")]


@BOTH
@pytest.mark.parametrize("name", ["a", "0123456789", "abcdefghijklmnopqrstuvw", "ABCDEFGHIJKLMNOPQRSTUVW", "xyzXYZ"])
@pytest.mark.mqtt("5:3.1.3-5", "3.1.1:3.1.3-5", "5:3.1.4-5", "3.1.1:3.1.4-4", "5:3.2.2-1")
def test_identifiers_that_are_always_taken(version, name):
    client = Client(MqttHub().listener, version)
    client.end.send(Connect(version=version, client=name).encode(version))
    client.end.world.turn()
    answer = client.end.received()
    assert answer[0] == 0x20
    assert answer[2:4] == b"\0\0"


@BOTH
@pytest.mark.mqtt("5:3.1.3-6", "5:3.1.3-7", "5:3.2.2-16", "3.1.1:3.1.3-6")
def test_a_client_that_has_no_identifier_gets_one(version):
    context = MqttHub()
    clients = [context.client("", version) for _ in range(10)]
    names = [name for _, _, name in context.world.hub.clients._known]
    assert len(set(names)) == 10
    assert all(names)
    if version == V5:
        assert [one.connack.properties["assigned_client_identifier"] for one in clients] == names
    clients[0].subscribe("a")
    assert messages(clients[0].publish("a")) == [("a", b"x", 0)]


@pytest.mark.mqtt("5:3.1.3-7", "5:3.1.3-2")
def test_an_identifier_that_was_given_works_like_any():
    context = MqttHub()
    client = context.client("", **kept(V5))
    name = client.connack.properties["assigned_client_identifier"]
    client.goodbye()
    again = context.client(name, **kept(V5))
    assert again.connack.present
    assert "assigned_client_identifier" not in again.connack.properties


@pytest.mark.parametrize(
    ("version", "client", "clean", "code"),
    [
        case("3.1.1, none that is kept", V311, "", False, 2, shows="3.1.1:3.1.3-8 3.1.1:3.2.2-5"),
        case("3.1.1, too long", V311, "x" * 257, True, 2, shows="3.1.1:3.1.3-9 3.1.1:3.2.2-5"),
        case("5, too long", V5, "x" * 257, True, 0x85, shows="5:3.1.3-8 5:3.2.2-7"),
    ],
)
@pytest.mark.mqtt("5:3.2.2-6", "3.1.1:3.2.2-4", "5:3.2.2-8")
def test_an_identifier_that_is_refused(version, client, clean, code):
    ear = Client(MqttHub().listener, version)
    answer = ear.connect(client, clean=clean)
    assert (answer.code, answer.present) == (code, False)
    assert ear.closed


def ada_alone(event, session, done):
    done("ada" if event.password == "secret" else Refusal("not-authorized", "no"))


@BOTH
@pytest.mark.mqtt(
    "5:3.1.4-2", "5:3.2.2-6", "5:3.2.2-7", "5:3.2.2-8", "5:4.13.2-1", "3.1.1:3.2.2-4", "3.1.1:3.2.2-5", "5:3.14.0-1"
)
def test_a_login_that_fails(version):
    context = MqttHub(login=ada_alone)
    context.client("c", version, user="ada", password=b"secret", **kept(version)).goodbye()
    client = Client(context.listener, version)
    answer = client.connect("c", user="ada", password=b"wrong", **kept(version))
    assert isinstance(answer, Connack)
    assert (answer.code, answer.present) == (0x87 if version == V5 else 5, False)
    assert client.closed


@BOTH
@pytest.mark.mqtt("5:3.1.4-6", "3.1.1:3.1.4-5")
def test_nothing_is_read_behind_a_refused_connect(version):
    context = MqttHub(login=ada_alone)
    ear = context.client("ear", user="ada", password=b"secret")
    ear.subscribe("#")
    client = Client(context.listener, version)
    refused = Connect(version=version, client="c", user="bob", password=b"x").encode(version)
    (answer,) = client.raw(refused + b"\x30\x05\0\1a\0x" + Pingreq().encode(version))
    assert answer.code
    assert ear.output() == []


@pytest.mark.mqtt("3.1.1:3.2.2-6")
def test_a_refusal_that_version_311_has_no_word_for():
    client = Client(MqttHub().listener, V311)
    assert client.connect("c", will=Will(topic="a/#", payload=b"")) == []
    assert client.closed


@BOTH
@pytest.mark.mqtt("5:3.1.4-3", "3.1.1:3.1.4-2", "5:3.1.2-8", "3.1.1:3.1.2-8")
def test_a_client_that_comes_again_ends_the_older_link(version):
    context = MqttHub()
    ear = context.client("ear")
    ear.subscribe("w")
    old = context.client("c", version, will=Will(topic="w", payload=b"gone"))
    context.client("c", version)
    assert [one.code for one in old.output()] == ([0x8E] if version == V5 else [])
    assert old.closed
    assert messages(ear.output()) == [("w", b"gone", 0)]


@BOTH
@pytest.mark.mqtt(
    "5:3.1.2-4", "5:3.1.2-5", "5:3.1.2-6", "5:3.1.4-4", "5:3.2.2-2", "5:3.2.2-3", "3.1.1:3.1.2-4", "3.1.1:3.1.2-6",
    "3.1.1:3.1.4-3", "3.1.1:3.2.2-1", "3.1.1:3.2.2-2", "3.1.1:3.2.2-3",
)  # fmt: skip
def test_session_present(version):
    context, keep = MqttHub(), kept(version)
    assert not context.client("c", version, **keep).connack.present
    context.client("c", version, **keep).subscribe(subscription("a", 1))
    again = context.client("c", version, **keep)
    assert again.connack.present
    context.client("w").publish("a", qos=1, id=1)
    assert messages(again.output()) == [("a", b"x", 1)]
    fresh = context.client("c", version, clean=True)
    assert (fresh.connack.present, fresh.first) == (False, [])
    fresh.end.vanish()
    context.world.turn()
    assert not context.client("c", version, **keep).connack.present


@BOTH
@pytest.mark.mqtt("5:3.2.0-2", "5:3.2.0-1", "3.1.1:3.2.0-1")
def test_connack_comes_once_and_first(version):
    context = MqttHub()
    old = context.client("c", version, **kept(version))
    old.subscribe(subscription("a", 1))
    old.end.vanish()
    context.world.turn()
    context.client("w").publish("a", qos=1, id=1)
    client = Client(context.listener, version)
    subscribe = Subscribe(id=1, subscriptions=[subscription("b")])
    found = client.raw(
        Connect(version=version, client="c", **kept(version)).encode(version)
        + subscribe.encode(version)
        + Pingreq().encode(version)
    )
    assert isinstance(found[0], Connack)
    assert sum(isinstance(one, Connack) for one in found) == 1
    assert len(found) == 4


@BOTH
@pytest.mark.mqtt("5:3.1.2-22", "5:3.2.2-22", "3.1.1:3.1.2-24")
def test_keep_alive(version):
    context = MqttHub()
    client, other = context.client("c", version, keep_alive=10), context.client("d", V311)
    for _ in range(3):
        context.world.advance(14.9)
        client.ping()
    assert not client.closed
    context.world.advance(14.9)
    assert not client.closed
    context.world.advance(0.2)
    assert client.closed
    context.world.advance(100_000)
    assert not other.closed


@pytest.mark.mqtt("5:4.12.0-6")
def test_a_client_that_names_no_authentication_method_gets_none():
    client = Client(MqttHub(login=ada_alone).listener)
    answer = client.connect("c", user="ada", password=b"secret")
    assert isinstance(answer, Connack)
    assert not answer.properties.keys() & {"authentication_method", "authentication_data"}


@pytest.mark.mqtt("5:3.1.2-28")
@pytest.mark.parametrize("asks", [{}, {"request_response_information": 0}])
def test_response_information_that_was_not_asked_for(asks):
    assert "response_information" not in MqttHub().client("c", properties=asks).connack.properties


@pytest.mark.mqtt("5:3.1.2-29")
def test_problem_information_that_is_not_wanted():
    client = MqttHub().client("c", properties={"request_problem_information": 0})
    answers = [
        *client.publish("nobody", qos=1, id=1),
        *client.publish("nobody", qos=2, id=2),
        *client.ack(6, 2),
        *client.ack(6, 99),
        *client.subscribe(subscription("a"), subscription("/" * 200)),
    ]
    assert len(answers) == 5
    assert all("reason_string" not in one.properties for one in answers)
    assert all("user_property" not in one.properties for one in answers)


@pytest.mark.mqtt("5:3.2.2-9", "5:3.2.2-10", "5:3.2.2-12", "5:3.2.2-13", "3.1.1:3.8.3-2")
def test_all_that_could_be_missing_is_there():
    context = MqttHub()
    will = Will(topic="w", payload=b"x", qos=2, retain=True)
    client = context.client("c", will=will)
    for name in ("maximum_qos", "retain_available", "wildcard_subscription_available"):
        assert client.connack.properties.get(name, 1) == 1
    assert client.subscribe(*(subscription(f"{qos}/#", qos) for qos in range(3)))[0].codes == [0, 1, 2]


@pytest.mark.mqtt("5:3.1.2-24", "5:3.2.2-19", "5:3.2.2-20", "5:3.14.2-3", "5:3.14.2-4")
@pytest.mark.parametrize("most", [1, 2, 4, 5, 10, 20, 40, 64, 100])
def test_no_packet_is_longer_than_the_client_takes(most):
    context = MqttHub(login=ada_alone)
    properties = {"maximum_packet_size": most}
    for password in (b"secret", b"wrong"):
        client = Client(context.listener)
        data = Connect(client="", user="ada", password=password, properties=properties).encode(V5)
        wishes = [subscription("a")] * 50
        client.end.send(data + Subscribe(id=1, subscriptions=wishes).encode(V5) + Pingreq().encode(V5) + b"\x00\x00")
        context.world.turn()
        received = client.end.received()
        assert client.closed
        while received:
            assert received[1] < 0x80
            size = received[1] + 2
            assert size <= most
            received = received[size:]
