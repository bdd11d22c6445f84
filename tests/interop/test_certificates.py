"""TLS of listeners: what is spoken, which certificate is shown, that a renewed one counts without a link dropped."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess

import pytest

from certificates import Authority
from hub_process import hubbub
from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.links.tls import Certificates, Spec
from interop.clients import Tcp
from running import Daemon


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def dial(address, authority, name="localhost", **more):
    context = ssl.create_default_context(cafile=authority.file)
    for key, value in more.items():
        setattr(context, key, value)
    return context.wrap_socket(socket.create_connection(address, timeout=30), server_hostname=name)


def shown(address, authority, name):
    """The common name of what the daemon shows to who asks for `name`."""
    context = ssl.create_default_context(cafile=authority.file)
    context.check_hostname = False
    with context.wrap_socket(socket.create_connection(address, timeout=30), server_hostname=name) as client:
        return client.getpeercert()["subject"][0][0][1]


@pytest.fixture
def daemon(authority):
    hub = authority.issue("hub.pem", "hub", ("localhost",))
    with Daemon("--tcp", f"ssl:0:privateKey={hub}", "--tcp", "tcp:0:id=plain") as running:
        yield running


def test_only_what_is_modern_is_spoken(daemon, authority):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with dial(daemon.tcp[0], authority, maximum_version=version, minimum_version=version) as client:
            assert client.compression() is None
            with Tcp(client) as lines:
                assert lines.ask("PING") == "PONG"
    old = ["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.tcp[0][1]}"]
    for words in (
        ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        ["-tls1_2", "-cipher", "AES128-SHA:ECDHE-ECDSA-AES128-SHA"],
    ):
        done = subprocess.run([*old, *words], input=b"", capture_output=True, timeout=20)
        assert b"Cipher is (NONE)" in done.stdout, words


def test_failed_handshakes_are_logged(authority, tmp_path):
    """With what an operator can do about it; a client that says nothing, as a probe of the port does, isn't."""
    other = Authority(tmp_path, "Another authority")
    hub = authority.issue("hub.pem", "hub", ("localhost",))
    listeners = [f"ssl:0:id={id}:privateKey={hub}{more}" for id, more in (("a", ""), ("b", f":client-ca={other.file}"))]
    with Daemon(*(word for one in listeners for word in ("--tcp", one))) as daemon:
        socket.create_connection(daemon.tcp[0]).close()
        with pytest.raises(ssl.SSLCertVerificationError):
            dial(daemon.tcp[0], other)
        daemon.wait_for(r"a: TLS client 1 refused, at 127\.0\.0\.1: it doesn't trust the authority of this certificate")
        for sent in (b"GET / HTTP/1.1\r\n\r\n", b"PING\n" * 9):
            with socket.create_connection(daemon.tcp[0]) as plain:
                plain.sendall(sent)
                while plain.recv(100):
                    pass
        daemon.wait_for("a: TLS client 2 refused, at 127.0.0.1: it speaks HTTP, and here is TLS")
        for file, reason in (
            (None, "it has no certificate"),
            (authority.issue("x.pem", "x"), "its certificate isn't acc"),
        ):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                with_certificate(daemon.tcp[1], authority, file).recv(1)
            daemon.wait_for(f"b: TLS client [12] refused, at 127.0.0.1: {reason}")
        assert "a: TLS client 3" not in daemon.log  # one line each time that the number has doubled


def with_certificate(address, authority, file):
    context = ssl.create_default_context(cafile=authority.file)
    if file is not None:
        context.load_cert_chain(file)
    return context.wrap_socket(socket.create_connection(address, timeout=30), server_hostname="localhost")


def test_a_client_that_goes_within_the_handshake_is_logged(daemon, authority):
    context, reads, writes = ssl.create_default_context(cafile=authority.file), ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(reads, writes, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with socket.create_connection(daemon.tcp[0], timeout=30) as raw:
        raw.sendall(writes.read())
        assert raw.recv(1)
    daemon.wait_for("TLS client 1 refused, at 127.0.0.1: it closed the connection within the handshake")


def test_renegotiation_is_refused(daemon):
    """A client can make a server work hard so (CVE-2011-1473)."""
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{daemon.tcp[0][1]}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        client.stdin.write(b"PING\n")
        client.stdin.flush()
        while b"PONG" not in client.stdout.readline():
            pass
        client.stdin.write(b"R\n")
        client.stdin.flush()
        assert b"no renegotiation" in client.stdout.read()
    with Tcp(daemon.tcp[1]) as plain:
        assert plain.ask("PING") == "PONG"


def test_the_name_that_is_asked_for_chooses(authority, tmp_path):
    names = tmp_path / "names"
    authority.issue("names/a.pem", "first", ("a.example", "localhost"))
    authority.issue("names/b.pem", "second", ("b.example", "*.c.example"))
    with Daemon("--tcp", f"tls:{names}:0") as daemon:
        asked = ("a.example", "B.example", "x.c.example", "x.y.c.example", "nobody.example", None)
        found = [shown(daemon.tcp[0], authority, name) for name in asked]
    assert found == ["first", "second", "second", "first", "first", "first"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_name_that_no_certificate_has_may_be_refused(authority, version):
    """So a client of one service isn't led to another with a certificate that is good for both (ALPACA)."""
    hub = authority.issue("hub.pem", "hub", ("hub.example", "*.c.example"))
    with Daemon("--tcp", f"ssl:0:privateKey={hub}:strict-sni=yes", "--tcp", "tcp:0:id=plain") as daemon:
        more = {"check_hostname": False, "minimum_version": version, "maximum_version": version}
        for name in ("HUB.example", "x.c.example", None):
            with Tcp(dial(daemon.tcp[0], authority, name, **more)) as client:
                assert client.ask("PING") == "PONG"
        for name in ("nobody.example", "x.y.c.example"):
            with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
                dial(daemon.tcp[0], authority, name, **more)


def test_a_renewed_certificate_is_used_and_no_client_is_dropped(authority, tmp_path):
    hub = authority.issue("hub.pem", "old", ("localhost",))
    names = authority.issue("names/a.pem", "old", ("localhost",)).parent
    with Daemon("--tcp", f"ssl:0:privateKey={hub}", "--tcp", f"tls:{names}:0", "--websocket",
                f"ssl:0:privateKey={hub}:id=web") as daemon:  # fmt: skip
        ports = [*daemon.tcp, *daemon.websocket]
        clients = [Tcp(dial(address, authority)) for address in daemon.tcp]
        assert [shown(port, authority, "localhost") for port in ports] == ["old"] * 3
        for file in ("hub.pem", "names/a.pem"):
            authority.issue(file, "new", ("localhost",))
        os.kill(daemon.process.pid, signal.SIGHUP)
        daemon.wait_for("reloaded: ")
        assert [shown(port, authority, "localhost") for port in ports] == ["new"] * 3
        hub.write_text("nonsense")
        os.kill(daemon.process.pid, signal.SIGHUP)
        daemon.wait_for("not reloaded: .*there is no certificate in .*hub.pem")
        assert [shown(port, authority, "localhost") for port in ports] == ["new"] * 3
        for client in clients:
            assert client.ask("PING") == "PONG"
            client.close()


def test_a_renewed_certificate_is_found_without_a_reload(authority):
    hub = authority.issue("hub.pem", "old")
    made = Certificates(Spec.of({"privateKey": str(hub)}, None))
    before = made._default
    made.begin(ssl.MemoryBIO(), ssl.MemoryBIO())
    made._looked -= limits.CERTIFICATE_SECONDS + 1
    made.begin(ssl.MemoryBIO(), ssl.MemoryBIO())
    assert made._default is before  # nothing has changed
    authority.issue("hub.pem", "new")
    made.begin(ssl.MemoryBIO(), ssl.MemoryBIO())
    assert made._default is before  # it was looked at a moment ago
    made._looked -= limits.CERTIFICATE_SECONDS + 1
    made.begin(ssl.MemoryBIO(), ssl.MemoryBIO())
    assert made._default is not before


def test_keys_certificates_and_chains_may_stand_in_files_of_their_own(authority, tmp_path):
    blocks = authority.issue("hub.pem", "hub", ("localhost",)).read_text().partition("-----BEGIN CERT")
    (tmp_path / "key").write_text(blocks[0])
    (tmp_path / "cert").write_text(blocks[1] + blocks[2])
    files = f"privateKey={tmp_path}/key:certKey={tmp_path}/cert:extraCertChain={authority.file}"
    with Daemon("--tcp", f"ssl:0:{files}") as daemon:
        assert shown(daemon.tcp[0], authority, "localhost") == "hub"
    found = Certificates(Spec.of({"path": str(tmp_path)}, None))
    assert found._contexts.keys() == {"localhost"}


def refused(*options):
    done = hubbub("run", *options)
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def test_what_is_wrong_at_the_start_is_one_line(authority, tmp_path):
    hub, other = authority.issue("hub.pem", "hub"), authority.issue("other.pem", "other")
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    certificate.write_text("-----BEGIN CERT" + hub.read_text().partition("-----BEGIN CERT")[2])
    key.write_text(other.read_text().partition("-----BEGIN CERT")[0])
    (tmp_path / "empty").mkdir()
    encrypted = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", hub, "-passout", "pass:x"], capture_output=True, check=True
    ).stdout
    (tmp_path / "locked").write_bytes(encrypted)
    (tmp_path / "torn").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for endpoint, says in {
        f"ssl:0:privateKey={tmp_path}/nowhere": "nowhere: No such file or directory",
        f"ssl:0:privateKey={tmp_path}/key": "there is no certificate in",
        f"ssl:0:privateKey={tmp_path}/certificate": "there is no private key in",
        f"ssl:0:privateKey={tmp_path}/key:certKey={tmp_path}/certificate": "don't belong together",
        f"ssl:0:privateKey={tmp_path}/locked": "locked: the key needs a passphrase",
        f"ssl:0:privateKey={tmp_path}/torn": "torn: a certificate in it can't be read",
        f"tls:{tmp_path}/empty:0": "there is no certificate in",
        f"ssl:0:privateKey={hub}:client-ca={tmp_path}/key": "client-ca=",
        f"ssl:0:privateKey={hub}:sslmethod=SSLv3_METHOD": "sslmethod",
        f"tcp:0:client-ca={authority.file}": "client-ca= is for TLS",
        "tcp:0:strict-sni=yes": "strict-sni= is for TLS",
    }.items():
        try:
            if "sslmethod" in endpoint or endpoint.startswith("tcp") or "nowhere" in endpoint:
                line = refused("--tcp", endpoint)
                assert endpoint.split(":")[0] in line
            else:  # the same, without a process for each
                spec, _, authorities = endpoint.partition(":client-ca=")
                values = dict(part.split("=") for part in spec.split(":")[2:] if "=" in part)
                values = values or {"path": str(tmp_path / "empty")}
                with pytest.raises(ConfigError) as found:
                    Certificates(Spec.of(values, tmp_path / "key" if authorities else None))
                line = str(found.value)
        except AssertionError as error:
            raise AssertionError(endpoint) from error
        assert says in line


def test_what_ends_soon_is_reported(authority):
    old, soon = authority.issue("old.pem", "old", days=-2), authority.issue("soon.pem", "soon", days=3)
    spec = ("--tcp", f"ssl:0:id=old:privateKey={old}", "--tcp", f"ssl:0:id=soon:privateKey={soon}")
    with Daemon(*spec) as daemon:
        daemon.wait_for("the certificate in .*old.pem has expired on 20..-..-..: clients will refuse it")
        daemon.wait_for("the certificate in .*soon.pem expires on 20")


def test_a_client_needs_a_certificate_of_the_authority(authority, tmp_path):
    hub, ann = authority.issue("hub.pem", "hub", ("localhost",)), authority.issue("ann.pem", "ann", ("ann.example",))
    strange = Authority(tmp_path, "Stranger").issue("eve.pem", "ann")
    late = authority.issue("late.pem", "ann", days=-1)
    spec = f"ssl:0:privateKey={hub}:client-ca={authority.file}"
    with Daemon("--tcp", spec, "--auth", "certificate:san") as daemon:
        context = ssl.create_default_context(cafile=authority.file)
        for file, good in ((ann, True), (strange, False), (late, False), (None, False)):
            context = ssl.create_default_context(cafile=authority.file)
            if file is not None:
                context.load_cert_chain(file)
            said = b""
            try:
                plain = socket.create_connection(daemon.tcp[0], timeout=30)
                with context.wrap_socket(plain, server_hostname="localhost") as client:
                    client.sendall(b"SUB a\nPUB a x\n")
                    said = client.makefile("rb").readline()
            except OSError:
                pass
            assert (said == b"OK SUB a\n") == good, file
