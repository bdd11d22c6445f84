"""A bridge between hubbub and Mosquitto: what passes, over what, and what a cut in the middle costs."""

from __future__ import annotations

import queue
import re
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from certificates import Authority
from interop.mqtt.base import SECONDS, V5, V311, At, Said, Wish
from interop.mqtt.broker import Mosquitto
from interop.mqtt.paho_client import Paho
from interop.tap import Tap
from ports import free_port
from running import Daemon

VERSIONS = {"5": V5, "3.1.1": V311}


@pytest.fixture(scope="module")
def broker(need, tmp_path_factory):
    with Mosquitto(need("mosquitto"), tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


def bridged(port, *keys, to="tcp:127.0.0.1:{}", **more):
    """A hub with a bridge to that port, which has an identifier of its own each time."""
    at = ":".join([to.format(port), "dialect=mqtt", f"client=hub-{time.monotonic_ns()}", "id=b", *keys])
    return Daemon("--tcp", "tcp:0", "--connect", at, **more)


def near(daemon, version=V5, **more):
    return Paho(At("tcp", *daemon.tcp[0]), Wish(version, **more))


def far(broker, version=V5, **more):
    return Paho(broker.at, Wish(version, **more))


def connected(daemon, there, topic="up/ready"):
    """Wait until what is published there comes here, and so the other way too."""
    with near(daemon) as ear:
        ear.subscribe(topic, 0)
        there.publish(topic, b"ready", 1, retain=True)
        assert ear.next().payload == b"ready"


def test_the_example(broker):
    """docs/mqtt.md, as it stands there; only where the broker is differs."""
    page = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text()
    [command] = re.findall(r"## Bridge to another broker\n\n +\$ hubbub run (.*)\n", page)
    options = command.replace("tcp:6999", "tcp:0").replace("old-broker:1883", f"127.0.0.1:{broker.port}").split()
    with Daemon(*options) as daemon, near(daemon) as here, far(broker) as there:
        connected(daemon, there, "sensors/ready")
        there.subscribe("cmd/#", 1)
        here.publish("cmd/1", b"go", 1)
        assert there.next().payload == b"go"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.mqtt("3.1.1:7.0.0-1")
def test_both_ways_at_every_quality(broker, version, qos):
    top = f"q{qos}/{version}"
    keys = (f"version={version}", f"pull={top}/up/#", f"push={top}/down/#,{top}/down/x")
    with bridged(broker.port, *keys) as daemon, ExitStack() as stack:
        here, there = stack.enter_context(near(daemon)), stack.enter_context(far(broker))
        connected(daemon, there, f"{top}/up/ready")
        daemon.wait_for(f'b: MQTT {version}"')
        for speaker, ear, way in ((there, here, "up"), (here, there, "down")):
            assert ear.subscribe(f"{top}/{way}/x", 2) == 2
            for payload in (b"", b"text", bytes(range(256)) * 1_000):
                speaker.publish(f"{top}/{way}/x", payload, qos)
                output = ear.next()
                assert (output.topic, output.payload, output.qos, output.retain) == (
                    f"{top}/{way}/x",
                    payload,
                    qos,
                    False,
                )
            payloads = [b"%d" % n for n in range(300)]
            speaker.publish_all(f"{top}/{way}/x", payloads, qos)
            assert [ear.next().payload for _ in payloads] == payloads


def test_what_version_5_says_of_a_message(broker):
    said = Said("text/plain", "re/1", b"\1\2", (("k", "1"), ("k", "2")))
    with bridged(broker.port, "pull=five/up/#", "push=five/down/#") as daemon, ExitStack() as stack:
        here, there = stack.enter_context(near(daemon)), stack.enter_context(far(broker))
        connected(daemon, there, "five/up/ready")
        for speaker, ear, way in ((there, here, "up"), (here, there, "down")):
            ear.subscribe(f"five/{way}/x", 1)
            speaker.publish(f"five/{way}/x", b"x", 1, said=said)
            got = ear.next().said
            assert (got.content_type, got.response_topic, got.correlation) == ("text/plain", "re/1", b"\1\2")
            assert [pair for pair in got.user if pair[0] == "k"] == [("k", "1"), ("k", "2")]
            assert [name for name, _ in got.user if name != "k"] == ["hubbub-path"]


def test_retained_messages_stay_so(broker):
    """Those that were there before, those of later, and their end."""
    with far(broker) as there:
        there.publish("kept/up/1", b"before", 1, retain=True)
        with bridged(broker.port, "pull=kept/up/#", "push=kept/down/#", "prefix=m") as daemon, near(daemon) as here:
            here.subscribe("m/kept/#", 1)
            assert here.next().payload == b"before"
            there.publish("kept/up/1", b"later", 1, retain=True)
            assert here.next().payload == b"later"
            here.publish("m/kept/down/1", b"down", 1, retain=True)
            assert here.next().payload == b"down"
            with near(daemon) as late:
                late.subscribe("m/kept/up/1", 1)
                assert late.next().payload == b"later"
            there.subscribe("kept/down/1", 1)
            output = there.next()
            if not output.retain:  # it was on its way yet
                with far(broker) as late:
                    late.subscribe("kept/down/1", 1)
                    output = late.next()
            assert (output.payload, output.retain) == (b"down", True)
            there.publish("kept/up/1", b"", 1, retain=True)
            assert here.next().payload == b""
            with near(daemon) as late:
                late.subscribe("m/kept/#", 1)
                assert late.next().topic == "m/kept/down/1"


def test_what_was_kept_here_goes_there_first(broker):
    with Daemon("--tcp", "tcp:0") as daemon, near(daemon) as here:
        here.publish("first/a", b"kept", 1, retain=True)
        at = "tcp:{}:{}:dialect=mqtt:id=back:pull=first/#".format(*daemon.tcp[0])
        to = f"tcp:127.0.0.1:{broker.port}:dialect=mqtt:id=on:push=first/#:client=first"
        with Daemon("--tcp", "tcp:0", "--connect", at, "--connect", to), far(broker) as there:
            there.subscribe("first/#", 1)
            assert there.next().payload == b"kept"


# Over what


def passes(daemon, there):
    with near(daemon) as here:
        connected(daemon, there)
        there.subscribe("down/#", 1)
        here.publish("down/1", b"x", 1)
        assert there.next().payload == b"x"


def test_tls(need, tmp_path):
    authority = Authority(tmp_path)
    own = authority.issue("names/localhost.pem", "localhost", ("localhost", "127.0.0.1"))
    listener = f"cafile {authority.file}\ncertfile {own}\nkeyfile {own}"
    with Mosquitto(need("mosquitto"), tmp_path, listener) as broker:
        there = At("tls", "localhost", broker.port, trust=authority.file)
        keys = ("pull=up/#", "push=down/#", f"trustRoots={authority.file}")
        with bridged(broker.port, *keys, to="tls:localhost:{}") as daemon, Paho(there, Wish(V5)) as speaker:
            passes(daemon, speaker)
        with bridged(broker.port, "pull=up/#", to="tls:localhost:{}") as daemon:
            daemon.wait_for("b: TLS: certificate verify failed")


@pytest.mark.parametrize("version", VERSIONS)
def test_websocket(need, tmp_path, version):
    web = free_port()
    with Mosquitto(need("mosquitto"), tmp_path, f"listener {web} 127.0.0.1\nprotocol websockets") as broker:
        keys = ("pull=up/#", "push=down/#", f"version={version}")
        with bridged(web, *keys, to="ws://127.0.0.1:{}/mqtt") as daemon, far(broker) as speaker:
            passes(daemon, speaker)


@pytest.mark.parametrize("version", VERSIONS)
def test_websocket_to_another_hub(version):
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0") as remote:
        port, there = remote.websocket[0][1], At("tcp", *remote.tcp[0])
        keys = ("pull=up/#", "push=down/#", f"version={version}")
        with bridged(port, *keys, to="ws://127.0.0.1:{}/mqtt") as daemon, Paho(there, Wish(V5)) as speaker:
            passes(daemon, speaker)


def test_a_unix_socket(need, tmp_path):
    with Mosquitto(need("mosquitto"), tmp_path, where=str(tmp_path / "socket")) as broker:
        with bridged(0, "pull=up/#", "push=down/#", to=f"unix:{tmp_path}/socket") as daemon, far(broker) as speaker:
            passes(daemon, speaker)


# Who it is


@pytest.fixture
def guarded(need, tmp_path):
    """A broker that wants a login, and hides a topic."""
    (tmp_path / "users").write_text("hub:secret\n")
    (tmp_path / "acl").write_text("user hub\ntopic readwrite up/#\ntopic read down/#\n")
    subprocess.run([need("mosquitto_passwd"), "-U", tmp_path / "users"], check=True)
    (tmp_path / "users").chmod(0o644)
    listener = f"allow_anonymous false\npassword_file {tmp_path}/users\nacl_file {tmp_path}/acl"
    with Mosquitto(need("mosquitto"), tmp_path, listener) as broker:
        yield broker


@pytest.mark.parametrize("version", VERSIONS)
def test_a_login(guarded, tmp_path, version):
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "wrong").write_text("guessed\n")
    good = ("pull=up/#", "user=hub", f"version={version}", f"password-file={tmp_path}/password")
    with bridged(guarded.port, *good) as daemon:
        daemon.wait_for(f"b: MQTT {version}")
    with bridged(guarded.port, *good[:3], f"password-file={tmp_path}/wrong") as daemon:
        line = daemon.wait_for("b: it refuses the connection: .*dialled again")
        assert re.search(r"not authorized|bad user name or password", line)
        assert "guessed" not in daemon.log
    with bridged(guarded.port, "pull=up/#", f"version={version}") as daemon:
        daemon.wait_for("b: it refuses the connection: ")


def test_a_message_that_is_refused(guarded, tmp_path):
    """Who may not publish there is told so, and the others go on."""
    (tmp_path / "password").write_text("secret\n")
    keys = ("push=down/#,up/#", "pull=up/#", "user=hub", f"password-file={tmp_path}/password")
    with bridged(guarded.port, *keys) as daemon, near(daemon) as here:
        here.publish("down/1", b"x", 1)
        daemon.wait_for(r"b: the server refuses a message on down/1: not authorized \(0x87\)")
        here.publish("down/2", b"x", 2)
        daemon.wait_for(r"b: the server refuses a message on down/2: not authorized \(0x87\)")


def test_two_of_one_name():
    """Each takes the session over from the other, again and again: their logs say how to end that."""
    with Daemon("--tcp", "tcp:0") as there:
        at = "tcp:{}:{}:dialect=mqtt:client=twin:id=b".format(*there.tcp[0])
        with Daemon("--tcp", "tcp:0", "--connect", at) as one, Daemon("--tcp", "tcp:0", "--connect", at) as other:
            for daemon in (one, other):
                daemon.wait_for(r"b: it disconnects: another client has the same identifier, see client= ")


# What is lost


class Collector:
    """Hears numbers with a session that outlives its links, and keeps what has come."""

    def __init__(self, at, qos, topic, name):
        self._how = At(at.carrier, at.host, at.port, at.path), Wish(V5, name, keep=True)
        self._topic, self._qos = topic, qos
        self.got = []
        self.connect()

    def connect(self):
        self.ear = Paho(*self._how)
        self.ear.subscribe(self._topic, self._qos)

    def until(self, wanted):
        until = time.monotonic() + 3 * SECONDS
        while len(set(self.got)) < wanted:
            assert time.monotonic() < until, (len(set(self.got)), wanted)
            try:
                self.got.append(int(self.ear.queue.get(timeout=1).payload))
            except queue.Empty:
                continue

    def rest(self):
        while not self.ear.queue.empty():
            self.got.append(int(self.ear.next().payload))


COUNT = 200


def exactly(got, qos):
    assert set(got) == set(range(COUNT))
    if qos == 2:
        assert got == list(range(COUNT))  # nothing doubled, and in order
    first = [n for at, n in enumerate(got) if n not in got[:at]]
    assert first == list(range(COUNT))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_the_broker_restarts_amid_what_is_pushed(need, tmp_path, version, qos):
    """Who listens there comes when all is over: what it makes of a restart isn't ours."""
    with Mosquitto(need("mosquitto"), tmp_path) as broker:
        there = Collector(broker.at, qos, "down/#", "ear")
        there.ear.end()
        with bridged(broker.port, "push=down/#", f"version={version}") as daemon, near(daemon) as here:
            daemon.wait_for("b: MQTT")
            here.publish_all("down/n", [b"%d" % n for n in range(COUNT // 2)], qos)
            broker.stop()
            here.publish_all("down/n", [b"%d" % n for n in range(COUNT // 2, COUNT)], qos)
            broker.start()
            there.connect()
            there.until(COUNT)
            exactly(there.got, qos)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_what_is_pushed_before_the_broker_is_there(need, tmp_path, version, qos):
    with Mosquitto(need("mosquitto"), tmp_path) as broker:
        there = Collector(broker.at, qos, "down/#", "ear")
        broker.stop()
        with bridged(broker.port, "push=down/#", f"version={version}") as daemon, near(daemon) as here:
            daemon.wait_for("b: connection refused")
            here.publish_all("down/n", [b"%d" % n for n in range(COUNT)], qos)
            broker.start()
            there.connect()
            there.until(COUNT)
            exactly(there.got, qos)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [1, 2])
def test_cuts_in_the_middle(broker, version, qos):
    """The connection is cut again and again while messages go both ways."""
    top = f"cut{qos}/{version}"
    with Cutter(("127.0.0.1", broker.port)) as wire, ExitStack() as stack:
        keys = (f"pull={top}/up/#", f"push={top}/down/#", f"version={version}")
        daemon = stack.enter_context(bridged(wire.address[1], *keys))
        here, there = stack.enter_context(near(daemon)), stack.enter_context(far(broker))
        connected(daemon, there, f"{top}/up/ready")
        below = Collector(At("tcp", *daemon.tcp[0]), qos, f"{top}/up/n", "below")
        above = Collector(broker.at, qos, f"{top}/down/n", f"above{top}")
        stack.enter_context(below.ear)
        stack.enter_context(above.ear)
        payloads = [b"%d" % n for n in range(COUNT)]
        speakers = [
            threading.Thread(target=speaker.publish_all, args=(f"{top}/{way}/n", payloads, qos))
            for speaker, way in ((there, "up"), (here, "down"))
        ]
        for one in speakers:
            one.start()
        for share in (20, 60, 120):
            above.until(share)
            wire.cut()
        for one in speakers:
            one.join()
        for ear in (above, below):
            ear.until(COUNT)
            ear.rest()
            exactly(ear.got, qos)
        assert "Traceback" not in daemon.log


class Cutter(Tap):
    """A wire that is cut on demand."""

    def __init__(self, to):
        super().__init__(to)
        self._clients = []

    def _serve(self, client):
        self._clients.append(client)
        super()._serve(client)

    def cut(self):
        while self._clients:
            with suppress(OSError):
                self._clients.pop().shutdown(socket.SHUT_RDWR)
