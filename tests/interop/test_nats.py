"""NATS clients that people have: each behaviour with each of them, over each carrier that it speaks."""

from __future__ import annotations

import itertools
from contextlib import ExitStack, suppress
from functools import partial

import pytest

from certificates import Authority
from interop.clients import Tcp
from interop.commonjs import Page
from interop.mqtt.base import At
from interop.mqtt.javascript import driven
from interop.nats.clients import DRIVER, FOLDER, NatsJs, NatsPy, Output, scripts
from interop.nats.jwt import made as new_key
from running import Daemon
from service.test_passwords import cheap

CLIENTS = {
    "nats-py": ("tcp", "tls", "websocket"),
    "transport": ("tcp", "tls"),
    "nats": ("tcp", "tls"),
    "web": ("websocket",),
    "chromium": ("websocket",),
}
WEB = [kind for kind, carriers in CLIENTS.items() if carriers == ("websocket",)]
_numbers = itertools.count()


class Cell:
    """One client on one carrier. `topic` is of this test alone."""

    def __init__(self, make, at, lines, stack):
        self.make = make
        self.at = at
        self.lines = lines
        self.stack = stack
        self.topic = f"t{next(_numbers)}"

    def client(self, *subjects, **login):
        made = self.stack.enter_context(self.make(self.at, **login))
        for subject in subjects:
            made.subscribe(f"{self.topic}.{subject}")
        return made


def messages(cell):
    """Payloads of any bytes come whole and in order, by every filter that matches; lines hear them too."""
    ear, mouth = cell.client("*.x", "a.>"), cell.client()
    assert cell.lines.ask(f"SUB {cell.topic}/#") == f"OK SUB {cell.topic}/#"
    mouth.publish(f"{cell.topic}.b.x", b"", bytes(range(256)) * 500)
    assert [ear.next() for _ in range(2)] == [
        Output(f"{cell.topic}.b.x", payload) for payload in (b"", bytes(range(256)) * 500)
    ]
    mouth.publish(f"{cell.topic}.a.x", b"1")
    assert [ear.next() for _ in range(2)] == [Output(f"{cell.topic}.a.x", b"1")] * 2
    mouth.publish(f"{cell.topic}.a.é%20%2E", *[b"%d" % number for number in range(200)])
    assert [ear.next().payload for _ in range(200)] == [b"%d" % number for number in range(200)]
    cell.lines.expect(f"MSG {cell.topic}/b/x ")
    cell.lines.line()
    cell.lines.expect(f"MSG {cell.topic}/a/x 1")
    cell.lines.expect(f"MSG {cell.topic}/a/é%20. 0")


def headers(cell):
    ear, mouth = cell.client("a"), cell.client()
    mouth.publish(f"{cell.topic}.a", b"x", reply=f"{cell.topic}.r", headers=[("K", "1"), ("A-b", "x y")])
    assert ear.next() == Output(f"{cell.topic}.a", b"x", f"{cell.topic}.r", (("K", "1"), ("A-b", "x y")))


def queue_groups(cell):
    """Each message goes to one member, and to everybody else."""
    members, ear, mouth = [cell.client() for _ in range(3)], cell.client("jobs"), cell.client()
    for member in members:
        member.subscribe(f"{cell.topic}.jobs", "workers")
    jobs = [b"%d" % number for number in range(9)]
    mouth.publish(f"{cell.topic}.jobs", *jobs)
    assert [ear.next().payload for _ in jobs] == jobs
    assert sorted(member.next().payload for member in members for _ in range(3)) == jobs


def requests(cell):
    """It answers lines and one of its own, and asks; a subject that nobody hears has no responders."""
    service, client = cell.client("ask"), cell.client()
    assert client.request(f"{cell.topic}.nobody", b"who?") is None
    cell.lines.send(f"REQ {cell.topic}/ask how")
    output = service.next()
    service.publish(output.reply, b"fine")
    cell.lines.expect("REP fine")
    assert client.request("echo.x", b"hello") == b"HELLO"
    assert client.request("$JS.API.INFO", b"") is not None


def unsubscribe(cell):
    ear, mouth = cell.client(), cell.client()
    ear.subscribe(f"{cell.topic}.a", max=2)
    mouth.publish(f"{cell.topic}.a", b"1", b"2", b"3")
    assert [ear.next().payload for _ in range(2)] == [b"1", b"2"]
    ear.publish(f"{cell.topic}.b", b"")
    assert ear.left() == []
    assert mouth.request(f"{cell.topic}.a", b"") is None


def drain(cell):
    """What has been published before is heard before the client goes.

    nats-py 2.16 may end before it has handed on what it got, with nats-server 2.15 too; what it hands on has no gap.
    """
    ear, mouth = cell.client("a"), cell.client()
    sent = [b"%d" % number for number in range(100)]
    mouth.publish(f"{cell.topic}.a", *sent)
    ear.drain()
    output = [one.payload for one in ear.left()]
    assert output == (sent[: len(output)] if isinstance(ear, NatsPy) else sent)
    assert mouth.request(f"{cell.topic}.a", b"") is None


BEHAVIOURS = (messages, headers, queue_groups, requests, unsubscribe, drain)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A daemon on every carrier: (daemon, where it is by carrier)."""
    folder = tmp_path_factory.mktemp("nats")
    authority = Authority(folder)
    hub = authority.issue("hub.pem", "hub", ("localhost", "127.0.0.1"))
    with Daemon(
        "--tcp", "tcp:0:id=lines", "--tcp", "tcp:0:id=nats:dialect=nats",
        "--tcp", f"ssl:0:id=tls:privateKey={hub}:dialect=nats", "--websocket", "tcp:0:dialect=nats",
        "--handler", "upper",
    ) as daemon:  # fmt: skip
        ports = dict(zip(("tcp", "tls", "websocket"), [*daemon.tcp[1:], *daemon.websocket], strict=True))
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
    if kind == "nats-py":
        return NatsPy
    if kind == "chromium":
        return partial(NatsJs, request.getfixturevalue("chromium"), "web")
    return partial(NatsJs, request.getfixturevalue("node"), kind)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize(("kind", "carrier"), [(kind, one) for kind, carriers in CLIENTS.items() for one in carriers])
def test_nats(hub, make, kind, carrier, behaviour):
    daemon, at = hub
    with Tcp(daemon.tcp[0]) as lines, ExitStack() as stack:
        behaviour(Cell(make, at[carrier], lines, stack))


@pytest.mark.parametrize("kind", [kind for kind, carriers in CLIENTS.items() if "tls" in carriers])
def test_tls_first(make, kind, tmp_path):
    authority = Authority(tmp_path)
    hub = authority.issue("hub.pem", "hub", ("localhost", "127.0.0.1"))
    with Daemon("--tcp", f"ssl:0:privateKey={hub}:dialect=nats:handshake-first=yes") as daemon:
        at = At("tls", "localhost", daemon.tcp[0][1], trust=authority.file)
        with make(at, tls_first=True) as client:
            client.subscribe("a")
            client.publish("a", b"1")
            assert client.next() == Output("a", b"1")
    assert "Traceback" not in daemon.log


def test_what_follows_info_in_the_clear_is_not_read(tmp_path):
    authority = Authority(tmp_path)
    hub = authority.issue("hub.pem", "hub", ("localhost", "127.0.0.1"))
    with Daemon("--tcp", "tcp:0", "--tcp", f"ssl:0:id=tls:privateKey={hub}:dialect=nats") as daemon:
        with Tcp(daemon.tcp[0]) as lines, Tcp(daemon.tcp[1]) as client:
            lines.ask("SUB #")
            assert '"tls_required":true' in client.line()
            client.send("PUB a 1\r\nx\r\n")
            with suppress(ConnectionError):
                while client.socket.recv(1_000):
                    pass
            lines.send("PING")
            lines.expect("PONG")


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_restart(make, kind):
    """A client is told of the end, comes back by itself, and has its subscriptions."""
    option, port = "--websocket" if kind in WEB else "--tcp", 0
    with ExitStack() as stack:
        for round in range(2):
            with Daemon("--tcp", "tcp:0", option, f"tcp:{port}:id=nats:dialect=nats") as daemon:
                _, port = daemon.websocket[0] if kind in WEB else daemon.tcp[1]
                if round == 0:
                    client = stack.enter_context(make(At("websocket" if kind in WEB else "tcp", "127.0.0.1", port)))
                    client.subscribe("a.*")
                else:
                    client.reconnected()
                client.publish("a.b", b"%d" % round)
                assert client.next() == Output("a.b", b"%d" % round)


@pytest.mark.parametrize("option", ["--tcp", "--websocket", "tls"])
def test_an_nkey(option, tmp_path):
    """nats-py signs the nonce of INFO, over TLS of the one before it, with a seed from nsc."""
    user = new_key("U")
    (tmp_path / "seed").write_text(user.seed)
    (tmp_path / "passwords").write_text(f"robot:*:nkey={user.public}\n")
    authority = Authority(tmp_path)
    pem = authority.issue("hub.pem", "hub", ("localhost",))
    endpoint = f"ssl:0:privateKey={pem}" if option == "tls" else "tcp:0"
    listener = "--tcp" if option == "tls" else option
    with Daemon(listener, f"{endpoint}:dialect=nats", "--auth", f"hubbub:{tmp_path}/passwords") as daemon:
        _, port = (daemon.websocket or daemon.tcp)[0]
        carrier = {"--tcp": "tcp", "--websocket": "websocket", "tls": "tls"}[option]
        at = At(carrier, "localhost", port, trust=authority.file if option == "tls" else None)
        with NatsPy(at, nkeys_seed=str(tmp_path / "seed")) as client:
            client.subscribe("a")
            client.publish("a", b"1")
            assert client.next() == Output("a", b"1")


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_login(make, kind, tmp_path):
    (tmp_path / "passwords").write_text(f"ann:{cheap('right')}\n")
    option = "--websocket" if kind in WEB else "--tcp"
    with Daemon(option, "tcp:0:dialect=nats", "--auth", f"hubbub:{tmp_path}/passwords") as daemon:
        _, port = daemon.websocket[0] if kind in WEB else daemon.tcp[0]
        at = At("websocket" if kind in WEB else "tcp", "127.0.0.1", port)
        with make(at, user="ann", **{"pass": "right"}) as client:
            client.subscribe("a")
            client.publish("a", b"1")
            assert client.next() == Output("a", b"1")
        with pytest.raises(Exception, match=r"(?i)authorization"):
            make(at, user="ann", allow_reconnect=False, **{"pass": "wrong"})
