"""TLS of listeners: how sessions are resumed, how connections end, and what a client can make the daemon keep."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
from contextlib import suppress

import pytest
from OpenSSL import SSL

from certificates import Authority
from fuzz.tls import Pair
from hubbub import limits
from hubbub.service.links.tls import Certificates, Spec
from hubbub.transports.tls import TlsFactory
from interop.clients import Tcp
from running import Daemon

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def daemon(authority):
    hub = authority.issue("names/a.pem", "hub", ("localhost",))
    names = authority.issue("names/b.pem", "other", ("other.example",)).parent
    with Daemon(
        "--tcp", "tcp:0:id=plain", "--tcp", f"tls:{names}:0:id=tls",
        "--tcp", f"ssl:0:privateKey={hub}:client-ca={authority.file}:id=known", "--websocket", f"tls:{names}:0:id=wss",
    ) as running:  # fmt: skip
        yield running


class Records:
    """A TLS client whose records are at hand: they are sent as the test wants."""

    def __init__(self, address, authority, version=ssl.TLSVersion.TLSv1_3, certificate=None, name="localhost"):
        context = ssl.create_default_context(cafile=authority.file)
        context.minimum_version = context.maximum_version = version
        if certificate is not None:
            context.load_cert_chain(certificate)
        self._open(address, context, name, None)

    def _open(self, address, context, name, session):
        self.name = name
        self.got = bytearray()  # as it came
        self.socket = socket.create_connection(address, timeout=30)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname=name, session=session)
        self._until(self.tls.do_handshake)

    def again(self, address, name=None):
        """The same client with its session."""
        made = Records.__new__(Records)
        made._open(address, self.tls.context, name or self.name, self.tls.session)
        return made

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _until(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.socket.sendall(self._out.read())
                data = self.socket.recv(65_536)
                self.got += data
                self._in.write(data)
                if not data:
                    self._in.write_eof()
            finally:
                self.socket.sendall(self._out.read())

    def records(self, text, close=False):
        """What says this; with close_notify behind it."""
        self.tls.write(text.encode())
        if close:
            with suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
        return self._out.read()

    def send(self, text):
        self.socket.sendall(self.records(text))

    def line(self):
        found = b""
        while not found.endswith(b"\n"):
            found += self._until(lambda: self.tls.read(1))
        return found.decode()[:-1]

    def last_words(self):
        """Ask, close TLS as a client should that wants its session to be kept, and return what comes."""
        self.socket.sendall(self.records("PING\nQUIT\n", close=True))
        return self.rest()

    def rest(self):
        """All up to close_notify, which has to come."""
        found = b""
        with suppress(ssl.SSLZeroReturnError):
            while piece := self._until(lambda: self.tls.read(65_536)):
                found += piece
        return found.decode()


@pytest.mark.parametrize("name", ["localhost", "other.example"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed(daemon, authority, version, name):
    with Records(daemon.tcp[1], authority, version, name=name) as first:
        first.send("PING\n")
        assert (first.line(), first.tls.session_reused) == ("PONG", False)
    with first.again(daemon.tcp[1]) as again:
        again.send("PING\n")
        assert (again.line(), again.tls.session_reused) == ("PONG", True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_of_one_name_is_resumed_at_another(daemon, authority, version):
    """OpenSSL doesn't compare them; no right of a client hangs on the name (RFC 6066 section 3 has it begin anew)."""
    with Records(daemon.tcp[1], authority, version) as first:
        first.send("PING\n")
        assert first.line() == "PONG"
    with first.again(daemon.tcp[1], "other.example") as again:
        again.send("PING\n")
        assert (again.line(), again.tls.session_reused) == ("PONG", True)


def test_messages_of_one_turn_are_one_record(daemon, authority):
    with Records(daemon.tcp[1], authority) as client, Tcp(daemon.tcp[0]) as publisher:
        client.send("SUB joined\n")
        assert client.line() == "OK SUB joined"
        before = len(client.got)
        publisher.send(*["PUB joined x"] * 100)
        assert [client.line() for _ in range(100)] == ["MSG joined x"] * 100
        # Of 100 messages: the kernel may cut what the publisher sends, and a busy machine a turn.
        assert len(list(records_of(client.got[before:]))) < 10


def records_of(stream):
    """The types of TLS records (RFC 8446 section 5.1)."""
    while stream:
        yield stream[0]
        del stream[: 5 + int.from_bytes(stream[3:5], "big")]


def test_a_session_ends_with_the_authority_of_its_certificate(authority, tmp_path):
    """TLS 1.2, where a session has the certificate of the handshake that began it."""
    hub, old = authority.issue("hub.pem", "hub", ("localhost",)), Authority(tmp_path, "Old")
    known = tmp_path / "known.crt"
    known.write_bytes(old.file.read_bytes())
    with Daemon("--tcp", f"ssl:0:privateKey={hub}:client-ca={known}") as daemon:
        with Records(daemon.tcp[0], authority, ssl.TLSVersion.TLSv1_2, old.issue("ann.pem", "ann")) as first:
            assert first.last_words() == "PONG\nBYE\n"
        with first.again(daemon.tcp[0]) as again:
            assert (again.last_words(), again.tls.session_reused) == ("PONG\nBYE\n", True)
        known.write_bytes(authority.file.read_bytes())
        os.kill(daemon.process.pid, signal.SIGHUP)
        daemon.wait_for("reloaded: ")
        with pytest.raises((ssl.SSLError, OSError)):
            again.again(daemon.tcp[0]).last_words()
        daemon.wait_for("refused, at 127.0.0.1: its certificate .*isn.t accepted")


def test_a_client_that_shows_a_certificate_shows_it_each_time(daemon, authority):
    """TLS 1.3, where a session ticket would bring the certificate of an earlier day."""
    ann = authority.issue("ann.pem", "ann")
    with Records(daemon.tcp[2], authority, certificate=ann) as client:
        client.send("PING\n")
        assert client.line() == "PONG"
        assert client.tls.session is None or not client.tls.session.has_ticket


def test_keys_of_tickets_are_replaced(authority):
    hub = authority.issue("hub.pem", "hub", ("b.example",))
    certificates = Certificates(Spec.of({"privateKey": str(hub)}, None))
    factory = TlsFactory(certificates, _Deaf(), lambda host: b"")
    first = _shaken(Pair(factory, ssl.TLSVersion.TLSv1_3))
    assert _shaken(_resuming(factory, first)).client.session_reused
    certificates._made -= limits.TICKET_KEY_SECONDS
    certificates.look()
    assert not _shaken(_resuming(factory, first)).client.session_reused


class _Deaf:
    def buildProtocol(self, address):
        return _Protocol()


class _Protocol:
    def makeConnection(self, transport):
        pass

    dataReceived = connectionLost = makeConnection


def _resuming(factory, first):
    pair = Pair(factory, ssl.TLSVersion.TLSv1_3)
    fresh = Pair(factory, ssl.TLSVersion.TLSv1_3)
    pair.client = first.client.context.wrap_bio(
        pair._in, pair._out, server_hostname="b.example", session=first.client.session
    )
    pair.up, pair.socket, pair.tls = bytearray(), fresh.socket, fresh.tls
    pair.shake()
    return pair


def _shaken(pair):
    for _ in range(3):
        pair.deliver(len(pair.up))
        pair.take()
    assert pair.shaken
    return pair


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_closes_tls_gets_the_answers(daemon, authority, version):
    """The subscription would keep plain TCP open; a client that has sent close_notify waits for ours."""
    with Records(daemon.tcp[1], authority, version) as client:
        client.socket.sendall(client.records("SUB a/b\nPUB a/b x\nPING", close=True))
        assert client.rest().splitlines() == ["OK SUB a/b", "MSG a/b x", "PONG"]
        assert client.socket.recv(100) == b""


def test_what_is_cut_short_is_not_acted_upon(daemon, authority):
    """Anybody can end a TCP connection: only close_notify says that the last line was whole."""
    with Tcp(daemon.tcp[0]) as plain:
        assert plain.ask("SUB cut/#") == "OK SUB cut/#"
        for close in (False, True):
            with Records(daemon.tcp[1], authority) as client:
                client.send("PING\n")
                assert client.line() == "PONG"
                client.socket.sendall(client.records(f"PUB cut/{close} x", close=close))
                client.socket.shutdown(socket.SHUT_WR)
                while client.socket.recv(1000):
                    pass
        plain.expect("MSG cut/True x")


def test_half_a_record_waits_for_the_other(daemon, authority):
    with Records(daemon.tcp[1], authority) as client, Tcp(daemon.tcp[0]) as plain:
        records = client.records("PING\n") + client.records("PING\n")
        client.socket.sendall(records[:40])
        assert client.line() == "PONG"
        assert plain.ask("PING") == "PONG"
        client.socket.sendall(records[40:])
        assert client.line() == "PONG"


def test_a_spoiled_record_ends_its_connection_alone(daemon, authority):
    with Records(daemon.tcp[1], authority) as client, Records(daemon.tcp[1], authority) as other:
        bad = bytearray(client.records("PUB a x\nPING\n"))
        bad[-1] ^= 1
        client.socket.sendall(bad)
        with pytest.raises(ssl.SSLError, match="bad record mac"):
            client.line()
        other.send("PING\n")
        assert other.line() == "PONG"


def test_a_name_that_is_no_text_is_one_that_is_unknown(daemon, authority):
    """A server name of bytes above 127: neither a traceback nor the end of others."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    client = SSL.Connection(context, None)
    client.set_connect_state()
    client.set_tlsext_host_name(b"caf\xc3\xa9.example")
    with suppress(SSL.WantReadError):
        client.do_handshake()
    with socket.create_connection(daemon.tcp[1], timeout=30) as plain:
        plain.sendall(client.bio_read(65_536))
        assert plain.recv(65_536)
    with Records(daemon.tcp[1], authority) as other:
        other.send("PING\n")
        assert other.line() == "PONG"
    assert "Traceback" not in daemon.log


def test_a_client_that_makes_tls_speak_and_does_not_read_is_cut(authority, monkeypatch):
    monkeypatch.setattr(limits, "TLS_ANSWER_BYTES", 8)
    hub = authority.issue("hub.pem", "hub", ("b.example",))
    factory = TlsFactory(Certificates(Spec.of({"privateKey": str(hub)}, None)), _Deaf(), lambda host: b"")
    pair = Pair(factory, ssl.TLSVersion.TLSv1_3)
    pair.socket.room = 0  # as the client doesn't read
    pair.deliver(len(pair.up))
    assert pair.socket.aborted


def test_a_cookie_over_tls_is_for_tls_alone(authority, tmp_path):
    hub = authority.issue("hub.pem", "hub", ("localhost",))
    options = ("--websocket", f"ssl:0:privateKey={hub}", "--auth", "memory:ada:sesame")
    with Daemon(*options) as daemon:
        url = f"https://localhost:{daemon.websocket[0][1]}/session"
        command = ["curl", "-si", "--cacert", authority.file, "-u", "ada:sesame", "-X", "POST", url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    assert "; Secure" in done.stdout
