"""A crowd of TLS clients: others are answered while it shakes hands, and while it gets long messages."""

from __future__ import annotations

import contextlib
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.canary import Canary
from hostile.test_turns import SOURCE, crowd, links
from running import Daemon, LineClient
from system.clients import MiB, drop

LARGE = 0.1  # seconds that others may wait beside a megabyte
SHARE = 0.02  # seconds that others may wait: one handshake takes under 1 ms
DRIPPED = 20  # bytes that come one by one


@pytest.fixture
def daemon(certificate: Path) -> Iterator[Daemon]:
    with Daemon("--tcp", "tcp:0", "--tcp", f"ssl:0:privateKey={certificate}:certKey={certificate}", *SOURCE) as one:
        yield one
        assert "Traceback" not in one.log


@contextlib.contextmanager
def tls_links(daemon: Daemon, count: int) -> Iterator[list[ssl.SSLSocket]]:
    """So many connections over TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with links(daemon, count, at=1) as many:
        yield [context.wrap_socket(one) for one in many]


@pytest.mark.parametrize("reads", [True, False])
def test_a_long_message_to_a_crowd(daemon, reads):
    """It is encrypted for each client as its socket takes it; they share what waits."""
    with tls_links(daemon, crowd(100, 300)) as many, LineClient(daemon.tcp[0]) as publisher:
        for one in many:
            one.sendall(b"SUB long\n")
            assert one.recv(100) == b"OK SUB long\n"
        before = daemon.memory()
        with Canary(daemon) as canary:
            for at in range(3):
                publisher.send(f"PUB long {at}" + "x" * 1_000_000)
                assert publisher.ask("PING") == "PONG"
                assert daemon.memory() - before < 32 * MiB
                for one in many if reads else ():
                    drop(one, len(f"MSG long {at}\n") + 1_000_000)
        canary.check(LARGE)


def hello(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What a client says first; of version 1.2 that is short."""
    context = ssl.create_default_context()
    context.maximum_version = version
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError


def test_hellos_that_come_byte_by_byte(daemon):
    """All that came before the last byte cost little."""
    data = hello()
    with links(daemon, crowd(500, 900), at=1) as many:
        for one in many:
            one.sendall(data[:-DRIPPED])
        with Canary(daemon) as canary:
            for at in range(DRIPPED):
                for one in many:
                    one.sendall(data[-DRIPPED:][at : at + 1])
            for one in many:
                assert one.recv(100)
        canary.check(SHARE)


def test_hellos_behind_a_header_in_two_pieces(certificate):
    """The first piece cost little."""
    tls = f"haproxy:ssl:0:privateKey={certificate}:certKey={certificate}"
    header, data = b"PROXY TCP4 192.0.2.9 192.0.2.1 5 6\r\n", hello(ssl.TLSVersion.TLSv1_2)
    with (
        Daemon("--trust-proxy", "127.0.0.1", "--tcp", "tcp:0", "--tcp", f"{tls}:anonymous=yes", *SOURCE) as daemon,
        links(daemon, crowd(500, 900), at=1) as many,
    ):
        for one in many:
            one.sendall(header[:-1])
        with Canary(daemon) as canary:
            daemon.process.send_signal(signal.SIGSTOP)  # so that all come at once
            for one in many:
                one.sendall(header[-1:] + data)
            daemon.process.send_signal(signal.SIGCONT)
            for one in many:
                assert one.recv(100)
        canary.check(SHARE)
        assert "Traceback" not in daemon.log
