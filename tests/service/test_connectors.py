"""Connectors within this process: many short links, a log with a bound, a state that is told."""

from __future__ import annotations

import gc
import re
import socket
import time
from types import SimpleNamespace

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.logger import globalLogPublisher

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.errors import ConfigError
from hubbub.kernel.connection.link import Link
from hubbub.kernel.hub import Hub
from hubbub.service.config.settings import parse_connector, parse_listener
from hubbub.service.links.connector import Connector
from hubbub.service.links.connector_log import ConnectorLog
from hubbub.service.plugins.dialect_plan import plan
from hubbub.service.plugins.discovery import Plugins


def make(spec):
    from twisted.internet import reactor

    hub = Hub(lambda: reactor.callLater(0, hub.turn.flush), time.time, time.monotonic, lambda when: None)
    return Connector(reactor, parse_connector(spec, "--connect"), Plugins(), hub)


@pytest.fixture
def events():
    events = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


@pytest.fixture
def logged(events):
    return lambda: [f"{event['id']}: {event['what']()}" for event in events if "what" in event]


class Flapping(Protocol):
    """Says something to who dials, and hangs up."""

    def connectionMade(self):
        self.transport.write(b"hello\n")
        self.transport.loseConnection()
        self.factory.dialled(self)


@pytest.fixture
def server():
    """Return a function that listens with a protocol, and gives the port and a Deferred for so many connections."""
    from twisted.internet import reactor

    ports = []

    def listen(protocol, count=1):
        factory, done = Factory.forProtocol(protocol), Deferred()
        left = [count]

        def dialled(made):
            left[0] -= 1
            if left[0] == 0:
                done.callback(made)

        factory.dialled = dialled
        factory.noisy = False
        ports.append(reactor.listenTCP(0, factory, interface="127.0.0.1"))
        return ports[-1].getHost().port, done

    yield listen
    for port in ports:
        port.stopListening()


async def passed(condition):
    """Let the reactor turn until `condition` holds."""
    from twisted.internet import reactor

    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        await deferLater(reactor, 0.005)


async def test_links_that_come_and_go_leave_nothing(server, monkeypatch):
    monkeypatch.setattr(limits, "RETRY_FIRST_SECONDS", 0.001)
    monkeypatch.setattr(limits, "RETRY_SECONDS", 0.001)
    counts = []
    for _ in range(3):
        await flap(*server(Flapping, 100))
        gc.collect()
        counts.append(sum(isinstance(one, Link) for one in gc.get_objects()))
    assert counts[-1] <= counts[0]


async def flap(port, done):
    connector = make(f"tcp:127.0.0.1:{port}:end=lf:topic=a:subscribe=b")
    connector.start()
    await done
    await passed(lambda: connector.context.received >= 100)
    connector.stop()
    await passed(lambda: not connector.context.links)


async def test_the_state_is_published(server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connector = make(f"tcp:127.0.0.1:{port}:id=plc")
    assert connector.state == "stopped"
    connector.start(delay=60)
    assert connector.state == "connecting"
    connector.stop()
    connector.start()
    await passed(lambda: connector.state != "connecting")
    assert connector.state == "waiting 1 s: connection refused"
    connector.stop()
    assert connector.state == "stopped"

    port, _ = server(Protocol)
    connector = make(f"tcp:127.0.0.1:{port}")
    connector.start()
    await passed(lambda: connector.context.links)
    assert re.fullmatch(r"connected since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", connector.state)
    connector.stop()
    await passed(lambda: connector.state == "stopped")


async def test_servers_are_dialled_in_turn(server):
    """At once, until all had their turn: the first one refuses, the second one hangs up, the third one stays."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refuses = taken.getsockname()[1]
    hangs_up, _ = server(Flapping)
    stays, _ = server(Protocol)
    places = ",".join(rf"127.0.0.1\:{port}" for port in (hangs_up, stays))
    connector = make(f"tcp:127.0.0.1:{refuses}:servers={places}")
    connector.start()
    await passed(lambda: connector.context.links and connector.remote.port == stays)
    assert connector.state.startswith("connected since")
    connector.stop()
    await passed(lambda: not connector.context.links)


async def test_a_round_of_servers_is_followed_by_a_wait():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connector = make(rf"tcp:127.0.0.1:{port}:servers=127.0.0.2\:{port}")
    connector.start()
    first = f"tcp 127.0.0.1:{port}"
    await passed(lambda: str(connector.remote) == first and connector.state == "waiting 1 s: connection refused")
    connector.stop()


async def test_waits_grow_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(limits, "RETRY_FIRST_SECONDS", 0.001)
    monkeypatch.setattr(limits, "RETRY_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    connector = make(f"tcp:127.0.0.1:{port}")
    dialler = connector._dialler
    waits = []
    whole = dialler._reactor

    def call_later(seconds, function):
        waits.append(seconds)
        return whole.callLater(seconds, function)

    dialler._reactor = SimpleNamespace(callLater=call_later, seconds=whole.seconds)
    connector.start()
    await passed(lambda: len(waits) >= 8)
    connector.stop()
    assert waits[0] == 0
    assert 0.0005 <= waits[1] <= 0.001
    assert all(0.005 <= wait <= 0.01 for wait in waits[6:])


async def test_a_udp_link_follows_its_name(monkeypatch):
    monkeypatch.setattr(limits, "RESOLVE_SECONDS", 0.01)
    monkeypatch.setattr(limits, "RETRY_FIRST_SECONDS", 0.01)
    addresses = ["127.0.0.1"]
    monkeypatch.setattr("hubbub.service.links.connector.resolve", lambda reactor, host: succeed(list(addresses)))
    with udp("127.0.0.1", 0) as before, udp("127.0.0.2", before.getsockname()[1]) as after:
        connector = make(f"udp:gps.example.org:{before.getsockname()[1]}:topic=up")
        connector.start()
        await passed(lambda: connector.context.links)
        [link] = connector.context.links
        link.wire.write(b"to the first")
        assert before.recv(100) == b"to the first"
        addresses[:] = ["127.0.0.2"]
        await passed(lambda: not link.open and connector.context.links)
        [again] = connector.context.links
        again.wire.write(b"to the second")
        data, hub = after.recvfrom(100)
        assert data == b"to the second"
        after.sendto(b"hello", hub)
        await passed(lambda: connector.context.received == 1)
        connector.stop()
        await passed(lambda: not connector.context.links)


def udp(host, port):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(20)
    one.bind((host, port))
    return one


async def test_an_answer_without_an_end_is_cut(server):
    class Endless(Protocol):
        def connectionMade(self):
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 100_000)

    port, _ = server(Endless)
    connector = make(f"ws://127.0.0.1:{port}/:dialect=json")
    connector.start()
    await passed(lambda: connector.state.startswith("waiting"))
    assert connector.state == "waiting 1 s: its answer to the handshake has more than 65536 bytes"
    connector.stop()


class Silent(Protocol):
    """Says nothing."""


class Long(Protocol):
    """Sends more than a message may have."""

    def connectionMade(self):
        self.transport.write(b"x" * 1000)


@pytest.mark.parametrize(
    ("spec", "protocol", "why"),
    [
        ("unix:/no/such/device", Silent, "No such file or directory"),
        ("ws://127.0.0.1:{}/:dialect=json", Silent, "no answer to the handshake within 0.05 s"),
        ("tls:127.0.0.1:{}", Silent, "TLS: no handshake within 0.05 s"),
        ("tcp:127.0.0.1:{}:end=lf:max-message=100", Long, "a frame is longer than 100 bytes"),
    ],
)
async def test_it_says_in_words_why_it_is_down(spec, protocol, why, server, monkeypatch):
    monkeypatch.setattr(limits, "HANDSHAKE_SECONDS", 0.05)
    monkeypatch.setattr(limits, "CLOSE_SECONDS", 0.05)
    connector = make(spec.format(server(protocol)[0]))
    connector.start()
    await passed(lambda: connector.state.startswith("waiting"))
    connector.stop()
    assert connector._reason == why


def test_each_change_is_logged_once(logged):
    clock = Clock()
    reported = ConnectorLog(clock, "plc")
    for _ in range(3):
        reported.tell("connected")
    reported.tell("gone")
    assert logged() == ["plc: connected", "plc: gone"]


async def test_a_loss_is_a_warning(server, events):
    port, done = server(Flapping)
    connector = make(f"tcp:127.0.0.1:{port}:end=lf:topic=a")
    connector.start()
    await done
    levels = lambda: [event["log_level"].name for event in events if "what" in event]  # noqa: E731
    await passed(lambda: len(levels()) >= 2)
    assert levels()[:2] == ["info", "warn"]
    connector.stop()


def test_one_that_flaps_logs_a_bounded_number_of_lines(logged):
    clock = Clock()
    reported = ConnectorLog(clock, "plc")
    for _ in range(1_000):
        reported.tell("connected")
        reported.tell("gone")
    assert len(logged()) == limits.CONNECTOR_LOG_LINES
    clock.advance(limits.CONNECTOR_LOG_SECONDS)
    assert len(logged()) == limits.CONNECTOR_LOG_LINES + 1
    assert logged()[-1] == f"plc: gone ({2_000 - limits.CONNECTOR_LOG_LINES - 1} changes before that)"
    reported.tell("connected")
    assert logged()[-1] == "plc: connected"
    reported.stop()
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize(
    ("connector", "says"),
    [
        ("tcp:a:1:dialect=statsd", "dialect statsd is for listeners, not for --connect: its class has no role"),
        ("tcp:a:1:pull=a", "pull= is for a dialect that can subscribe, lines, json, mqtt or nats"),
        ("tcp:a:1:push=a", "push= is for a dialect that can subscribe, lines, json, mqtt or nats"),
        ("tcp:a:1:dialect=mqtt:subscribe=a", "with mqtt, push=FILTER,... names the messages to send"),
        ("tcp:a:1:dialect=mqtt:version=3", "version=3: expected one of auto, 5, 3.1.1"),
        ("tcp:a:1:dialect=mqtt:qos=3", "qos=3: expected one of 0, 1, 2"),
        ("tcp:a:1:dialect=mqtt:keep-alive=1h:qos=1:password-file=/nowhere", "it can't be read: No such file"),
        ("tcp:a:1:dialect=mqtt:keep-alive=100h", "expected 1 to 65535 whole seconds"),
        ("udp:a:1:dialect=mqtt", "dialect mqtt is for tcp, websocket, not for udp"),
        (
            "udp:a:1:dialect=lines:pull=a",
            "pull= is for a dialect that can subscribe, lines, json, mqtt or nats, not over UDP",
        ),
        ("tcp:a:1:subscribe={x}", "has the unknown field {x}"),
        ("tls:a:1:trustRoots=/no/such/file", "/no/such/file: No such file or directory"),
        ("wss://a/:certificate=/no/such/file", "/no/such/file: No such file or directory"),
        ("tls:a:1:trustRoots=/etc/hostname", "there is no certificate in /etc/hostname"),
        ("tcp:a:1:colour=7", "raw: unknown key colour=, it takes "),
        ("tcp:a:1:answers=1s", "unknown key answers=, did you mean answer=?"),
        ("tcp:a:1:dialect=mqtt:usr=hub", "unknown key usr=, did you mean user=?"),
    ],
)
def test_a_mistake(connector, says):
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        make(connector)
    assert str(caught.value).startswith(f"--connect {connector}: ")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("dialcet=raw", "unknown key dialcet=, did you mean dialect=?"),
        ("dialect=raw:tpoic=a", "unknown key tpoic=, did you mean topic=?"),
        ("dialect=raw:ned=crlf", "unknown key ned=, did you mean end=?"),
        ("dialect=raw:drain=1s", "raw: unknown key drain=, it takes "),
        ("intreface=0.0.0.0", "unknown key intreface=, did you mean interface=?"),
        ("end=crlf", "end= is a key of dialect=raw; add the dialect"),
        ("colour=7", "unknown key colour=; a key of a dialect needs dialect=NAME beside it"),
        ("drain=1s", "unknown key drain=; in a file it belongs above the first [table]"),
    ],
)
def test_a_mistake_in_the_name_of_a_key(keys, says):
    with pytest.raises(ConfigError, match=re.escape(f"--tcp tcp:0:{keys}: {says}")):
        plan(parse_listener("tcp", f"tcp:0:{keys}", "--tcp"), DialectContext("tcp"), Plugins(), print)


@pytest.mark.parametrize("dialect", ["", ":dialect=mqtt"])
@pytest.mark.parametrize("key", ["pull", "push"])
def test_a_key_of_connectors_that_a_listener_is_given(dialect, key):
    config = parse_listener("tcp", f"tcp:0{dialect}:{key}=a", "--tcp")
    with pytest.raises(ConfigError, match=f"^--tcp tcp:0{dialect}:{key}=a: {key}= is for --connect; "):
        plan(config, DialectContext("tcp"), Plugins(), print)
