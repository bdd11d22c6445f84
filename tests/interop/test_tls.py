"""TLS and wss, with the wire tapped: nothing that a client says or is told may be readable on it."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from interop.clients import SansIO, Tcp
from interop.tap import Tap
from running import Daemon

TOPIC = "readable/topic"
SECRET = "Readable-Payload."
SMALL, LARGE = 500, 96  # messages
TEXTS = [f"{SECRET}{count}" for count in range(SMALL)] + [SECRET * 3855 + str(count) for count in range(LARGE)]
# The large ones are 6 MiB: more than the system keeps between the daemon and one that doesn't read, less than a queue.
GARBAGE = (b"PING\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 70_000, b"\x80" * 9)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A folder with a self-signed certificate for localhost: key.pem, cert.pem, and both in names/localhost.pem."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1"))]
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = cert.public_bytes(serialization.Encoding.PEM)
    (folder / "names").mkdir()
    for file, content in {"key.pem": private, "cert.pem": public, "names/localhost.pem": private + public}.items():
        (folder / file).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def daemon(certificate):
    files = f"privateKey={certificate}/key.pem:certKey={certificate}/cert.pem"
    with Daemon(
        "--tcp", "tcp:0", "--tcp", f"ssl:0:id=ssl:{files}", "--tcp", f"tls:{certificate}/names:0:id=tls",
        "--websocket", f"ssl:0:id=wss:{files}",
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def trust(certificate):
    return ssl.create_default_context(cafile=certificate / "cert.pem")


def tls(address, trust):
    return Tcp(trust.wrap_socket(socket.create_connection(address), server_hostname="localhost"))


def wss(address, trust):
    return SansIO(f"wss://localhost:{address[1]}/", address, trust, subprotocol="hubbub.lines")


@pytest.mark.parametrize("listener", [1, 2], ids=["ssl", "tls"])
def test_lines_over_tls(daemon, trust, listener):
    with tls(daemon.tcp[listener], trust) as secure, Tcp(daemon.tcp[0]) as plain:
        for client in (secure, plain):
            assert client.ask("SUB a/b") == "OK SUB a/b"
        secure.send("PUB a/b 欢迎")
        plain.expect("MSG a/b 欢迎")
        secure.expect("MSG a/b 欢迎")
        plain.send("PUB a/b " + "x" * 300_000)
        secure.expect("MSG a/b " + "x" * 300_000)
        assert secure.ask("QUIT") == "BYE"
        assert secure.ended()


def test_wss(daemon, trust):
    with wss(daemon.websocket[0], trust) as secure, Tcp(daemon.tcp[0]) as plain:
        plain.send("SUB a/b")
        plain.expect("OK SUB a/b")
        secure.send("SUB a/b")
        secure.expect("OK SUB a/b")
        secure.send("PUB a/b 欢迎")
        secure.expect("MSG a/b 欢迎")
        plain.expect("MSG a/b 欢迎")
        plain.send("PUB a/b " + "x" * 300_000)
        secure.expect("MSG a/b " + "x" * 300_000)


def read_all(client):
    for text in TEXTS:
        client.expect(f"MSG {TOPIC} {text}")


@pytest.mark.parametrize("held", [False, True], ids=["reading", "stalled"])
@pytest.mark.parametrize("kind", ["plain", "tls", "wss"])
def test_the_wire(daemon, trust, kind, held):
    """Two clients of each kind hear what one of them and a plain one say. The plain kind shows that the tap sees."""
    address = {"plain": daemon.tcp[0], "tls": daemon.tcp[1], "wss": daemon.websocket[0]}[kind]
    with ExitStack() as stack:
        enter = stack.enter_context
        tap, publisher = enter(Tap(address)), enter(Tcp(daemon.tcp[0]))
        dial = {"plain": lambda to, _: Tcp(to), "tls": tls, "wss": wss}[kind]
        clients = [enter(dial(tap.address, trust)) for _ in range(2)]
        for client in clients:
            client.send(f"SUB {TOPIC}")
            client.expect(f"OK SUB {TOPIC}")
        readers = enter(ThreadPoolExecutor(2))
        if held:
            tap.flowing.clear()
        done = [] if held else [readers.submit(read_all, client) for client in clients]
        publisher.send(*[f"PUB {TOPIC} {text}" for text in TEXTS], "PING")
        publisher.expect("PONG")
        if held:
            tap.flowing.set()
            done = [readers.submit(read_all, client) for client in clients]
        for one in done:
            one.result(30)
        clients[0].send(f"PUB {TOPIC} {SECRET}")
        for client in clients:
            client.expect(f"MSG {TOPIC} {SECRET}")
        assert len(tap.down) > 12 << 20
        seen = [word.encode() in wire for wire in (tap.up, tap.down) for word in (TOPIC, SECRET)]
        assert seen == [kind == "plain"] * 4


def test_garbage_on_a_tls_port_affects_no_client(daemon, trust):
    for address in (daemon.tcp[1], daemon.tcp[2], daemon.websocket[0]):
        dial = wss if address == daemon.websocket[0] else tls
        with dial(address, trust) as secure:
            for garbage in GARBAGE:
                assert b"PONG" not in answer_to(garbage, address)
            secure.send("PING")
            secure.expect("PONG")
    with Tcp(daemon.tcp[0]) as plain:
        assert plain.ask("PING") == "PONG"
    assert "Traceback" not in daemon.log


def answer_to(garbage, address):
    """All that comes, up to the end or a reset."""
    found = b""
    with socket.create_connection(address, timeout=30) as client, suppress(ConnectionError):
        client.sendall(garbage)
        with suppress(OSError):  # it may have been reset before
            client.shutdown(socket.SHUT_WR)
        while data := client.recv(65_536):
            found += data
    return found
