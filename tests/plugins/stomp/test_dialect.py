"""plugins/stomp, the server's side: what clients say, and what they hear."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.dialects.lines import Lines
from hubbub.kernel.ingress.rate_limiter import Rate
from hubbub_plugins.stomp.destinations import destination_of
from stomp_client import StompHub, write

VERSIONS = ("1.0", "1.1", "1.2")
TRANSPORTS = ("tcp", "websocket")


@pytest.fixture(params=TRANSPORTS)
def context(request):
    return StompHub(request.param)


@pytest.fixture
def tcp():
    return StompHub()


def bodies(frames):
    assert {frame.command for frame in frames} <= {"MESSAGE"}
    return [frame.body for frame in frames]


def fails(client, frames, code, receipt=None):
    """The last frame is an ERROR, and the end."""
    error = frames[-1]
    assert error.command == "ERROR"
    assert error.headers["code"] == code
    assert error.message
    assert error.headers.get("receipt-id") == receipt
    assert client.closed or client.end.close_code
    return error


# Connecting


@pytest.mark.parametrize(
    ("offered", "version"),
    [
        ("1.2", "1.2"),
        ("1.0,1.1,1.2", "1.2"),
        ("1.2,1.1,1.0", "1.2"),
        ("1.1", "1.1"),
        ("1.0", "1.0"),
        ("1.1,2.0", "1.1"),
    ],
)
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_the_highest_version_is_chosen(context, command, offered, version):
    (frame,) = context.stranger().say(command, accept_version=offered)
    assert (frame.command, frame.version) == ("CONNECTED", version)


def test_without_a_version_it_is_1_0(context):
    (frame,) = context.stranger().say("CONNECT")
    assert (frame.version, frame.heart_beat.count(",")) == ("1.0", 1)
    assert frame.session


def test_no_version_in_common(context):
    client = context.stranger()
    assert fails(client, client.say("CONNECT", accept_version="2.0"), "bad-command").version == "1.2,1.1,1.0"


def test_the_first_frame_is_connect(context):
    client = context.stranger()
    fails(client, client.publish("a", receipt=7), "bad-command", "7")


def test_there_is_one_connect(context):
    client = context.client()
    fails(client, client.say("CONNECT", accept_version="1.2"), "bad-command")


@pytest.mark.parametrize(
    ("sent", "answered"),
    [("0,0", "1000,10000"), ("1000,1000", "1000,10000"), ("20000,5000", "5000,20000"), ("1,1", "1000,10000")],
)
def test_heart_beats_are_agreed(context, sent, answered):
    assert context.stranger().connect(heart_beat=sent).heart_beat == answered


@pytest.mark.parametrize("wrong", ["", "1", "1,2,3", "a,b", "-1,0", "1,1234567890", "١,0"])
def test_heart_beats_are_numbers(context, wrong):
    client = context.stranger()
    fails(client, client.say("CONNECT", accept_version="1.2", heart_beat=wrong), "bad-command")


def test_what_comes_before_connected_is_acted_on_in_order(tcp):
    """As aiostomp sends it: all in one segment."""
    client = tcp.stranger()
    said = write("CONNECT", accept_version="1.1") + write("SUBSCRIBE", destination="a", id=1)
    frames = client.raw(said + write("SEND", b"x", destination="a"))
    assert [frame.command for frame in frames] == ["CONNECTED", "MESSAGE"]


# Heart-beats


def test_heart_beats_come_a_little_early(tcp):
    client = tcp.client(heart_beat="0,5000")
    for _ in range(3):
        tcp.world.advance(4.4)
        assert client.end.received() == b""
        tcp.world.advance(0.1)
        assert client.end.received() == b"\n"


def test_on_a_websocket_a_heart_beat_is_a_text_message():
    hub = StompHub("websocket")
    client = hub.client(heart_beat="0,1000")
    hub.world.advance(0.9)
    assert client.end.received() == ["\n"]


def test_a_client_that_is_silent_is_closed_after_more_than_a_minute(tcp):
    client = tcp.client(heart_beat="1000,0")
    for _ in range(3):
        tcp.world.advance(69)
        assert client.raw(b"\n") == []
        assert not client.closed
    tcp.world.advance(70)
    fails(client, client.output(), "timeout")


@pytest.mark.parametrize("every", [120.0, 10.0])
def test_rare_heart_beats_may_be_one_late(every):
    hub = StompHub(options={"heart-beat": every})
    client = hub.client(heart_beat="100,0")
    hub.world.advance(every + max(every, 60) - 1)
    assert not client.closed
    hub.world.advance(1)
    assert client.closed


def test_a_client_that_promises_no_heart_beats_may_be_silent(tcp):
    client = tcp.client(heart_beat="0,0")
    tcp.world.advance(3_600)
    assert client.end.received() == b""
    assert not client.closed


def test_a_client_that_doesnt_connect_is_closed(tcp):
    client = tcp.stranger()
    tcp.world.advance(limits.HANDSHAKE_SECONDS)
    fails(client, client.output(), "timeout")


# SEND and SUBSCRIBE


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("style", ["", "/topic/"])
def test_publish_and_subscribe(context, version, style):
    client = context.client(version)
    assert client.subscribe(f"{style}a/+", id="s1") == []
    for _ in range(2):
        (frame,) = client.publish(f"{style}a/b", b"21.5")
        assert (frame.command, frame.destination, frame.body) == ("MESSAGE", f"{style}a/b", b"21.5")
        assert (frame.subscription, frame.content_length) == ("s1", "4")
        assert "ack" not in frame.headers


def test_message_ids_are_different(tcp):
    client = tcp.client()
    client.subscribe("a")
    frames = client.raw(write("SEND", b"x", destination="a") * 5)
    assert len({frame.message_id for frame in frames}) == 5
    assert not any(character in frame.message_id for frame in frames for character in ": \\")


def test_each_subscription_gets_a_copy(context):
    client = context.client()
    client.subscribe("a/b", id="one")
    client.subscribe("a/#", id="two")
    client.subscribe("a/#", id="sub:3\n")
    assert sorted(frame.subscription for frame in client.publish("a/b")) == ["one", "sub:3\n", "two"]
    client.say("UNSUBSCRIBE", id="two")
    assert sorted(frame.subscription for frame in client.publish("a/b")) == ["one", "sub:3\n"]


@pytest.mark.parametrize("version", VERSIONS)
def test_without_an_id(tcp, version):
    client = tcp.client(version)
    found = client.say("SUBSCRIBE", destination="/topic/a")
    if version != "1.0":
        fails(client, found, "bad-command")
        return
    (frame,) = client.publish("a", b"x")
    assert (frame.destination, frame.subscription) == ("/topic/a", "/topic/a")
    client.say("UNSUBSCRIBE", destination="/topic/a")
    assert client.publish("a") == []


def test_retained_messages(context):
    client = context.client()
    client.publish("a", b"1", retain="true")
    frames = client.subscribe("a", receipt="r")
    assert [frame.command for frame in frames] == ["RECEIPT", "MESSAGE"]
    assert (frames[1].body, frames[1].retained) == (b"1", "true")


@pytest.mark.parametrize("topic", ["a", "a b", "/a", "/topic/a", "topic/a", "/queue/a", "a:b\\c", "ü/温度", "a\nb"])
@pytest.mark.parametrize("style", ["", "/topic/"])
def test_every_topic_has_a_destination(tcp, topic, style):
    client = tcp.client()
    client.subscribe(f"{style}#")
    destination = destination_of(topic, style)
    (frame,) = client.publish(destination, b"x")
    assert frame.destination == destination
    ear = tcp.world.listen("tcp", Lines).connect()
    ear.say(b"SUB #\n")
    client.publish(destination, b"x")
    assert ear.received().decode().split(" ")[1] == topic.replace(" ", "%20").replace("\n", "%0A")


def test_headers_of_a_message(context):
    client = context.client()
    client.subscribe("#")
    sent = {
        "content_type": "text/csv", "reply_to": "back", "correlation_id": "7:8", "k": "v:\n", "persistent": "true",
    }  # fmt: skip
    (frame,) = client.publish("a", b"1", **sent, message_id="no", ack="no", subscription="no")
    found = {name.replace("-", "_"): value for name, value in frame.headers.items()}
    assert {name: found.get(name) for name in sent} == sent
    assert "no" not in found.values()


@pytest.mark.parametrize("text", ["7", "base64:AP8=", "base64:NzA=", "base64:x", "ü"])
def test_correlations_come_as_they_were(context, text):
    client = context.client()
    client.subscribe("a")
    assert client.publish("a", correlation_id=text)[0].correlation_id == text


def test_expiry_is_a_time(tcp):
    client = tcp.client()
    client.subscribe("a")
    at = round(1_000 * (tcp.world.wall() + 10))
    assert client.publish("a", expires=at, retain="true")[0].expires == str(at)
    tcp.world.advance(5)
    assert client.subscribe("a")[0].expires == str(at)
    tcp.world.advance(6)
    assert client.subscribe("a") == []
    assert client.publish("a", expires=at) == []
    assert "expires" not in client.publish("a", expires=0)[0].headers


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "bad-command"),
        ({"destination": ""}, "bad-topic"),
        ({"destination": "/topic/"}, "bad-topic"),
        ({"destination": "a/#"}, "bad-topic"),
        ({"destination": "/queue/+"}, "bad-topic"),
        ({"destination": "$SYS/x"}, "not-authorized"),
        ({"destination": "a", "reply_to": "#"}, "bad-topic"),
        ({"destination": "a", "expires": "soon"}, "bad-command"),
        ({"destination": "a", "content_type": "x" * 257}, "bad-command"),
        ({"destination": "a", **{f"k{n}": n for n in range(65)}}, "quota"),
    ],
)
def test_what_cant_be_sent_ends_the_connection(context, headers, code):
    client = context.client()
    fails(client, client.say("SEND", b"x", **headers, receipt="r"), code, "r")


@pytest.mark.parametrize(
    "headers",
    [
        {"id": 1}, {"destination": "a"}, {"destination": "a", "id": "x" * 257},
        {"destination": "a", "id": 1, "ack": "never"},
    ],
)  # fmt: skip
def test_what_cant_be_subscribed_to(context, headers):
    client = context.client()
    fails(client, client.say("SUBSCRIBE", **headers), "bad-command")


def test_bad_filters(context):
    for destination in ("a/#/b", "/topic/a+", "/queue/#"):
        client = context.client()
        fails(client, client.subscribe(destination), "bad-topic" if "queue" in destination else "bad-filter")


@pytest.mark.parametrize("command", ["SUBSCRIBE", "DISCONNECT", "UNSUBSCRIBE"])
def test_only_send_has_a_body(context, command):
    client = context.client()
    fails(client, client.say(command, b"x", id=1, destination="a"), "bad-command")


def test_nothing_follows_an_error(tcp):
    client = tcp.client()
    ear = tcp.client()
    ear.subscribe("a")
    client.raw(write("NONE") + write("SEND", destination="a"))
    assert client.closed
    assert ear.output() == []


def test_a_body_that_looks_like_a_frame_is_a_body(tcp):
    client = tcp.client()
    client.subscribe("b")
    frame = write("SEND", b"x", destination="a", content_length=1)
    for _ in range(2):
        client.raw(frame)
    head = write("SEND", destination="b", content_length=len(frame))[:-1]
    assert client.raw(head) == []
    (message,) = client.raw(frame) + client.raw(b"\0")
    assert message.body == frame


# Receipts and the end


def test_each_frame_gets_its_receipt_in_order(context):
    client = context.client()
    said = [
        write("SUBSCRIBE", destination="a", id=1, receipt="1"), write("SEND", destination="b", receipt="2:\n"),
        write("SEND", destination="b", persistent="true", receipt="3"), write("UNSUBSCRIBE", id=1, receipt=""),
        write("DISCONNECT", receipt="5"),
    ]  # fmt: skip
    frames = client.raw(b"".join(said))
    assert [(frame.command, frame.receipt_id) for frame in frames] == [
        ("RECEIPT", receipt) for receipt in ("1", "2:\n", "3", "", "5")
    ]
    assert client.closed or client.end.close_code == 1000


def test_disconnect_without_a_receipt(context):
    client = context.client()
    assert client.say("DISCONNECT") == []
    assert client.closed or client.end.close_code == 1000


def test_an_end_of_the_hub_is_an_error(tcp):
    client = tcp.client()
    (link,) = tcp.listener.context.links
    link.close("shutdown")
    tcp.world.turn()
    assert fails(client, client.output(), "unavailable").message == "shutdown"


def test_a_message_over_the_rate_costs_a_link_nothing_unless_it_wants_a_receipt():
    hub = StompHub(rate=Rate(1, 1))
    client = hub.client()
    assert client.raw(write("SEND", destination="a") * 3) == []
    fails(client, client.publish("a", receipt="r"), "rate-limited", "r")
