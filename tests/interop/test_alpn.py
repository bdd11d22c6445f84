"""ALPN (RFC 7301) on TLS listeners: which dialect a client gets, and which clients are refused."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess

import pytest

from certificates import Authority
from hubbub_plugins.mqtt.packets import V311, Connect
from running import Daemon
from system.plugin_files import hang_up

CONNECT = Connect(version=V311, client="c").encode(V311)
STOMP = b"CONNECT\naccept-version:1.2\nhost:localhost\n\n\0"
RAW_SOCKET = b"\x7f\xf1\0\0"  # WAMP's, JSON
GREETINGS = {  # what each protocol begins with, and how the answer does
    "mqtt": (CONNECT, b"\x20\2\0\0"),
    "x-amzn-mqtt-ca": (CONNECT, b"\x20\2\0\0"),
    "stomp": (STOMP, b"CONNECTED\n"),
    "wamp": (RAW_SOCKET, b"\x7f"),
    "lines": (b"PING\n", b"PONG\n"),
    "json": (b'{"op": "ping"}\n', b'{"op":"pong"'),
}
BOTH = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
NO_OVERLAP = "alert no application protocol"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("alpn"))


@pytest.fixture(scope="module")
def daemon(authority):
    """One certificate for all."""
    key = f"privateKey={authority.issue('hub.pem', 'localhost', ('localhost',))}"
    dialects = (f":id={name}:dialect={name}" for name in ("mqtt", "stomp", "nats", "raw"))
    tcp = [option for keys in (":id=auto", *dialects) for option in ("--tcp", f"ssl:0:{key}{keys}")]
    with Daemon(*tcp, "--websocket", f"ssl:0:{key}:id=web") as running:
        yield running


@pytest.fixture
def dial(authority):
    def dialled(address, *protocols, version=ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=authority.file)
        context.maximum_version = version
        if protocols:
            context.set_alpn_protocols(protocols)
        made = context.wrap_socket(socket.create_connection(address, 10), server_hostname="localhost")
        made.settimeout(30)
        return made

    return dialled


def answer(client, sent, size=65_536):
    client.sendall(sent)
    return client.recv(size)


@BOTH
@pytest.mark.parametrize("name", GREETINGS)
def test_it_chooses_the_dialect(daemon, dial, name, version):
    sent, wanted = GREETINGS[name]
    with dial(daemon.tcp[0], "unknown", name, version=version) as client:
        assert client.selected_alpn_protocol() == name
        assert answer(client, sent).startswith(wanted)


@pytest.mark.parametrize("name", GREETINGS)
def test_what_another_protocol_says_is_read_as_the_chosen_one(daemon, dial, name):
    """Without ALPN this listener would have read what it is."""
    for other, (sent, wanted) in GREETINGS.items():
        if GREETINGS[name][0] != sent:
            with dial(daemon.tcp[0], name) as client:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                assert not client.recv(65_536).startswith(wanted), other


@pytest.mark.parametrize("name", GREETINGS)
def test_without_it_the_first_bytes_choose(daemon, dial, name):
    sent, wanted = GREETINGS[name]
    with dial(daemon.tcp[0]) as client:
        assert client.selected_alpn_protocol() is None
        assert answer(client, sent).startswith(wanted)


@BOTH
@pytest.mark.parametrize(
    ("listener", "protocols"),
    [
        ("auto", ["h2", "http/1.1"]),  # a browser
        ("auto", ["unknown"]),
        ("mqtt", ["http/1.1"]),
        ("mqtt", ["stomp"]),
        ("stomp", ["mqtt", "x-amzn-mqtt-ca"]),
        ("raw", ["http/1.1"]),
        ("web", ["h2"]),
        ("web", ["mqtt"]),
    ],
)
def test_a_client_that_offers_other_protocols_alone_is_refused(daemon, dial, listener, protocols, version):
    """RFC 7301 section 3.2."""
    names = ["auto", "mqtt", "stomp", "nats", "raw"]
    address = daemon.websocket[0] if listener == "web" else daemon.tcp[names.index(listener)]
    with pytest.raises(ssl.SSLError, match=NO_OVERLAP):
        dial(address, *protocols, version=version)


def test_the_log_says_what_the_client_offers_and_what_there_is(authority, dial):
    key = authority.issue("log.pem", "localhost", ("localhost",))
    with Daemon("--tcp", f"ssl:0:privateKey={key}:id=one:dialect=mqtt") as daemon:
        for _ in range(9):
            with pytest.raises(ssl.SSLError, match=NO_OVERLAP):
                dial(daemon.tcp[0], "h2", "a\nb")
        daemon.wait_for("one: TLS client 8 refused, at 127.0.0.1: it offers 'h2', 'a")
        found = [json.loads(line) for line in daemon.log.splitlines() if "refused" in line]
        assert [line["count"] for line in found] == [1, 2, 4, 8]
        assert found[0]["why"] == "it offers 'h2', 'a\\nb' by ALPN, and here is mqtt, x-amzn-mqtt-ca"


def test_before_tls_that_begins_in_the_clear(daemon, authority):
    """A NATS client reads INFO first."""
    for protocols, chosen in ((["nats"], "nats"), ([], None), (["http/1.1"], NO_OVERLAP)):
        context = ssl.create_default_context(cafile=authority.file)
        if protocols:
            context.set_alpn_protocols(protocols)
        plain = socket.create_connection(daemon.tcp[3], 10)
        while plain.recv(1) != b"\n":
            pass
        if chosen == NO_OVERLAP:
            with pytest.raises(ssl.SSLError, match=NO_OVERLAP):
                context.wrap_socket(plain, server_hostname="localhost")
            continue
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            assert client.selected_alpn_protocol() == chosen
            assert answer(client, b"CONNECT {}\r\nPING\r\n").endswith(b"PONG\r\n")


def test_a_hello_that_comes_byte_by_byte(daemon, authority):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=authority.file)
    context.set_alpn_protocols(["h2"])
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with socket.create_connection(daemon.tcp[0], 10) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in outgoing.read():
            plain.send(bytes([byte]))
        incoming.write(b"".join(iter(lambda: plain.recv(100), b"")))
    with pytest.raises(ssl.SSLError, match=NO_OVERLAP):
        client.do_handshake()


def test_one_certificate_for_several_protocols_is_not_abused_across_them(daemon, dial):
    """ALPACA: a request of a browser that somebody on the way has led to another port of the same certificate."""
    request = b"POST /PUB%20a HTTP/1.1\r\nHost: localhost\r\n\r\nPUB stolen cookie\n"
    browser = ("h2", "http/1.1")
    for address in daemon.tcp[:3]:  # in the clear nats says INFO first, which ends a browser's handshake
        with pytest.raises(ssl.SSLError, match=NO_OVERLAP):
            dial(address, *browser)
        with dial(address) as old, dial(daemon.tcp[0], "lines") as watcher:  # one without ALPN
            assert answer(watcher, b"SUB #\n") == b"OK SUB #\n"
            old.sendall(request)
            said = b"".join(iter(lambda: old.recv(65_536), b""))
            assert not said.startswith(b"HTTP/1.1 2")
            assert b"cookie" not in said
            assert answer(watcher, b"PING\n") == b"PONG\n"
    for name in ("mqtt", "stomp", "lines"):
        with pytest.raises(ssl.SSLError, match=NO_OVERLAP):
            dial(daemon.websocket[0], name)


def test_real_clients(daemon, authority, need):
    port, ca = daemon.tcp[0][1], str(authority.file)
    publish = [need("mosquitto_pub"), "-h", "localhost", "-p", str(port), "--cafile", ca, "-t", "a", "-m", "x"]
    for protocol, status in (("mqtt", 0), ("x-amzn-mqtt-ca", 0), ("amqp", 1)):
        done = subprocess.run([*publish, "--tls-alpn", protocol], check=False, timeout=20, capture_output=True)
        assert bool(done.returncode) == bool(status), (protocol, done)
    for (_, port), works in ((daemon.websocket[0], True), (daemon.tcp[0], False)):
        url = f"https://localhost:{port}/healthz"
        done = subprocess.run([need("curl"), "-sS", "--cacert", ca, url], check=False, timeout=20, capture_output=True)
        assert (done.returncode == 0) == works, done


def test_the_number_of_the_refused(daemon, dial):
    with pytest.raises(ssl.SSLError, match=NO_OVERLAP):
        dial(daemon.websocket[0], "nothing")
    with dial(daemon.websocket[0], "http/1.1") as client:
        _, _, body = answer(client, b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n", 1 << 20).partition(b"\r\n\r\n")
        while part := client.recv(65_536):
            body += part
    assert b'reason="alpn"' in body


def test_a_reload_changes_what_there_is(authority, dial, tmp_path):
    key = authority.issue("reload.pem", "localhost", ("localhost",))
    config = tmp_path / "hub.toml"

    def write(dialect):
        config.write_text(
            f'[[tcp]]\nendpoint = "ssl:0:privateKey={key}"\nid = "one"\ndialect = {json.dumps(dialect)}\n'
        )

    write("lines")
    with Daemon("--config", str(config)) as daemon:
        dial(daemon.tcp[0], "lines").close()
        write("stomp")
        hang_up(daemon, "reloaded")
        dial(daemon.tcp[0], "stomp").close()
        with pytest.raises(ssl.SSLError, match=NO_OVERLAP):
            dial(daemon.tcp[0], "lines")
