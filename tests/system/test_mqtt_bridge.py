"""Bridges that go round, and servers that are old, hostile or silent: hubs, and sockets that say what a test wants."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from devices import Device
from hub_process import hubbub
from hubbub_plugins.mqtt import packets
from hubbub_plugins.mqtt.packets import V5, V311
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL
from running import Daemon, LineClient
from system.bridges import console

# Servers that a test plays


class Server(Device):
    """A port where a bridge calls; `version`: in which it is answered."""

    def greet(self, version=V5, code=0, present=False, old=False, **properties):
        """Take a CONNECT, and answer it. Returns the connection, with `connect`, what the bridge has said."""
        caller = Caller(self.accept(), version)
        caller.connect = caller.next()
        answer = packets.Connack(present=present, code=code, properties=properties)
        caller.say(answer.encode(V311 if old else version))
        return caller


class Caller:
    def __init__(self, connection, version):
        self.connection = connection
        self.version = version

    def say(self, *what):
        self.connection.send(b"".join(one if isinstance(one, bytes) else one.encode(self.version) for one in what))

    def next(self):
        """The next packet, with what a PINGREQ means left to the test."""
        first = self.connection.read(1)[0]
        size = shift = 0
        while (byte := self.connection.read(1)[0]) >= 0x80:
            size |= (byte & 0x7F) << shift
            shift += 7
        return packets.decode(first, self.connection.read(size | byte << shift), self.version)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


@pytest.fixture
def server():
    with Server() as one:
        yield one


def bridge(server, *keys):
    at = ":".join([f"tcp:127.0.0.1:{server.address[1]}", "dialect=mqtt", "id=b", *keys])
    return Daemon("--tcp", "tcp:0", "--connect", at)


@pytest.mark.parametrize("how", ["a code of 3.1.1", "a code of 5", "without a word"])
def test_a_server_without_version_5(server, how):
    with bridge(server, "pull=a/#") as daemon:
        if how == "without a word":
            with server.accept() as first:
                first.read(10)
        else:
            old = how == "a code of 3.1.1"
            with server.greet(V5, code=1 if old else 0x84, old=old) as first:
                assert first.connect.version == V5
            daemon.wait_for("b: it doesn't speak MQTT 5; ")
        with server.accept() as one:
            second = Caller(one, V311)
            assert second.next().version == V311
            second.say(packets.Connack())
            assert second.next().subscriptions == [packets.Subscription(filter="a/#", qos=2)]
            daemon.wait_for("b: MQTT 3.1.1")
    assert "Traceback" not in daemon.log


def test_an_own_version_is_kept_to(server):
    with bridge(server, "version=3.1.1") as daemon:
        for _ in range(2):
            with server.greet(V311, code=1) as caller:
                assert caller.connect.version == V311
        daemon.wait_for("b: it doesn't speak MQTT 3.1.1; ")


def test_what_stands_at_the_beginning(server, tmp_path):
    (tmp_path / "password").write_text("se:cret\n")
    keys = (
        f"password-file={tmp_path}/password",
        "user=hub",
        "client=me",
        "keep-alive=30s",
        "pull=a/#,$share/g/b",
        "qos=1",
    )
    with bridge(server, *keys) as daemon, server.greet() as caller:
        said = caller.connect
        assert (said.version, said.client, said.user, said.password) == (V5, "me", "hub", b"se:cret")
        assert (said.clean, said.keep_alive) == (False, 30)
        assert said.properties["session_expiry_interval"] == 7 * 86_400
        asked = [caller.next().subscriptions[0], caller.next().subscriptions[0]]
        assert asked == [
            packets.Subscription(filter="a/#", qos=1, no_local=True, retain_as_published=True, retain_handling=1),
            packets.Subscription(filter="$share/g/b", qos=1, retain_as_published=True, retain_handling=1),
        ]
        daemon.wait_for("b: MQTT 5")
    with bridge(server, "clean=yes") as daemon, server.greet() as caller:
        assert caller.connect.clean
        assert caller.connect.properties["session_expiry_interval"] == 0
        assert caller.connect.client.endswith(".b")
    assert "se:cret" not in daemon.log


def status(folder):
    found = hubbub("status", "--json", "--control", folder / "control")
    assert found.returncode == 0, found.stderr
    [connector] = json.loads(found.stdout)["connectors"]
    return connector["state"]


def test_what_is_refused_is_reported(server, tmp_path):
    at = f"tcp:127.0.0.1:{server.address[1]}:dialect=mqtt:id=b:pull=a/#,b/#:push=c/#"
    with Daemon("--tcp", "tcp:0", "--connect", at, "--control", str(tmp_path / "control")) as daemon:
        with server.greet() as caller:
            first, second = caller.next(), caller.next()
            caller.say(
                packets.Suback(id=second.id, codes=[0x87], properties={"reason_string": "not\nyours"}),
                packets.Suback(id=first.id, codes=[1]),
            )
            daemon.wait_for(r"b: pull=b/# is refused: not authorized \(0x87\): not")
            with LineClient(daemon.tcp[0]) as client:
                client.send("PUB c/1 x", "PING")
                assert client.line() == "PONG"
            assert caller.next().topic == "c/1"
            state = status(tmp_path)
            assert state.startswith("connected since ")
            assert "; MQTT 5; pull=b/# is refused: not authorized (0x87): not" in state


def test_a_client_that_closes_says_why(server):
    with bridge(server) as daemon:
        server.greet(code=0x97).connection.close()
        daemon.wait_for(r"b: it refuses the connection: quota exceeded \(0x97\); tcp")
        with server.greet() as caller:
            caller.say(bytes((0xE0, 1, 0x8B)))
        daemon.wait_for(r"b: it disconnects: it shuts down \(0x8B\); tcp")


GOOD = packets.Publish(topic="a/good", payload=b"x").encode(V5)


@pytest.mark.parametrize("said", [b"\xff\xff\xff\xff\xff", b"\x30\xff\xff\xff\x7f" + b"x" * 100])
def test_a_hostile_server_is_left_and_dialled_again(server, said):
    with bridge(server, "pull=a/#") as daemon, console(daemon) as watcher:
        for _ in range(2):
            with server.greet() as caller:
                caller.next()
                caller.say(GOOD, said)
                assert watcher.line() == "MSG a/good x"
                assert isinstance(caller.next(), packets.Disconnect)
                assert caller.connection.ended()
        assert len([line for line in daemon.lines if "dialled again" in line]) <= 2
        assert "Traceback" not in daemon.log


@pytest.mark.parametrize("said", [b"\x20\x03\0\0", b"HTTP/1.1 400 Bad Request\r\n\r\n", GOOD, b"\x20\x02\1\1\0"])
def test_a_hostile_greeting(server, said):
    with bridge(server, "pull=a/#") as daemon:
        with server.accept() as one:
            one.read(10)
            one.send(said)
            one.half_close()
        daemon.wait_for("b: .*dialled again")
        server.accept().close()
        assert "Traceback" not in daemon.log


def test_what_it_did_not_ask_for_is_not_let_in(server):
    """It is acknowledged, or it would come again for ever; so is what is too long."""
    with bridge(server, "pull=a/#", "max-message=100") as daemon, console(daemon) as watcher, server.greet() as caller:
        caller.next()
        for n, (topic, payload) in enumerate([("b/x", b"no"), ("a/long", b"x" * 101), ("a/x", b"yes")], 1):
            caller.say(packets.Publish(topic=topic, payload=payload, qos=1, id=n))
            assert (caller.next().kind, watcher.line() if payload == b"yes" else "") in (
                (PUBACK, ""),
                (PUBACK, "MSG a/x yes"),
            )


def test_what_a_server_takes_is_kept_to(server):
    """Its receive maximum, its packet size, its quality, its topic aliases, and that it keeps nothing."""
    limits = {"receive_maximum": 2, "maximum_packet_size": 300, "maximum_qos": 1, "retain_available": 0}
    with bridge(server, "push=c/#", "pull=nothing") as daemon, server.greet(**limits) as caller:
        caller.next()
        with LineClient(daemon.tcp[0]) as client:
            client.send("PUB! c/long " + "x" * 300, "PUB! c/kept x")
            sent = caller.next()
            assert (sent.topic, sent.payload, sent.retain) == ("c/kept", b"x", False)
        with socket.create_connection(daemon.tcp[0]) as bare:
            bare.sendall(packets.Connect(client="x").encode(V5))
            for n in range(1, 6):
                bare.sendall(packets.Publish(topic="c/2", payload=b"%d" % n, qos=2, id=n).encode(V5))
            first, second = caller.next(), caller.next()
            assert [(one.qos, one.payload) for one in (first, second)] == [(1, b"1"), (1, b"2")]
            caller.connection.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                caller.connection.socket.recv(1)
            caller.connection.socket.settimeout(20)
            caller.say(packets.Ack(kind=PUBACK, id=first.id))
            assert caller.next().payload == b"3"


@pytest.mark.parametrize(
    ("qos", "kinds"), [(1, [PUBREC]), (1, [PUBCOMP]), (2, [PUBACK]), (2, [PUBCOMP]), (2, [PUBREC, PUBACK])]
)
def test_a_wrong_acknowledgement_of_a_server(server, qos, kinds):
    """The connection ends, and the message is sent again on the next one."""
    with bridge(server, "push=c/#") as daemon:
        with server.greet() as caller:
            with socket.create_connection(daemon.tcp[0]) as bare:
                bare.sendall(packets.Connect(client="x").encode(V5))
                bare.sendall(packets.Publish(topic="c/1", payload=b"once", qos=qos, id=1).encode(V5))
                sent = caller.next()
                for kind in kinds[:-1]:
                    caller.say(packets.Ack(kind=kind, id=sent.id))
                    assert caller.next() == packets.Ack(kind=PUBREL, id=sent.id)
                caller.say(packets.Ack(kind=kinds[-1], id=sent.id))
                gone = caller.next()
                assert (type(gone), gone.code) == (packets.Disconnect, 0x82)
                assert caller.connection.ended()
        with server.greet(present=True) as caller:
            again = caller.next()
            if len(kinds) > 1:
                assert again == packets.Ack(kind=PUBREL, id=sent.id)
            else:
                assert (again.id, again.payload, again.dup) == (sent.id, b"once", True)


# Retained messages


def publish(daemon, *lines):
    with LineClient(daemon.tcp[0]) as client:
        client.send(*lines, "PING")
        assert client.line() == "PONG"


def retained(caller, count):
    """The next messages, as topic -> payload."""
    found = [caller.next() for _ in range(count)]
    assert all(one.retain for one in found), found
    return {one.topic: one.payload for one in found}


@pytest.mark.parametrize("keys", [(), ("version=3.1.1",), ("qos=0",), ("clean=yes",)])
def test_what_was_retained_before_goes_out_at_once(server, keys):
    """Nothing else happens on the link, so nothing else could have it flushed."""
    with bridge(server, "push=#", *keys) as daemon:
        publish(daemon, "PUB! c/1 x", "PUB! c/2 y")
        with server.greet(V311 if "version=3.1.1" in keys else V5) as caller:
            assert retained(caller, 2) == {"c/1": b"x", "c/2": b"y"}


@pytest.mark.parametrize("keys", [(), ("version=3.1.1",), ("qos=0",), ("prefix=here",)])
@pytest.mark.parametrize("present", [True, False])
def test_what_changed_or_was_cleared_while_the_link_was_away_reaches_the_server(server, present, keys):
    version, at = V311 if "version=3.1.1" in keys else V5, "here/c" if "prefix=here" in keys else "c"
    with bridge(server, "push=c/#", *keys) as daemon:
        publish(daemon, *(f"PUB! {at}/{name} old" for name in ("same", "changed", "cleared", "both")))
        with server.greet(version) as caller:
            assert len(retained(caller, 4)) == 4
        daemon.wait_for("b: .*dialled again")
        publish(daemon, f"PUB! {at}/changed new", f"PUB! {at}/cleared ", f"PUB! {at}/both ", f"PUB! {at}/both again")
        publish(daemon, f"PUB {at}/passing x", f"PUB! {at}/new 1")
        with server.greet(version, present=present) as caller:
            expected = {"c/changed": b"new", "c/cleared": b"", "c/both": b"again", "c/new": b"1"}
            if not present:
                expected["c/same"] = b"old"
            assert retained(caller, len(expected)) == expected
            publish(daemon, f"PUB {at}/end x")
            assert caller.next().topic == "c/end"


def test_what_an_older_process_left_is_released(server):
    """Else the server would take a new message for one that it has, as identifiers begin anew."""
    with bridge(server, "push=c/#") as _, server.greet(present=True) as caller:
        released = [caller.next() for _ in range(128)]
        assert [(one.kind, one.id) for one in released] == [(PUBREL, n) for n in range(1, 129)]


@pytest.mark.parametrize("web", [False, True])
def test_a_trace_shows_no_password(server, tmp_path, web):
    (tmp_path / "password").write_text("se-cret")
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0") as remote:
        to = remote.url() if web else "tcp:{}:{}".format(*remote.tcp[0])
        at = f"{to}:dialect=mqtt:id=b:user=hub:password-file={tmp_path}/password"
        control = str(tmp_path / "control")
        with Daemon("--tcp", "tcp:0", "--connect", at, "--control", control) as daemon:
            daemon.wait_for("b: it refuses the connection")
            look = [sys.executable, "-m", "hubbub", "trace", "--control", control]
            with subprocess.Popen(look, stdout=subprocess.PIPE, text=True) as trace:
                seen = ""
                while "MQTT" not in seen or ">" not in seen:
                    seen += trace.stdout.readline()
                trace.terminate()
                seen += trace.stdout.read()
    assert "se-cret" not in seen
    assert b"se-cret".hex(" ") not in seen
    assert "*******" in seen
