"""MQTT clients that a certificate, or a socket's file, speaks for: what they may do, and whose session it is."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack

import pytest

from certificates import Authority
from interop.clients import Tcp
from interop.mqtt.base import V5, V311, At, Output, Wish
from interop.mqtt.javascript import PACKAGE, MqttJs, Node
from interop.mqtt.mosquitto import Mosquitto
from interop.mqtt.paho_client import Paho
from running import Daemon

CELLS = [(kind, carrier) for kind in ("paho", "mosquitto", "node") for carrier in ("tls", "wss", "unix")]
CELLS.remove(("mosquitto", "wss"))  # mosquitto_sub has no WebSocket before 2.1
RULES = """
[[rule]]
who.login = "yes"
allow.publish = "home/{user}/#"
allow.subscribe = "home/{user}/#"

[[rule]]
who.user = "watcher"
allow.subscribe = "#"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A hub whose clients come with certificates, or through a file: (daemon, where(user))."""
    folder = tmp_path_factory.mktemp("identity")
    authority = Authority(folder)
    hub = authority.issue("hub.pem", "hub", ("127.0.0.1",))
    for user in ("ann", "ben"):
        authority.issue(f"{user}.pem", user)
    Authority(folder, "Stranger").issue("eve.pem", "ann")
    (folder / "permissions.toml").write_text(RULES)
    secure = f"interface=127.0.0.1:privateKey={hub}:client-ca={authority.file}"
    with Daemon(
        "--tcp", "tcp:0:interface=127.0.0.1:as=watcher", "--tcp", f"ssl:0:{secure}:id=tls:dialect=mqtt",
        "--websocket", f"ssl:0:{secure}:id=wss", "--tcp", f"unix:{folder}/ann.sock:mode=600:id=unix:as=ann",
        "--auth", "certificate", "--permissions", f"{folder}/permissions.toml",
    ) as daemon:  # fmt: skip

        def where(user, carrier="tls"):
            if carrier == "unix":
                return At("unix", path=f"{folder}/{user}.sock")
            host, port = (daemon.tcp[1:] if carrier == "tls" else daemon.websocket)[0]
            return At(carrier, host, port, trust=authority.file, own=folder / f"{user}.pem")

        yield daemon, where
    assert "Traceback" not in daemon.log


@pytest.fixture(scope="module")
def node(need):
    if not PACKAGE.exists():
        pytest.skip(f"MQTT.js isn't in {PACKAGE}: tools/node-packages puts it there")
    made = Node(need("node"))
    yield made
    made.close()


@pytest.fixture
def make(request, need, kind):
    if kind == "mosquitto":
        need("mosquitto_sub")
        return Mosquitto
    if kind == "paho":
        return Paho
    engine = request.getfixturevalue("node")
    return lambda at, wish: MqttJs(engine, at, wish)


@pytest.fixture
def stack():
    with ExitStack() as made:
        yield made


@pytest.mark.parametrize("version", [V311, V5])
@pytest.mark.parametrize(("kind", "carrier"), CELLS)
def test_each_has_what_is_its_own(place, make, stack, carrier, version):
    daemon, where = place
    watcher = stack.enter_context(Tcp(daemon.tcp[0]))
    assert watcher.ask("SUB home/#") == "OK SUB home/#"
    ann = stack.enter_context(make(where("ann", carrier), Wish(version)))
    assert ann.subscribe("home/ann/#", 1) == 1
    mouth = stack.enter_context(make(where("ann", carrier), Wish(version)))
    mouth.publish("home/ann/x", b"mine", 1)
    assert ann.next() == Output("home/ann/x", b"mine", 1)
    watcher.expect("MSG home/ann/x mine")


@pytest.mark.parametrize("version", [V311, V5])
def test_what_belongs_to_another_is_refused(place, stack, version):
    daemon, where = place
    watcher = stack.enter_context(Tcp(daemon.tcp[0]))
    assert watcher.ask("SUB home/#") == "OK SUB home/#"
    ben = stack.enter_context(Paho(where("ben"), Wish(version)))
    assert ben.subscribe("home/ann/#", 1) == (0x87 if version == V5 else 0x80)
    ben.publish("home/ann/x", b"not mine", 1)
    ben.publish("home/ben/x", b"mine", 1)
    watcher.expect("MSG home/ben/x mine")


def test_one_name_of_two_users_is_two_sessions(place, stack):
    _, where = place
    for user in ("ann", "ben"):
        with Paho(where(user), Wish(V5, "desk", keep=True)) as client:
            assert not client.present
            assert client.subscribe(f"home/{user}/#", 1) == 1
    mouth = stack.enter_context(Paho(where("ben"), Wish(V5)))
    mouth.publish("home/ben/x", b"for ben", 1)
    ann = stack.enter_context(Paho(where("ann", "unix"), Wish(V5, "desk", keep=True)))
    assert ann.present  # the same user by another way
    ben = stack.enter_context(Paho(where("ben", "wss"), Wish(V5, "desk", keep=True)))
    assert ben.present
    assert ben.next() == Output("home/ben/x", b"for ben", 1)
    mouth.publish("home/ben/y", b"live", 1)
    assert ben.next() == Output("home/ben/y", b"live", 1)
    assert ann.queue.empty()


def test_a_certificate_of_a_stranger_gets_nowhere(place, need):
    _, where = place
    need("mosquitto_pub")
    with pytest.raises(subprocess.CalledProcessError):
        Mosquitto(where("eve"), Wish(V5)).publish("home/ann/x", b"x", 1)
    Mosquitto(where("ann"), Wish(V5)).publish("home/ann/x", b"x", 1)
