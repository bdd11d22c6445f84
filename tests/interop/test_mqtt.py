"""MQTT clients that people have: each behaviour with each of them, over each carrier and in each version they speak."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from certificates import Authority
from hubbub import limits
from interop.clients import Tcp
from interop.mqtt.asyncio_clients import Aiomqtt, Gmqtt
from interop.mqtt.base import V5, V31, V311, At, Output, Said, Wish
from interop.mqtt.javascript import PACKAGE, MqttJs, Node, Page
from interop.mqtt.mosquitto import Mosquitto
from interop.mqtt.paho_client import Paho
from running import STILL, Daemon
from scale import FULL

CARRIERS = ("tcp", "tls", "websocket", "wss", "unix")
VERSIONS = {"3.1": V31, "3.1.1": V311, "5.0": V5}
CLIENTS = ("paho", "aiomqtt", "gmqtt", "mosquitto", "node", "chromium")
LACKS = {  # what a client can't do itself
    "gmqtt": {"3.1", "websocket", "wss", "unix"},
    "mosquitto": {"websocket", "wss"},  # before 2.1
    "chromium": {"tcp", "tls", "unix"},
}
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
SAID = Said("text/plain", "re/1", b"c-1", (("k", "1"), ("a", "é")))
_numbers = itertools.count()


@dataclass
class Column:
    """One kind of client, on one carrier, in one version. `topic` is of this test alone."""

    kind: str
    make: Callable[[At, Wish], Any]
    at: At
    version: int
    lines: Tcp
    stack: ExitStack

    def __post_init__(self) -> None:
        self.topic = f"t{next(_numbers)}"

    def client(self, name: str = "", **more: Any) -> Any:
        name = name and f"{self.topic}-{name}"
        return self.stack.enter_context(self.make(self.at, Wish(self.version, name, **more)))

    def ear(self, filter: str, qos: int, name: str = "", **more: Any) -> Any:
        """A client with one subscription."""
        made = self.client(name, **more)
        assert made.subscribe(filter, qos) == qos
        return made

    def listen(self, filter: str) -> Tcp:
        """The client of lines, subscribed."""
        assert self.lines.ask(f"SUB {filter}") == f"OK SUB {filter}"
        return self.lines


# The behaviours: each is a row of the table


def each_quality(cell):
    """What is heard has the lower of the two qualities, and every byte of it."""
    mouth, payload = cell.client(), bytes(range(256))
    for most in (0, 1, 2):
        ear = cell.ear(f"{cell.topic}/{most}", most)
        for qos in (0, 1, 2):
            mouth.publish(f"{cell.topic}/{most}", payload, qos)
            assert ear.next() == Output(f"{cell.topic}/{most}", payload, min(qos, most))
        ear.end()


def order(cell):
    """Many in flight come once each, in order; an empty payload and a large one come whole.

    In version 5 the hub says how many may fly, and not every client heeds that by itself.
    """
    mouth, ear = cell.client(), cell.ear(cell.topic, 2)
    numbers = [b"%d" % number for number in range(limits.INFLIGHT_MESSAGES - 2 if cell.version == V5 else 150)]
    for qos in (1, 2):
        mouth.publish_all(cell.topic, numbers, qos)
        assert ear.next_all(len(numbers)) == [Output(cell.topic, number, qos) for number in numbers]
    for payload in (b"", bytes(range(256)) * 500):
        mouth.publish(cell.topic, payload, 1)
        assert ear.next() == Output(cell.topic, payload, 1)


def retained(cell):
    mouth = cell.client()
    mouth.publish(f"{cell.topic}/a", b"old", 1, True)
    mouth.publish(f"{cell.topic}/a", b"kept", 1, True)
    ear = cell.ear(f"{cell.topic}/#", 1)
    assert ear.next() == Output(f"{cell.topic}/a", b"kept", 1, True)
    mouth.publish(f"{cell.topic}/a", b"", 1, True)
    assert ear.next() == Output(f"{cell.topic}/a", b"", 1)
    later = cell.ear(f"{cell.topic}/#", 1)
    mouth.publish(f"{cell.topic}/b", b"live", 1)
    assert later.next() == Output(f"{cell.topic}/b", b"live", 1)


def will(cell):
    """Who says goodbye leaves no will, who doesn't does."""
    lines = cell.listen(f"{cell.topic}/#")
    for words, go in (("polite", "end"), ("sudden", "die")):
        client = cell.client(will=(f"{cell.topic}/will", words.encode()))
        client.subscribe(f"{cell.topic}/other", 0)
        getattr(client, go)()
    if cell.kind == "mosquitto" and cell.version == V5:  # which says goodbye, and asks for its will (MQTT-3.14.4-3)
        lines.expect(f"MSG {cell.topic}/will polite")
    lines.expect(f"MSG {cell.topic}/will sudden")
    lines.send("PING")
    lines.expect("PONG")


def session(cell):
    """A client that comes back, however it went, has all that was for it meanwhile; a clean one has nothing."""
    mouth = cell.client()
    for qos, go in ((1, "end"), (2, "die")):
        first = cell.ear(f"{cell.topic}/#", 2, "kept", keep=True)
        getattr(first, go)()
        missed = [Output(f"{cell.topic}/a", b"%d" % number, qos) for number in range(3)]
        for one in missed:
            mouth.publish(one.topic, one.payload, qos)
        again = cell.client("kept", keep=True)
        assert again.present in ((False, None) if cell.version == V31 else (True, None))
        if cell.kind == "mosquitto":  # which has nothing to listen with before it subscribes
            again.subscribe(f"{cell.topic}/#", 2)
        assert [again.next() for _ in missed] == missed
        again.end()
    mouth.publish(f"{cell.topic}/a", b"lost", 1)
    fresh = cell.client("kept")
    assert fresh.present in (False, None)
    fresh.subscribe(f"{cell.topic}/+", 1)
    mouth.publish(f"{cell.topic}/b", b"new", 1)
    assert fresh.next() == Output(f"{cell.topic}/b", b"new", 1)


def wildcards(cell):
    mouth, one, all = cell.client(), cell.ear(f"{cell.topic}/+/x", 1), cell.ear(f"{cell.topic}/#", 1)
    for below in ("/a/x", "/a/b/x", "/a/y", "", "/é 1/x"):
        mouth.publish(cell.topic + below, b"1", 1)
        assert all.next() == Output(cell.topic + below, b"1", 1)
    assert [one.next().topic for _ in range(2)] == [f"{cell.topic}/a/x", f"{cell.topic}/é 1/x"]


def crossing(cell):
    """A client of lines and this one hear each other, live and retained."""
    lines, ear, mouth = cell.listen(f"{cell.topic}/#"), cell.ear(f"{cell.topic}/#", 2), cell.client()
    lines.send(f"PUB {cell.topic}/l é 1")
    lines.expect(f"MSG {cell.topic}/l é 1")
    assert ear.next() == Output(f"{cell.topic}/l", "é 1".encode())
    for qos in (0, 1, 2):
        mouth.publish(f"{cell.topic}/m", b"%d" % qos, qos)
        lines.expect(f"MSG {cell.topic}/m {qos}")
        assert ear.next() == Output(f"{cell.topic}/m", b"%d" % qos, qos)
    lines.send(f"PUB! {cell.topic}/l kept")
    lines.expect(f"MSG {cell.topic}/l kept")
    later = cell.ear(f"{cell.topic}/l", 1)
    assert later.next() == Output(f"{cell.topic}/l", b"kept", 0, True)
    lines.send(f"PUB! {cell.topic}/l ")
    lines.expect(f"MSG {cell.topic}/l ")
    assert [ear.next().payload, ear.next().payload, later.next().payload] == [b"kept", b"", b""]


def properties(cell):
    """Version 5: what a message says of itself comes as it was said."""
    mouth, ear = cell.client(), cell.ear(cell.topic, 1)
    for qos in (0, 1):
        mouth.publish(cell.topic, b"x", qos, said=SAID)
        assert ear.next() == Output(cell.topic, b"x", qos, said=SAID)


def requests(cell):
    """Version 5: it answers a request of lines; and it asks, and another of its kind answers; mosquitto_rr too."""
    device, client = cell.ear(f"{cell.topic}/ask", 1), cell.client()
    cell.lines.send(f"REQ {cell.topic}/ask how")
    output = device.next()
    assert output.payload == b"how"
    client.publish(output.said.response_topic, b"fine")
    cell.lines.expect("REP fine")
    asker = cell.ear(f"{cell.topic}/re", 1)
    client.publish(f"{cell.topic}/ask", b"when", 1, said=Said(response_topic=f"{cell.topic}/re", correlation=b"7"))
    output = device.next()
    client.publish(output.said.response_topic, b"now", 1, said=Said(correlation=output.said.correlation))
    assert asker.next() == Output(f"{cell.topic}/re", b"now", 1, said=Said(correlation=b"7"))
    if cell.kind == "mosquitto":
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(client.ask, f"{cell.topic}/ask", f"{cell.topic}/rr", b"who")
            client.publish(device.next().said.response_topic, b"me", 1)
            assert answer.result() == b"me\n"


BEHAVIOURS = (each_quality, order, retained, will, session, wildcards, crossing, properties, requests)
OF_VERSION_5 = (properties, requests)
SHORT = (order, session, crossing)  # what else there is to see is the same beneath TLS, on a Unix socket, and in 3.1


def table():
    """Return every cell; those that can't be are in LACKS and OF_VERSION_5. HUBBUB_FULL=1 leaves out nothing."""
    found = []
    for kind, carrier, version, behaviour in itertools.product(CLIENTS, CARRIERS, VERSIONS, BEHAVIOURS):
        lacks = LACKS.get(kind, set())
        unusual = (carrier not in ("tcp", "websocket")) + (version == "3.1")
        if not FULL and (unusual > 1 or (unusual and behaviour not in SHORT)):
            continue
        if carrier not in lacks and version not in lacks and (version == "5.0" or behaviour not in OF_VERSION_5):
            name = f"{kind}-{carrier}-{version}-{behaviour.__name__}"
            found.append(pytest.param(kind, carrier, version, behaviour, id=name))
    return found


# Who runs them


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """A daemon on every carrier: (daemon, where it is by carrier)."""
    folder = tmp_path_factory.mktemp("mqtt")
    authority = Authority(folder)
    hub = authority.issue("hub.pem", "hub", ("localhost", "127.0.0.1"))
    with Daemon(
        "--tcp", "tcp:0:interface=127.0.0.1", "--tcp", f"ssl:0:interface=127.0.0.1:id=tls:privateKey={hub}",
        "--tcp", f"unix:{folder}/hub.sock:id=unix",
        "--websocket", "tcp:0:interface=127.0.0.1:id=ws",
        "--websocket", f"ssl:0:interface=127.0.0.1:id=wss:privateKey={hub}",
    ) as daemon:  # fmt: skip
        ports = dict(zip(("tcp", "tls", "websocket", "wss"), [*daemon.tcp, *daemon.websocket], strict=True))
        found = {name: At(name, "127.0.0.1", port, trust=authority.file) for name, (_, port) in ports.items()}
        yield daemon, found | {"unix": At("unix", path=f"{folder}/hub.sock")}
    assert "Traceback" not in daemon.log


@pytest.fixture(scope="module")
def node(need):
    made = Node(_with_package(need)("node"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser(need):
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_with_package(need)("chromium"), args=FLAGS)
        context = chromium.new_context(bypass_csp=True, ignore_https_errors=True)
        yield context
        context.close()
        chromium.close()


@pytest.fixture(scope="module")
def pages(browser, contexts):
    _, at = contexts
    schemes = {"websocket": "http", "wss": "https"}
    return {
        carrier: Page(browser.new_page(), f"{scheme}://127.0.0.1:{at[carrier].port}/{STILL}")
        for carrier, scheme in schemes.items()
    }


def _with_package(need):
    if not PACKAGE.exists():
        pytest.skip(f"MQTT.js isn't in {PACKAGE}: tools/node-packages puts it there")
    return need


@pytest.fixture
def make(request, need, kind, carrier):
    """make(at, wish) -> a client of that kind. What runs it is begun here, as pytest-twisted runs tests elsewhere."""
    if kind == "mosquitto":
        for program in ("mosquitto_pub", "mosquitto_sub", "mosquitto_rr", "stdbuf"):
            need(program)
    if kind == "node":
        return partial(MqttJs, request.getfixturevalue("node"))
    if kind == "chromium":
        return partial(MqttJs, request.getfixturevalue("pages")[carrier])
    return {"paho": Paho, "aiomqtt": Aiomqtt, "gmqtt": Gmqtt, "mosquitto": Mosquitto}[kind]


@pytest.mark.parametrize(("kind", "carrier", "version", "behaviour"), table())
def test_mqtt(contexts, make, kind, carrier, version, behaviour):
    daemon, at = contexts
    with Tcp(daemon.tcp[0]) as lines, ExitStack() as stack:
        behaviour(Column(kind, make, at[carrier], VERSIONS[version], lines, stack))
