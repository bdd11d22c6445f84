"""STOMP clients that people have: each behaviour with each of them, over each carrier that it speaks."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from functools import partial

import pytest

from certificates import Authority
from interop.clients import Tcp
from interop.commonjs import Page
from interop.mqtt.base import At
from interop.mqtt.javascript import driven
from interop.stomp.clients import DRIVER, FOLDER, Aiostomp, JavaScript, Stompman, StompPy, scripts
from running import Daemon
from service.test_passwords import cheap

CLIENTS = {
    "stomp-py 1.0": ("tcp",),
    "stomp-py 1.1": ("tcp",),
    "stomp-py 1.2": ("tcp", "tls", "websocket"),
    "stompman": ("tcp", "tls", "websocket"),
    "aiostomp": ("tcp", "tls"),
    "stompjs": ("websocket",),
    "webstomp": ("websocket",),
    "stompjs chromium": ("websocket",),
    "webstomp chromium": ("websocket",),
    "stompit": ("tcp", "tls"),
}
RECONNECTING = ("stompman", "aiostomp", "stompjs", "stompjs chromium")
TEXT_ONLY = ("stomp-py", "webstomp", "stompit")  # or they send no content-length
TEXT_ONLY_WEB = ("stompman",)  # which sends all bytes as text messages
_numbers = itertools.count()


class Cell:
    """One client on one carrier. `topic` is of this test alone."""

    def __init__(self, kind, make, at, lines, stack):
        self.kind = kind
        self.make = make
        self.at = at
        self.lines = lines
        self.stack = stack
        self.topic = f"t{next(_numbers)}"

    def client(self, *destinations, ack="auto", **login):
        made = self.stack.enter_context(self.make(self.at, **login))
        for destination in destinations:
            made.subscribe(destination, ack)
        self.settle(made)
        return made

    def settle(self, client):
        """Wait until the hub has acted on what the client has sent."""
        mark = f"{self.topic}/mark/{next(_numbers)}"
        assert self.lines.ask(f"SUB {mark}") == f"OK SUB {mark}"
        client.publish(mark, b"1")
        self.lines.expect(f"MSG {mark} 1")


def messages(cell):
    """Payloads come whole and in order; lines hear them too, and say some."""
    ear, mouth = cell.client(f"/topic/{cell.topic}/a/#"), cell.client()
    assert cell.lines.ask(f"SUB {cell.topic}/a/b") == f"OK SUB {cell.topic}/a/b"
    bodies = [b"%d" % number for number in range(100)]
    long = "é:\\ ".encode() * 10_000
    mouth.publish(f"{cell.topic}/a/b", *bodies, long)
    output = [ear.next() for _ in range(101)]
    assert [one.body for one in output] == [*bodies, long]
    assert {one.destination for one in output} == {f"/topic/{cell.topic}/a/b"}
    for body in bodies:
        cell.lines.expect(f"MSG {cell.topic}/a/b {body.decode()}")
    cell.lines.line()
    cell.lines.send(f"PUB {cell.topic}/a from a line")
    assert ear.next().body == b"from a line"
    if not cell.kind.startswith(TEXT_ONLY + TEXT_ONLY_WEB * cell.at.web):
        mouth.publish(f"{cell.topic}/a", bytes(range(256)))
        assert ear.next().body == bytes(range(256))


def headers(cell):
    ear, mouth = cell.client(f"{cell.topic}/a"), cell.client()
    said = {"content_type": "text/csv", "reply_to": "back", "correlation_id": "7", "k": "v w"}
    mouth.publish(f"{cell.topic}/a", b"x", **said)
    found = ear.next().headers
    assert {name: found[name.replace("_", "-")] for name in said} == said


def requests(cell):
    """It answers lines, and asks a handler."""
    service, client = cell.client(f"{cell.topic}/ask"), cell.client(f"{cell.topic}/back")
    cell.lines.send(f"REQ {cell.topic}/ask how")
    service.publish(service.next().headers["reply-to"], b"fine")
    cell.lines.expect("REP fine")
    client.publish("echo/x", b"hello", reply_to=f"{cell.topic}/back")
    assert client.next().body == b"HELLO"


def acknowledging(cell):
    """What a client of a work queue hasn't acknowledged when it goes is another's, in its order."""
    jobs = f"/queue/{cell.topic}"
    first, mouth = cell.client(jobs, ack="client-individual"), cell.client()
    mouth.publish(jobs, *[b"%d" % number for number in range(4)])
    output = [first.next() for _ in range(4)]
    assert [one.body for one in output] == [b"0", b"1", b"2", b"3"]
    first.ack(output[1].token)
    cell.settle(first)
    first.die()
    second = cell.client(jobs, ack="client")
    output = [second.next() for _ in range(3)]
    assert [one.body for one in output] == [b"0", b"2", b"3"]
    second.ack(output[1].token)  # and the one before
    cell.settle(second)
    second.end()
    third = cell.client(jobs)
    assert third.next().body == b"3"


def refusing(cell):
    """What it refuses is the last in the queue."""
    jobs = f"/queue/{cell.topic}"
    client = cell.client(jobs, ack="client-individual")
    client.publish(jobs, b"0", b"1")
    first, second = client.next(), client.next()
    client.nack(first.token)
    again = client.next()
    assert (first.body, second.body, again.body) == (b"0", b"1", b"0")


BEHAVIOURS = (messages, headers, requests, acknowledging, refusing)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A daemon on every carrier: (daemon, where it is by carrier)."""
    folder = tmp_path_factory.mktemp("stomp")
    authority = Authority(folder)
    hub = authority.issue("hub.pem", "hub", ("localhost", "127.0.0.1"))
    tls = f"ssl:0:id=tls:privateKey={hub}"
    with Daemon("--tcp", "tcp:0:id=tcp", "--tcp", tls, "--websocket", "tcp:0", "--handler", "upper") as daemon:
        ports = dict(zip(("tcp", "tls", "websocket"), [*daemon.tcp, *daemon.websocket], strict=True))
        yield daemon, {name: At(name, "localhost", port, trust=authority.file) for name, (_, port) in ports.items()}
    assert "Traceback" not in daemon.log


@pytest.fixture(scope="module")
def node(need):
    yield from driven(need, DRIVER, FOLDER)


@pytest.fixture(scope="module")
def chromium(browser):
    context = browser.new_context(bypass_csp=True)  # the page of the hub allows no script of others
    yield Page(context.new_page(), scripts())
    context.close()


@pytest.fixture
def make(request, kind):
    """make(at) -> a client of that kind."""
    name, _, version = kind.partition(" ")
    python = {"stomp-py": partial(StompPy, version=version), "stompman": Stompman, "aiostomp": Aiostomp}
    engine = "chromium" if version == "chromium" else "node"
    return python.get(name) or partial(JavaScript, request.getfixturevalue(engine), name)


@pytest.mark.parametrize(
    ("kind", "carrier", "behaviour"), [
        (kind, one, behaviour) for kind, carriers in CLIENTS.items() for one in carriers for behaviour in BEHAVIOURS
        if behaviour is not refusing or kind != "stomp-py 1.0"  # which has no NACK
    ],
)  # fmt: skip
def test_stomp(hub, make, kind, carrier, behaviour):
    daemon, at = hub
    with Tcp(daemon.tcp[0]) as lines, ExitStack() as stack:
        behaviour(Cell(kind, make, at[carrier], lines, stack))


@pytest.mark.parametrize("kind", RECONNECTING)
def test_a_restart(make, kind):
    """A client comes back by itself, and has its subscriptions: so it gets the retained message of the new daemon."""
    carrier, port = "websocket" if "stompjs" in kind else "tcp", 0
    with ExitStack() as stack:
        for round in range(2):
            with (
                Daemon("--tcp", "tcp:0", f"--{carrier}", f"tcp:{port}:id=stomp") as daemon,
                Tcp(daemon.tcp[0]) as lines,
            ):
                lines.send(f"PUB! a/b {round}")
                assert lines.ask("PING") == "PONG"
                _, port = daemon.websocket[0] if carrier == "websocket" else daemon.tcp[1]
                if round == 0:
                    client = stack.enter_context(make(At(carrier, "127.0.0.1", port)))
                    client.subscribe("a/+")
                assert client.next().body == b"%d" % round


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_login(make, kind, tmp_path):
    (tmp_path / "passwords").write_text(f"ann:{cheap('right')}\n")
    carrier = CLIENTS[kind][0]
    option = "--websocket" if carrier == "websocket" else "--tcp"
    with Daemon(option, "tcp:0", "--auth", f"hubbub:{tmp_path}/passwords") as daemon:
        _, port = daemon.websocket[0] if carrier == "websocket" else daemon.tcp[0]
        with make(At(carrier, "127.0.0.1", port), user="ann", password="right") as client:
            client.subscribe("a")
            client.publish("a", b"1")
            assert client.next().body == b"1"
