"""plugins/wamp over WebSocket and RawSocket: sessions, topics, procedures."""

from __future__ import annotations

import pytest

import wamp_client as wamp
from wamp_client import Client, WampHub

CODECS = ["json", "msgpack", "cbor"]


@pytest.fixture
def hub():
    return WampHub()


# Sessions


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("transport", ["websocket", "batched", "tcp"])
def test_publish_and_subscribe(codec, transport):
    hub = WampHub("tcp" if transport == "tcp" else "websocket")
    ear, client = (hub.client(codec, transport == "batched") for _ in range(2))
    id = ear.subscribe("com.app.temp")
    ((code, request, publication),) = client.publish("com.app.temp", "21.5", acknowledge=True)
    assert (code, request) == (wamp.PUBLISHED, 1)
    assert ear.output() == [[wamp.EVENT, id, publication, {}, ["21.5"]]]


def test_autobahn_separates_json_by_another_character(hub):
    client = hub.stranger(batched=True)
    client.end.send('[1,"realm1",{"roles":{"caller":{}}}]\x18')
    hub.world.turn()
    (welcome,) = client.end.received()
    assert welcome.startswith("[2,")
    assert welcome.endswith("]\x18")


def test_welcome_says_what_there_is(hub):
    welcome = hub.stranger().hello()
    assert welcome[0] == wamp.WELCOME
    assert 0 < welcome[1] <= 2**53
    details = welcome[2]
    assert (details["realm"], details["authrole"], details["authmethod"]) == ("realm1", "anonymous", "anonymous")
    assert all(value is True for role in details["roles"].values() for value in role["features"].values())
    assert set(details["roles"]) == {"broker", "dealer"}


@pytest.mark.parametrize("details", [{"authid": "", "authmethods": ["anonymous"], "authextra": {}}, {"agent": "x"}])
def test_hello_as_clients_say_it(hub, details):
    assert hub.stranger().hello(**details)[0] == wamp.WELCOME


def test_an_unknown_realm(hub):
    client = hub.stranger()
    assert client.hello("realm2")[::2] == [wamp.ABORT, "wamp.error.no_such_realm"]
    assert client.closed


def test_a_realm_is_a_mount_point():
    hub = WampHub(options={"realms": "com.acme", "root": "all"})
    root, acme, other = hub.client(realm="all"), hub.client(realm="com.acme"), hub.client(realm="com.acme")
    id = root.subscribe("com.acme.a")
    other.subscribe("a")
    acme.publish("a", 7)
    assert root.output()[0][:2] == [wamp.EVENT, id]
    assert other.output()[0][4] == [7]
    acme.register("f")
    root.say(wamp.CALL, 9, {}, "com.acme.f", ["x"])
    assert acme.output()[0][4] == ["x"]


@pytest.mark.parametrize(
    ("message", "uri"),
    [
        ([16, 1, {}, "a"], "wamp.error.protocol_violation"),
        ([1, "realm1", {}], "wamp.error.protocol_violation"),
        ([1, "realm1", {"roles": []}], "wamp.error.protocol_violation"),
        ([1, "realm1", {"roles": {}, "authmethods": ["tls"]}], "wamp.error.no_matching_auth_method"),
        (["x"], "wamp.error.protocol_violation"),
    ],
)
def test_how_a_session_doesnt_begin(hub, message, uri):
    client = hub.stranger()
    (abort,) = client.say(*message)
    assert (abort[0], abort[2]) == (wamp.ABORT, uri)
    assert client.closed


@pytest.mark.parametrize(
    "message",
    [[2], [36, 1, 1, {}], [16, 0, {}, "a"], [16, 2**53 + 1, {}, "a"], [16, 1, {}, 7], [16, 1, {"retain": "yes"}, "a"],
     [32, 1, {"match": "suffix"}, "a"], [64, 1, {"invoke": "all"}, "a"], [48, "1", {}, "a"], [8, 48, 1, {}, "a"],
     [16, 1, {}, "a", "x"], [16, 1, {}, "a", {}], [48, 1, {}, "a", [], []]],
)  # fmt: skip
def test_what_breaks_the_protocol_ends_the_session(hub, message):
    client = hub.client()
    (abort,) = client.say(*message)
    assert (abort[0], abort[2]) == (wamp.ABORT, "wamp.error.protocol_violation")
    assert client.closed


def test_what_isnt_of_the_serializer_ends_the_session(hub):
    for codec, data in (("json", "{]"), ("msgpack", b"\xc1"), ("cbor", b"\x9f")):
        client = hub.client(codec)
        client.end.send(data)
        assert client.output()[0][0] == wamp.ABORT


def test_goodbye_is_answered(hub):
    client = hub.client()
    assert client.say(wamp.GOODBYE, {}, "wamp.close.normal") == [[wamp.GOODBYE, {}, "wamp.close.goodbye_and_out"]]
    assert client.closed


def test_a_session_has_to_begin_in_time(hub):
    client = hub.stranger()
    hub.world.advance(60)
    assert client.closed


def test_raw_socket_answers_the_serializer():
    hub = WampHub("tcp", max_message=100_000)
    assert hub.stranger("cbor").handshake == b"\x7f\xa3\0\0"
    client = hub.listener.connect()
    client.send(b"\x7f\xf4\0\0")
    hub.world.turn()
    assert (client.received(), bool(client.closed)) == (b"\x7f\x10\0\0", True)


def test_raw_socket_pings():
    client = WampHub("tcp").client()
    client.end.send(b"\x01\0\0\x02hi")
    client.end.world.turn()
    assert client.end.received() == b"\x02\0\0\x02hi"


def test_raw_socket_sends_nothing_longer_than_the_client_takes():
    hub = WampHub("tcp")
    small, client = Client(hub.listener, "json", nibble=1), hub.client()
    small.hello()
    small.subscribe("a")
    client.publish("a", "x" * 2_000)
    client.publish("a", "short")
    assert [event[4] for event in small.output()] == [["short"]]
    client.register("f")
    small.call("f")
    number = client.output()[0][1]
    client.say(wamp.YIELD, number, {}, ["x" * 2_000])
    assert small.output()[0][4] == "wamp.error.payload_size_exceeded"


# Topics


def test_patterns(hub):
    ear, client = hub.client(), hub.client()
    prefix, wild = ear.subscribe("com.app", match="prefix"), ear.subscribe("com..temp", match="wildcard")
    client.publish("com.app.temp", 1)
    client.publish("com.apple", 2)
    events = {event[1]: event[3:] for event in ear.output()}
    assert events == {prefix: [{"topic": "com.app.temp"}, [1]], wild: [{"topic": "com.app.temp"}, [1]]}


def test_sessions_share_the_id_of_a_topic(hub):
    one, other = hub.client(), hub.client("cbor")
    assert one.subscribe("a") == one.subscribe("a") == other.subscribe("a") != one.subscribe("a", match="prefix")


def test_unsubscribe(hub):
    client = hub.client()
    id = client.subscribe("a")
    assert client.ask(wamp.UNSUBSCRIBE, id) == [[wamp.UNSUBSCRIBED, 2]]
    hub.client().publish("a", 1)
    assert client.output() == []
    (error,) = client.ask(wamp.UNSUBSCRIBE, id)
    assert error[:3] + error[4:5] == [wamp.ERROR, wamp.UNSUBSCRIBE, 3, "wamp.error.no_such_subscription"]


def test_the_publisher_is_excluded(hub):
    client = hub.client()
    client.subscribe("a")
    assert client.publish("a", 1) == []
    assert client.publish("a", 2, exclude_me=False)[0][4] == [2]


def test_exclude_and_eligible(hub):
    client, *ears = [hub.client() for _ in range(4)]
    for ear in ears:
        ear.subscribe("a")
    one, two, three = [ear.id for ear in ears]
    for options in ({"exclude": [one]}, {"eligible": [two, three]}, {"exclude_authid": [f"anonymous-{one}"]}):
        client.publish("a", 1, **options)
        assert [len(ear.output()) for ear in ears] == [0, 1, 1]
    client.publish("a", 1, eligible_authid=[f"anonymous-{two}"])
    assert [len(ear.output()) for ear in ears] == [0, 1, 0]
    client.publish("a", 1, exclude_authrole=["anonymous"])
    client.publish("a", 1, eligible_authrole=["operators"])
    client.publish("a", 1, eligible=[])
    assert [len(ear.output()) for ear in ears] == [0, 0, 0]
    client.publish("a", 1, eligible_authrole=["anonymous"], exclude=[three])
    assert [len(ear.output()) for ear in ears] == [1, 1, 0]


def test_retained_events_follow_subscribed(hub):
    client, ear = hub.client(), hub.client()
    client.publish("a", 7, retain=True)
    answers = ear.ask(wamp.SUBSCRIBE, {"get_retained": True}, "a")
    assert [answer[0] for answer in answers] == [wamp.SUBSCRIBED, wamp.EVENT]
    assert answers[1][3:] == [{"retained": True}, [7]]
    other = hub.client()
    assert len(other.ask(wamp.SUBSCRIBE, {}, "a")) == 1


def test_a_publisher_may_disclose_itself(hub):
    client, ear = hub.client(), hub.client()
    ear.subscribe("a")
    client.publish("a", 1, disclose_me=True)
    authid = f"anonymous-{client.id}"
    expected = {"publisher": client.id, "publisher_authid": authid, "publisher_authrole": "anonymous"}
    assert ear.output()[0][3] == expected


@pytest.mark.parametrize("uri", ["a..b", "a/b", "a b", "a#", "wamp.session.on_join", "a%2Fb", "%61", "a.*"])
def test_what_cant_be_published(hub, uri):
    client = hub.client()
    assert client.publish(uri, 1) == []
    (error,) = client.publish(uri, 1, acknowledge=True)
    assert error[:3] == [wamp.ERROR, wamp.PUBLISH, 2]
    assert error[4] in ("wamp.error.invalid_uri", "wamp.error.not_authorized")


def test_payload_passthru_is_refused(hub):
    (error,) = hub.client().ask(wamp.PUBLISH, {"acknowledge": True, "enc_algo": "cryptobox"}, "a")
    assert error[4] == "wamp.error.invalid_argument"


# Options as clients send them


def test_options_that_are_undefined_are_none(hub):
    client = hub.client("cbor")
    client.end.send(b"\x84\x18\x20\x01\xf7\x61a")
    assert client.output()[0][:2] == [wamp.SUBSCRIBED, 1]
    client.end.send(b"\x84\x18\x20\x02\xa1\x65match\xf7\x61a")
    assert client.output()[0][:2] == [wamp.SUBSCRIBED, 2]
    client.end.send(b"\x85\x10\x03\xa1\x6aexclude_me\xf4\x61a\x81\xf7")
    assert client.output()[0][4] == [None]
    client = hub.client("msgpack")
    client.end.send(b"\x94\x20\x02\x81\xa5match\xd4\x00\x00\xa1a")
    assert client.output()[0][:2] == [wamp.SUBSCRIBED, 2]
    client.end.send(b"\x94\x20\x01\xd4\x00\x00\xa1a")
    assert client.output()[0][:2] == [wamp.SUBSCRIBED, 1]


def test_shutdown_says_no_goodbye(hub):
    client = hub.client()
    (link,) = hub.listener.context.links
    link.close("shutdown")
    assert client.output() == []
    assert client.closed
