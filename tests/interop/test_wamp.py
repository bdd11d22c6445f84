"""WAMP clients that people have: each behaviour with each of them, over each carrier and serializer that it speaks."""

from __future__ import annotations

import itertools
from contextlib import ExitStack

import pytest

from certificates import Authority
from hubbub.service.auth.scram import ARGON2, COSTS, Scram
from interop.clients import Tcp
from interop.mqtt.javascript import need_packages
from interop.wamp.clients import FOLDER, Client, process
from running import Daemon
from service.test_passwords import cheap

KINDS = ("autobahn twisted", "autobahn asyncio", "autobahn-js", "wampy", "wampproto")
CELLS = [
    ("autobahn twisted", "websocket", "json"),
    ("autobahn twisted", "websocket", "msgpack"),
    ("autobahn twisted", "tcp", "cbor"),
    ("autobahn asyncio", "websocket", "cbor"),
    ("autobahn asyncio", "tcp", "json"),
    ("autobahn-js", "websocket", "json"),
    ("autobahn-js", "websocket", "msgpack"),
    ("wampy", "websocket", "json"),
    ("wampy", "websocket", "msgpack"),
    ("wampy", "websocket", "cbor"),
    ("wampproto", "tcp", "json"),
    ("wampproto", "tcp", "cbor"),
    ("wampproto", "websocket", "msgpack"),
    ("autobahn twisted", "wss", "cbor"),
    ("autobahn twisted", "tls", "json"),
    ("autobahn asyncio", "wss", "json"),
    ("autobahn asyncio", "tls", "msgpack"),
    ("autobahn-js", "wss", "json"),
    ("wampy", "wss", "cbor"),
    ("wampproto", "wss", "json"),
]
CARRIERS = {
    "websocket": "ws://{0}:{1}/",
    "tcp": "rs://{0}:{1}",
    "wss": "wss://localhost:{1}/",
    "tls": "rss://localhost:{1}",
}
RECONNECTING = ("autobahn twisted", "autobahn asyncio", "autobahn-js", "wampy")
_numbers = itertools.count()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def hub(authority):
    """A daemon with WAMP on all its ports, and the handler upper."""
    tls = f"ssl:0:privateKey={authority.issue('hub.pem', 'localhost', ('localhost',))}"
    ports = ("--tcp", "tcp:0", "--tcp", f"{tls}:id=tls", "--websocket", "tcp:0", "--websocket", f"{tls}:id=wss")
    with Daemon(*ports, "--handler", "upper") as daemon:
        yield daemon
    assert "Traceback" not in daemon.log


@pytest.fixture(scope="module")
def driver(need, authority):
    """driver(kind) -> the process that drives such clients."""
    need_packages(FOLDER)
    made = {}
    yield lambda kind: made.get(kind) or made.setdefault(kind, process(kind, need, authority.file))
    for one in made.values():
        one.close()


def url_of(daemon, carrier):
    ports = daemon.tcp if carrier in ("tcp", "tls") else daemon.websocket
    host, port = ports[carrier in ("wss", "tls")]
    return CARRIERS[carrier].format(host, port)


@pytest.mark.parametrize(("kind", "carrier", "serializer"), CELLS)
def test_wamp(hub, driver, kind, carrier, serializer):
    with Tcp(hub.tcp[0]) as lines, ExitStack() as stack:
        one, other = (
            stack.enter_context(Client(driver(kind), kind, url_of(hub, carrier), serializer)) for _ in range(2)
        )
        topic = f"t{next(_numbers)}"
        publish_and_subscribe(one, other, lines, topic)
        call(one, other, lines, topic, kind)


def publish_and_subscribe(one, other, lines, topic):
    """Sessions, and lines, share a topic; a retained event comes to a later subscription."""
    one.subscribe(f"{topic}.a")
    assert lines.ask(f"SUB {topic}/a") == f"OK SUB {topic}/a"
    other.publish(f"{topic}.a", 1, "é", [{"k": None}], more=True)
    assert one.next() == ([1, "é", [{"k": None}]], {"more": True})
    lines.line()
    other.publish(f"{topic}.a", "text")
    assert one.next() == (["text"], {})
    lines.expect(f"MSG {topic}/a text")
    lines.send(f"PUB {topic}/a from a line")
    assert one.next() == (["from a line"], {})
    lines.line()
    one.act("unsubscribe")
    lines.send(f"PUB! {topic}/b/c kept")  # wampy has no such option
    assert lines.ask("PING") == "PONG"
    other.subscribe(topic, match="prefix", get_retained=True)
    assert other.next() == (["kept"], {})


def call(one, other, lines, topic, kind):
    """A procedure answers sessions and lines; a session calls a handler."""
    one.register(f"{topic}.echo", invoke="roundrobin")
    assert other.call(f"{topic}.echo", 1, 2, k=3) == {"parts": [], "args": [1, 2], "kwargs": {"k": 3}}
    lines.send(f"REQ {topic}/echo how")
    lines.expect("REP how")
    assert other.call("echo.x", "hello")["args"] == ["HELLO"]
    assert other.call(f"{topic}.nothing")["error"] == "wamp.error.no_such_procedure"
    one.register(f"{topic}.fail", "fail")
    assert other.call(f"{topic}.fail", "why")["error"] == "com.app.error"
    if kind != "wampproto":  # which has neither
        one.register(f"{topic}.parts", "parts")
        found = other.call(f"{topic}.parts", 1, 2, options={"receive_progress": True})
        assert (found["parts"], found["args"]) == ([1, 2], ["all"])
        one.register(f"{topic}.stay", "stay")
        assert other.call(f"{topic}.stay", options={"timeout": 100})["error"] == "wamp.error.timeout"


@pytest.mark.parametrize(("serializer", "long"), [("json", 2**32), ("msgpack", "4294967296n"), ("cbor", 2**32)])
def test_wampy_has_integers_of_64_bits_of_messagepack_as_bigint(hub, driver, serializer, long):
    url, topic = url_of(hub, "websocket"), f"t{next(_numbers)}"
    with (
        Client(driver("wampy"), "wampy", url, serializer) as one,
        Client(driver("autobahn-js"), "autobahn-js", url, "json") as other,
    ):
        one.subscribe(topic)
        other.publish(topic, 2**32 - 1, 2**32)
        assert one.next() == ([2**32 - 1, long], {})


@pytest.mark.parametrize("kind", RECONNECTING)
def test_a_restart(driver, kind):
    """A client comes back by itself, with its subscriptions."""
    port = 0
    with ExitStack() as stack:
        for round in range(2):
            with Daemon("--tcp", "tcp:0", "--websocket", f"tcp:{port}") as daemon, Tcp(daemon.tcp[0]) as lines:
                lines.send(f"PUB! a/b {round}")
                assert lines.ask("PING") == "PONG"
                _, port = daemon.websocket[0]
                if round == 0:
                    client = stack.enter_context(Client(driver(kind), kind, url_of(daemon, "websocket"), "json"))
                    client.subscribe("a.b", get_retained=True)
                assert client.next() == ([str(round)], {})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("autobahn ")])
def test_scram(driver, kind, tmp_path, monkeypatch):
    """Autobahn for Python checks the hub's signature too."""
    monkeypatch.setitem(COSTS, ARGON2, (1, 64))
    (tmp_path / "passwords").write_text(f"ann:*:scram={Scram.make(b'right', ARGON2).text}\n")
    with Daemon("--websocket", "tcp:0", "--auth", f"hubbub:{tmp_path}/passwords") as daemon:
        login = {"user": "ann", "password": "right", "method": "scram"}
        with Client(driver(kind), kind, url_of(daemon, "websocket"), "json", **login) as client:
            assert client.call("wamp.session.count")["args"] == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_ticket(driver, kind, tmp_path):
    (tmp_path / "passwords").write_text(f"ann:{cheap('right')}\n")
    with Daemon("--websocket", "tcp:0", "--auth", f"hubbub:{tmp_path}/passwords") as daemon:
        login = {"user": "ann", "password": "right", "method": "ticket"}
        with Client(driver(kind), kind, url_of(daemon, "websocket"), "json", **login) as client:
            assert client.call("wamp.session.count")["args"] == [1]
