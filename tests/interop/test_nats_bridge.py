"""Connectors of the dialect nats: to a nats-server and to another hub, over what, and what a restart there costs."""

from __future__ import annotations

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from certificates import Authority
from interop.clients import Tcp
from interop.mqtt.base import At
from interop.nats import jwt
from interop.nats.clients import NatsPy
from interop.nats.server import nats_server
from ports import free_port
from running import Daemon


@pytest.fixture(scope="module")
def server():
    with nats_server() as port:
        yield port


@pytest.fixture
def stack():
    with ExitStack() as made:
        yield made


def there(stack, port, *subjects, **login):
    """A client at the server."""
    made = stack.enter_context(NatsPy(At("tcp", "127.0.0.1", port), **login))
    for subject in subjects:
        made.subscribe(subject)
    return made


def hub(stack, *keys, to="nats://127.0.0.1:{}", port=0):
    daemon = Daemon("--tcp", "tcp:0", "--connect", ":".join([to.format(port), "id=b", *keys]))
    return stack.enter_context(daemon)


def here(stack, daemon, *filters):
    """A client of lines at the hub."""
    made = stack.enter_context(Tcp(daemon.tcp[0]))
    for filter in filters:
        assert made.ask(f"SUB {filter}") == f"OK SUB {filter}"
    return made


class Lines:
    """A client of lines that publishes as those of NATS do."""

    def __init__(self, client):
        self.client = client

    def publish(self, subject, payload):
        self.client.send(f"PUB {subject.replace('.', '/')} {payload.decode()}")


def ready(daemon, client, topic="up/ready"):
    """Wait until what is published there on a topic of `pull=` comes here: from then on both ways are open."""
    with Tcp(daemon.tcp[0]) as ear:
        ear.ask(f"SUB {topic}")
        line = "PONG"
        while line == "PONG":
            client.publish(topic.replace("/", "."), b"")
            ear.send("PING")
            line = ear.line()
        assert line == f"MSG {topic} "


def test_the_example(stack, server):
    """docs/nats.md, as it stands there; only where the server is differs."""
    page = (Path(__file__).parents[2] / "docs" / "nats.md").read_text()
    [command] = re.findall(r"## Link to a NATS server\n\n +\$ hubbub run (.*)\n", page)
    options = command.replace("tcp:6999", "tcp:0").replace("nats.example.org", f"127.0.0.1:{server}").split()
    daemon, client = stack.enter_context(Daemon(*options)), there(stack, server, "cmd", "cmd.>")
    ready(daemon, client, "sensors/ready")
    lines = here(stack, daemon, "sensors/#")
    client.publish("sensors.a", b"21.5")
    client.publish("sensors", b"both")
    lines.expect("MSG sensors/a 21.5")
    lines.expect("MSG sensors both")
    lines.send("PUB cmd/x é")
    lines.send("PUB cmd y")
    assert [client.next()[:2] for _ in range(2)] == [("cmd.x", "é".encode()), ("cmd", b"y")]


def test_requests_cross_both_ways(stack, server):
    service, asker = there(stack, server, "ask.there"), there(stack, server)
    daemon = hub(stack, "pull=up/#,$reply/#,ask/here", "push=ask/there,_INBOX/#", port=server)
    ready(daemon, asker)
    lines, json = here(stack, daemon), here(stack, daemon)
    lines.send("REQ ask/there what?")
    output = service.next()
    assert output.payload == b"what?"
    service.publish(output.reply, b"an answer")
    lines.expect("REP an answer")
    json.ask('{"op":"subscribe","topic":"ask/here","meta":true}')
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(asker.request, "ask.here", b"how?")
        reply = re.search(r'"reply_to":"([^"]+)"', json.line())[1]
        json.send(f'{{"op":"publish","topic":"{reply}","data":"fine"}}')
        assert answer.result() == b"fine"


def test_a_queue_group_of_two_hubs(stack, server):
    """Each message of the server is published by one of them."""
    client = there(stack, server)
    hubs = [hub(stack, "pull=jobs/+", "queue-group=hubs", port=server) for _ in range(2)]
    for daemon in hubs:
        ready(daemon, client, "jobs/ready")
    ears = [here(stack, daemon, "jobs/a", "jobs/end") for daemon in hubs]
    client.publish("jobs.a", *[b"%d" % number for number in range(20)])
    found, ended = [], set()
    while len(ended) < 2:
        client.publish("jobs.end", b"")
        for ear in ears:
            ear.send("PING")
            while (line := ear.line()) != "PONG":
                if line == "MSG jobs/end ":
                    ended.add(ear)
                else:
                    found.append(int(line.removeprefix("MSG jobs/a ")))
    assert sorted(found) == list(range(20))


def test_a_restart_of_the_server(stack):
    """The link comes back by itself, and subscribes again."""
    port, daemon = free_port(), None
    for round in (b"1", b"2"):
        with nats_server(port=port), ExitStack() as short:
            client = there(short, port)
            daemon = daemon or hub(stack, "pull=up/#", port=port)
            ready(daemon, client)
            lines = here(short, daemon, "up/x")
            client.publish("up.x", round)
            lines.expect(f"MSG up/x {round.decode()}")


def test_nothing_goes_round(stack, server):
    """Two hubs linked to one server, and all filters overlap: each message is everywhere once."""
    ear = there(stack, server)
    hubs = [hub(stack, "pull=a/#", "push=a/#", port=server) for _ in range(2)]
    for daemon in hubs:
        ready(daemon, ear, "a/ready")
    first, second = [here(stack, daemon, "a/x") for daemon in hubs]
    ear.subscribe("a.x")
    first.send("PUB a/x 1")
    for lines in (first, second):
        lines.expect("MSG a/x 1")
    assert ear.next()[:2] == ("a.x", b"1")
    ear.publish("a.x", b"2")
    assert ear.next()[:2] == ("a.x", b"2")
    for lines in (first, second):
        lines.expect("MSG a/x 2")
        lines.send("PING")
        lines.expect("PONG")
    ear.publish("b", b"")
    assert ear.left() == []


def test_logins(stack, tmp_path):
    for name in ("right", "wrong"):
        (tmp_path / name).write_text(f"{name}\n")
    port = stack.enter_context(nats_server("--user", "hub", "--pass", "right"))
    client = there(stack, port, user="hub", **{"pass": "right"})
    ready(hub(stack, "pull=up/#", "user=hub", f"password-file={tmp_path}/right", port=port), client)
    for keys in (["user=hub", f"password-file={tmp_path}/wrong"], []):
        hub(stack, "pull=up/#", *keys, port=port).wait_for("it closes: Authorization Violation")


def test_keys(stack, tmp_path):
    """The seed of an NKey that the server knows, and one that it doesn't."""
    user = jwt.made("U")
    users = f"{{nkey: {user.public}}}, {{user: a, password: b}}"
    (tmp_path / "nats.conf").write_text(f"authorization {{ users: [{users}] }}")
    (tmp_path / "right").write_text(user.seed)
    (tmp_path / "wrong").write_text(jwt.made("U").seed)
    port = stack.enter_context(nats_server("-c", str(tmp_path / "nats.conf")))
    client = there(stack, port, user="a", password="b")
    ready(hub(stack, "pull=up/#", f"credentials-file={tmp_path}/right", port=port), client)
    daemon = hub(stack, "pull=up/#", f"credentials-file={tmp_path}/wrong", port=port)
    daemon.wait_for("it closes: Authorization Violation")


def test_credentials_of_an_account(stack, tmp_path):
    """Two hubs meet at a server where each has a user of the same account."""
    account = jwt.made("A")
    (tmp_path / "nats.conf").write_text(jwt.configured(account))
    for name in ("one", "other"):
        (tmp_path / name).write_text(jwt.creds(account, jwt.made("U")))
    port = stack.enter_context(nats_server("-c", str(tmp_path / "nats.conf")))
    one, other = (
        hub(stack, way, f"credentials-file={tmp_path}/{name}", port=port)
        for way, name in (("push=up/#", "one"), ("pull=up/#", "other"))
    )
    ready(other, Lines(here(stack, one)))


def test_another_server_of_the_list(stack):
    """The link goes to the next server when its own one ends."""
    with nats_server() as other, ExitStack() as short:
        with nats_server() as port:
            daemon = hub(stack, "pull=up/#", to=f"nats://127.0.0.1:{{}},127.0.0.1:{other}", port=port)
            daemon.wait_for("connected to")
        ready(daemon, there(short, other))


def test_what_the_server_refuses_is_reported(stack, tmp_path):
    user = '{user: a, password: b, permissions: {subscribe: "x"}}'
    (tmp_path / "nats.conf").write_text(f"authorization {{ users: [{user}] }}")
    (tmp_path / "password").write_text("b")
    port = stack.enter_context(nats_server("-c", str(tmp_path / "nats.conf")))
    daemon = hub(stack, "pull=up/a", "user=a", f"password-file={tmp_path}/password", port=port)
    daemon.wait_for("it refuses: Permissions Violation for Subscription to .*up.a")


def test_tls_and_websocket(stack, tmp_path):
    authority = Authority(tmp_path)
    certificate = authority.issue("server.pem", "server", ("localhost", "127.0.0.1"))
    files, web = f'cert_file: "{certificate}", key_file: "{certificate}"', free_port()
    listen = f'websocket {{ listen: "127.0.0.1:{web}", no_tls: true }}'
    (tmp_path / "first.conf").write_text(f"tls {{ {files}, handshake_first: true }}\n{listen}\n")
    (tmp_path / "after.conf").write_text(f"tls {{ {files} }}\n")
    port = stack.enter_context(nats_server("-c", str(tmp_path / "first.conf")))
    client = stack.enter_context(NatsPy(At("tls", "localhost", port, trust=authority.file), tls_first=True))
    first = f"tls:localhost:{port}:trustRoots={authority.file}:handshake-first=yes"
    for to in (first, f"ws://127.0.0.1:{web}/"):
        ready(hub(stack, "dialect=nats", "pull=up/#", to=to), client)
    other = stack.enter_context(nats_server("-c", str(tmp_path / "after.conf")))
    client = stack.enter_context(NatsPy(At("tls", "localhost", other, trust=authority.file)))
    to = f"tls:localhost:{{}}:trustRoots={authority.file}"
    daemon = hub(stack, "dialect=nats", "pull=up/#", "push=cmd/#", to=to, port=other)
    ready(daemon, client)
    client.subscribe("cmd.>")
    with Tcp(daemon.tcp[0]) as lines:
        lines.send("PUB cmd/x " + "x" * 100_000)
    assert client.next()[:2] == ("cmd.x", b"x" * 100_000)
    hub(stack, "pull=up/#", port=other).wait_for("it requires TLS")
    stranger = Authority(tmp_path, "Stranger")
    to = f"tls:localhost:{{}}:trustRoots={stranger.file}"
    hub(stack, "dialect=nats", "pull=up/#", to=to, port=other).wait_for("certificate")


def test_what_follows_the_greeting_in_the_clear_is_not_read(stack, tmp_path):
    """Anybody between could have put it there."""
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    authority = Authority(tmp_path)
    to = f"tls:127.0.0.1:{{}}:trustRoots={authority.file}"
    daemon = hub(stack, "dialect=nats", "pull=up/#", to=to, port=listening.getsockname()[1])
    server = stack.enter_context(listening.accept()[0])
    server.sendall(b'INFO {"headers":true}\r\nPONG\r\n')
    daemon.wait_for("TLS: its greeting is no single line")


def test_two_hubs(stack):
    """hubbub at both ends: headers pass."""
    far = stack.enter_context(Daemon("--tcp", "tcp:0", "--tcp", "tcp:0:id=n:dialect=nats"))
    daemon = hub(stack, "pull=up/#", "push=cmd/#", port=far.tcp[1][1])
    ready(daemon, there(stack, far.tcp[1][1]))
    ear, mouth = here(stack, far), here(stack, daemon)
    ear.ask('{"op":"subscribe","topic":"cmd/#","meta":true}')
    said = '"content_type":"text/csv","properties":{"k":"1"},"reply_to":"r/1"'
    mouth.send(f'{{"op":"publish","topic":"cmd/x","data":"1",{said}}}')
    output = ear.line()
    for part in ('"topic":"cmd/x"', '"data":"1"', '"content_type":"text/csv"', '"k":"1"', '"reply_to":"r/1"'):
        assert part in output
