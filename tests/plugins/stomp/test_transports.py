"""plugins/stomp: subprotocols and messages of WebSocket, and how STOMP is told apart from other dialects."""

from __future__ import annotations

import pytest

from hubbub.dialects.detect import Auto
from hubbub.dialects.lines import Lines
from hubbub.testing import CUTTINGS
from hubbub_plugins.mqtt import Mqtt
from hubbub_plugins.stomp import Stomp
from stomp_client import Client, StompHub, write


@pytest.fixture
def tcp():
    return StompHub()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("v10.stomp, v11.stomp, v12.stomp", "v12.stomp"), ("v12.stomp, v11.stomp, v10.stomp", "v12.stomp"),
        ("v10.stomp, v11.stomp", "v11.stomp"), ("v10.stomp", "v10.stomp"), ("v13.stomp", None), (None, None),
    ],
)  # fmt: skip
def test_the_highest_subprotocol_is_chosen(offered, chosen):
    hub = StompHub("websocket")
    client = hub.stranger(**({} if offered is None else {"subprotocol": offered}))
    assert client.connect().version == "1.2"
    assert client.end.subprotocol == chosen


@pytest.mark.parametrize("body", [b"text: \xc3\xbc", b"\xff\0"])
def test_on_a_websocket_what_isnt_text_is_binary(body):
    hub = StompHub("websocket")
    client = hub.client()
    for id in ("1", "22"):
        client.subscribe("a", id=id)
    client.end.send(write("SEND", body, destination="a", content_length=len(body)))
    hub.world.turn()
    received = client.end.received()
    assert [type(one) for one in received] == [str if body.startswith(b"t") else bytes] * 2
    texts = [one.encode() if isinstance(one, str) else one for one in received]
    assert sorted(one.split(b"\n")[2] for one in texts) == [b"subscription:1", b"subscription:22"]
    assert all(one.endswith(b"\n\n" + body + b"\0") for one in texts)


def test_frames_may_span_messages_and_messages_hold_several():
    hub = StompHub("websocket")
    client = hub.client()
    client.subscribe("a")
    said = write("SEND", "ü".encode() * 9_000, destination="a").decode()
    client.end.send(said[:8_192])
    assert client.raw(said[8_192:] + "\n" + said)[1].body == "ü".encode() * 9_000


AUTO = Auto.among([Lines, Mqtt, Stomp], Lines)


@pytest.mark.parametrize("cutting", CUTTINGS)
@pytest.mark.parametrize("first", [b"CONNECT\n", b"STOMP\n", b"CONNECT\r\n", b"STOMP\r\n"])
def test_it_is_recognized_by_its_first_bytes(tcp, first, cutting):
    client = Client(tcp.world.listen("tcp", AUTO))
    for piece in CUTTINGS[cutting]([first, b"accept-version:1.2\n\n\0"]):
        client.end.send(piece)
        tcp.world.turn()
    assert [frame.command for frame in client.output()] == ["CONNECTED"]


@pytest.mark.parametrize("first", [b"CONNECTED\n", b"CONNECT \n", b"STOMP\t\n", b"SUB a\n", b"connect\n"])
def test_what_isnt_a_connect_is_lines(tcp, first):
    client = tcp.world.listen("tcp", AUTO).connect()
    assert client.say(first).split(b" ")[0] in (b"ERR", b"OK")


@pytest.mark.parametrize("cutting", CUTTINGS)
def test_a_web_page_cant_send_frames(tcp, cutting):
    """What a browser sends to the port is refused at its first line, however much of it looks like frames."""
    ear = tcp.client()
    ear.subscribe("#")
    client = tcp.stranger()
    frames = write("CONNECT", accept_version="1.2") + write("SEND", b"x", destination="a")
    for piece in CUTTINGS[cutting]([b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n\0", frames]):
        client.end.send(piece)
        tcp.world.turn()
    assert [frame.command for frame in client.output()] == ["ERROR"]
    assert client.closed
    assert ear.output() == []
