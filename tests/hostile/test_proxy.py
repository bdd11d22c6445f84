"""Only a trusted proxy is believed about whom it speaks for; a header of anybody else is what it looks like: bytes."""

from __future__ import annotations

import contextlib
import socket
import ssl
from base64 import b64decode
from ipaddress import ip_address

import pytest

from running import Address, Daemon, LineClient
from system.clients import TEXT, frame, received, status, upgrade

PROXY, STRANGER = "127.0.0.2", "127.0.0.1"  # where they dial from
RAW = "dialect=raw:end=lf:topic=seen/{host}/{port}"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture(scope="module")
def options(certificate):
    tls = f"haproxy:ssl:0:privateKey={certificate}:certKey={certificate}"
    return (
        "--trust-proxy", f"{PROXY}/32", "--trust-proxy", "10.0.0.0/8",
        "--tcp", f"haproxy:tcp:0:id=plain:{RAW}", "--tcp", f"{tls}:id=tls:{RAW}", "--tcp", "haproxy:tcp:0:id=told",
        "--websocket", f"haproxy:tcp:0:id=ws:{RAW}", "--websocket", f"{tls}:id=wss:{RAW}",
        "--websocket", f"tcp:0:id=forwarded:{RAW}", "--tcp", f"{tls}:id=secret",
    )  # fmt: skip


@pytest.fixture
def seen(daemon):
    """Hears what the others publish: `seen()` is the next topic and payload."""
    with LineClient(daemon.tcp[0]) as client:
        assert client.ask("SUB seen/#") == "OK SUB seen/#"
        yield lambda: client.line().replace("MSGB ", "MSG ").removeprefix("MSG seen/")
        client.send("QUIT")


def dial(to: Address, source: str) -> socket.socket:
    return socket.create_connection(to, 20, (source, 0))


def over_tls(one: socket.socket) -> ssl.SSLSocket:
    return ssl._create_unverified_context().wrap_socket(one, server_hostname="localhost")


def v2(source: str, port: int = 5, command: int = 0x21, more: bytes = b"") -> bytes:
    """A header of version 2 with the addresses of a TCP connection, or the 216 bytes of a Unix one."""
    if source == "unix":
        family, body = 0x31, b"/run/a".ljust(108, b"\0") * 2
    else:
        address = ip_address(source)
        family = 0x11 if address.version == 4 else 0x21
        body = address.packed * 2 + port.to_bytes(2, "big") + (80).to_bytes(2, "big")
    body += more
    return SIGNATURE + bytes((command, family)) + len(body).to_bytes(2, "big") + body


HEADERS = {
    "version 1": (b"PROXY TCP4 192.0.2.9 192.0.2.1 56324 443\r\n", "192.0.2.9/56324"),
    "version 1, IPv6": (b"PROXY TCP6 2001:db8::9 2001:db8::1 65535 0\r\n", "2001:db8::9/65535"),
    "version 1, IPv4 in IPv6": (b"PROXY TCP6 ::ffff:192.0.2.9 ::1 5 6\r\n", "192.0.2.9/5"),
    "version 1, unknown": (b"PROXY UNKNOWN\r\n", f"{PROXY}/"),
    "version 1, unknown with words": (b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", f"{PROXY}/"),
    "version 2": (v2("192.0.2.9", 56324), "192.0.2.9/56324"),
    "version 2, IPv6": (v2("2001:db8::9"), "2001:db8::9/5"),
    "version 2, translated IPv4": (v2("::ffff:0:192.0.2.9"), "::ffff:0:c000:209/5"),
    "version 2, Unix": (v2("unix"), "unix/0"),
    "version 2, of the proxy itself": (v2("192.0.2.9", command=0x20), f"{PROXY}/"),
    "version 2, unspecified": (SIGNATURE + b"\x21\x00\x00\x00", f"{PROXY}/"),
    "version 2, with more": (v2("192.0.2.9", more=b"\x03\0\4abcd\x20\0\0"), "192.0.2.9/5"),
}


def test_addresses_from_a_proxy(daemon, seen):
    """However it is cut, with what follows in the same segment or behind it, before TLS and before HTTP too."""
    for header, client in HEADERS.values():
        over_every_transport(daemon, seen, header, client)


def over_every_transport(daemon, seen, header, client):
    with dial(daemon.tcp[2], PROXY) as one:
        one.sendall(header + b"at once\n")
        assert seen().startswith(client)
    with dial(daemon.tcp[2], PROXY) as one:
        for byte in header + b"in bytes\n":
            one.sendall(bytes((byte,)))
        assert seen().startswith(client)
    with dial(daemon.tcp[3], PROXY) as plain:
        plain.sendall(header)
        with over_tls(plain) as one:
            one.sendall(b"over TLS\n")
            assert seen().startswith(client)
    for listener, wrap in ((2, lambda one: one), (3, over_tls)):
        with dial(daemon.websocket[listener], PROXY) as plain:
            plain.sendall(header)
            with wrap(plain) as one:
                one.sendall(upgrade("localhost"))
                assert status(one.recv(4096)) == 101
                one.sendall(frame(TEXT, b"over WebSocket"))
                assert seen().startswith(client)


def test_a_second_header_is_what_the_client_says(daemon, seen):
    """A proxy passes on what its client sends: that changes nobody's address."""
    first, client = HEADERS["version 2"]
    for second in (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", b"PROXY UNKNOWN\r\n", v2("::1", command=0x20) + b"\n"):
        with dial(daemon.tcp[2], PROXY) as one:
            one.sendall(first + second + b"end\n")
            while not (line := seen()).endswith(" end"):
                assert line.startswith(client)
            assert line.startswith(client)


def test_after_the_header_comes_tls_both_ways(daemon):
    """A socket that has had a header isn't taken for one without TLS: nothing goes out as plaintext."""
    with dial(daemon.tcp[5], PROXY) as plain:
        plain.sendall(HEADERS["version 2"][0])
        with LineClient(over_tls(plain)) as client:
            assert client.ask("SUB secret") == "OK SUB secret"
            client.send("PUB secret " + "x" * 300_000)
            assert client.line() == "MSG secret " + "x" * 300_000


@pytest.mark.parametrize(
    "header", [b"PROXY TCP4 127.0.0.1 127.0.0.1 5 6\r\n", b"PROXY UNKNOWN\r\n", v2("::1"), v2("unix")]
)
def test_a_client_that_comes_through_a_proxy_is_not_from_this_machine(daemon, header):
    """Whatever its header says: the figures are for who connects from here."""
    for listener, wrap in ((2, lambda one: one), (3, over_tls)):
        with dial(daemon.websocket[listener], PROXY) as plain:
            plain.sendall(header)
            with wrap(plain) as one:
                one.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert status(one.recv(4096)) == 404


BAD = {
    "none": b"PING\n",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "without an end": b"PROXY TCP4 " + b"1" * 107,
    "half an address": b"PROXY TCP4 192.0.2 192.0.2.1 5 6\r\n",
    "another family": b"PROXY TCP4 ::1 ::1 5 6\r\n",
    "a port too high": b"PROXY TCP4 192.0.2.9 192.0.2.1 65536 6\r\n",
    "a port with a zero": b"PROXY TCP4 192.0.2.9 192.0.2.1 05 6\r\n",
    "a name": b"PROXY TCP4 localhost 192.0.2.1 5 6\r\n",
    "too few words": b"PROXY TCP4 192.0.2.9\r\n",
    "two spaces": b"PROXY TCP4  192.0.2.9 192.0.2.1 5 6\r\n",
    "LF alone": b"PROXY UNKNOWN\n" + b"x" * 107,
    "lower case": b"proxy TCP4 192.0.2.9 192.0.2.1 5 6\r\n",
    "version 3": SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
    "an unknown command": SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),
    "an unknown family": SIGNATURE + b"\x21\x41\x00\x0c" + bytes(12),
    "a datagram": SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12),
    "too few bytes": SIGNATURE + b"\x21\x21\x00\x0c" + bytes(12),
    "too long": SIGNATURE + b"\x21\x11\xff\xff",
}


@pytest.mark.parametrize("listener", [2, 3], ids=["plain", "tls"])
def test_a_proxy_with_a_bad_header_is_cut(daemon, seen, listener):
    """It can't be served as itself: what its clients send would be taken for its own header."""
    for data in BAD.values():
        with dial(daemon.tcp[listener], PROXY) as one:
            with contextlib.suppress(ConnectionError):
                one.sendall(data)
            assert received(one) == b"", data
    with dial(daemon.tcp[2], PROXY) as one:  # and nothing of it was published before this
        one.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 5 6\r\nfine\n")
        assert seen() == "192.0.2.7/5 fine"


def test_the_log_says_which_proxy_and_what_to_do():
    with Daemon("--trust-proxy", PROXY, "--tcp", "haproxy:tcp:0:id=told") as daemon:
        with dial(daemon.tcp[0], PROXY) as one:
            one.sendall(b"PING\n")
            assert received(one) == b""
        said = daemon.wait_for("told: cut the proxy")
        assert PROXY in said
        assert "send-proxy" in said


@pytest.mark.parametrize("header", [HEADERS["version 1"][0], HEADERS["version 2"][0]], ids=["1", "2"])
def test_a_header_of_a_stranger_is_bytes(daemon, seen, header):
    """On the listener of proxies as on any other: a message of raw, a bad command of lines, a bad hello of TLS."""
    with dial(daemon.tcp[2], STRANGER) as one:
        one.sendall(header + b"end\n")
        output = seen()
        while "end" not in output and b"end" not in b64decode(output.rpartition(" ")[2]):
            assert output.startswith(f"{STRANGER}/")
            output = seen()
        assert output.startswith(f"{STRANGER}/")
    for source, listener in ((STRANGER, 4), (STRANGER, 0), (PROXY, 0)):  # the last is no listener of proxies
        with dial(daemon.tcp[listener], source) as one, LineClient(one) as client:
            client.socket.sendall(header.replace(b"\0", b"0") + b"PING\n")
            while (said := client.line()) not in ("PONG", "BYE"):  # version 2 says QUIT
                assert said.startswith("ERR bad-")
    with dial(daemon.tcp[3], STRANGER) as one:
        one.sendall(header)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            over_tls(one)
    with dial(daemon.websocket[2], STRANGER) as one:
        one.sendall(header + upgrade("localhost"))
        answer = received(one)
        assert not answer or status(answer) == 400


FORWARDED = {
    "one": (PROXY, "192.0.2.9", "192.0.2.9/0"),
    "with a port": (PROXY, "192.0.2.9:80", "192.0.2.9/80"),
    "IPv6": (PROXY, "2001:db8::9", "2001:db8::9/0"),
    "IPv6 with a port": (PROXY, "[2001:db8::9]:80", "2001:db8::9/80"),
    "IPv4 in IPv6": (PROXY, "::ffff:192.0.2.9", "192.0.2.9/0"),
    "what the client said before": (PROXY, "127.0.0.1, 192.0.2.9", "192.0.2.9/0"),
    "a chain of proxies": (PROXY, "192.0.2.8, 192.0.2.9, 10.0.0.1,10.0.0.2", "192.0.2.9/0"),
    "a chain that breaks": (PROXY, "192.0.2.9, unknown, 10.0.0.1", "10.0.0.1/0"),
    "nonsense": (PROXY, "192.0.2.999", f"{PROXY}/"),
    "empty": (PROXY, "", f"{PROXY}/"),
    "many": (PROXY, "192.0.2.8," + "10.0.0.1," * 99 + "10.0.0.2", "10.0.0.1/0"),
    "of a stranger": (STRANGER, "192.0.2.9", f"{STRANGER}/"),
    "of a stranger who names a proxy": (STRANGER, f"192.0.2.9, {PROXY}", f"{STRANGER}/"),
}


def test_x_forwarded_for(daemon, seen):
    for what, (source, value, client) in FORWARDED.items():
        with dial(daemon.websocket[4], source) as one:
            one.sendall(upgrade("localhost", f"X-Forwarded-For: {value}"))
            assert status(one.recv(4096)) == 101
            one.sendall(frame(TEXT, b"hello"))
            assert seen().startswith(client), what


def test_forwarded_for_in_several_lines_and_behind_a_proxy_header(daemon, seen):
    """A load balancer speaks for a proxy in its own network, and that one for a client."""
    with dial(daemon.websocket[2], PROXY) as one:
        one.sendall(v2("10.0.0.9") + upgrade("localhost", "X-Forwarded-For: 192.0.2.8", "X-Forwarded-For: 192.0.2.9"))
        assert status(one.recv(4096)) == 101
        one.sendall(frame(TEXT, b"hello"))
        assert seen() == "192.0.2.9/0 hello"


def test_failed_logins_are_those_of_the_client_behind_the_proxies(tmp_path):
    """A proxy that speaks for another in a line of its own isn't mistaken for who is behind both."""
    (tmp_path / "passwords").write_text("")
    with Daemon(
        "--trust-proxy", f"{PROXY}/32", "--trust-proxy", "10.0.0.0/8", "--limit", "failed-logins=1",
        "--websocket", "tcp:0", "--auth", f"hubbub:{tmp_path}/passwords",
    ) as daemon:  # fmt: skip

        def log_in(*forwarded):
            lines = [f"X-Forwarded-For: {one}" for one in forwarded]
            with dial(daemon.websocket[0], PROXY) as one:
                one.sendall(upgrade("localhost", "Authorization: Basic YW5uOng=", *lines))
                return status(received(one))

        assert log_in("192.0.2.8", "10.0.0.9") == 401
        assert log_in("192.0.2.7, 10.0.0.9") == 401
        assert log_in("192.0.2.8, 10.0.0.9") == 429


def test_a_proxy_header_needs_a_trusted_network():
    with pytest.raises(AssertionError, match="name the proxy's network with --trust-proxy"):
        Daemon("--tcp", "haproxy:tcp:0").__enter__()


@pytest.mark.parametrize(("network", "seen"), [("127.0.0.0/8", "192.0.2.9/5 x"), ("10.0.0.0/8", "unix/0 ")])
def test_a_client_that_comes_over_a_unix_socket_counts_as_127_0_0_1(tmp_path, network, seen):
    path = tmp_path / "hub.sock"
    listeners = ("--tcp", f"haproxy:unix:{path}:{RAW}", "--tcp", "tcp:0")
    with Daemon("--trust-proxy", network, *listeners) as daemon, LineClient(daemon.tcp[0]) as client:
        assert client.ask("SUB seen/#") == "OK SUB seen/#"
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(str(path))
            one.sendall(HEADERS["version 1"][0].replace(b"56324", b"5") + b"x\n")
            assert client.line().replace("MSGB ", "MSG ").startswith(f"MSG seen/{seen}")
