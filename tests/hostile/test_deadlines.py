"""Whoever begins something and doesn't end it is cut in time. All of them wait together."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from hostile.oracle import LISTENERS, Probe, unharmed
from running import Address, Daemon
from system.clients import upgrade

DEADLINE = 10  # seconds, limits.HANDSHAKE_SECONDS
LATE = 2  # seconds that a busy machine may add
DRIPPERS = 300  # clients that send a byte a second

SILENT = ("PROXY: then silence", "silence on TCP", "silence after a byte", "silence after TLS")
WEB = upgrade("127.0.0.1")
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


class Slow:
    """A client that sends `head` at once, over TLS if it shall, and from then on a byte of `drip` each second."""

    def __init__(
        self, address: Address, head: bytes = b"", drip: bytes = b"", tls: bool = False, source: str = "127.0.0.1"
    ) -> None:
        self.socket = socket.create_connection(address, 20, (source, 0))
        if tls:
            context = ssl._create_unverified_context()
            self.socket = context.wrap_socket(self.socket)
        self.socket.sendall(head)
        self.socket.setblocking(False)
        self.drip = drip
        self.opened = time.monotonic()
        self.cut: float | None = None

    def send(self) -> None:
        if self.drip and self.cut is None:
            with contextlib.suppress(OSError):
                self.socket.send(self.drip[:1])
            self.drip = self.drip[1:]


def wait_until_cut(clients: list[Slow], seconds: float) -> None:
    """Feed them all, and note when each was cut."""
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        drip = time.monotonic()
        while selector.get_map() and time.monotonic() < until:
            for key, _ in selector.select(max(0.0, drip - time.monotonic())):
                if not read(key.data.socket):
                    key.data.cut = time.monotonic() - key.data.opened
                    selector.unregister(key.fileobj)
            if time.monotonic() >= drip:
                drip += 1
                for client in clients:
                    client.send()


def read(client: socket.socket) -> bytes:
    """What there is, empty at the end."""
    try:
        return client.recv(65536)
    except ssl.SSLWantReadError:
        return b"a ticket of TLS"
    except ConnectionError:
        return b""


@pytest.fixture(scope="module")
def daemon(certificate):
    tls = f"ssl:0:privateKey={certificate}:certKey={certificate}"
    proxied = ("--trust-proxy", "127.0.0.2/32", "--tcp", "haproxy:tcp:0:id=proxied", "--tcp", f"haproxy:{tls}:id=ptls")
    with Daemon(*LISTENERS, "--tcp", f"{tls}:id=tls", "--websocket", f"{tls}:id=wss", *proxied) as one:
        yield one


@pytest.fixture(scope="module")
def times(daemon) -> Iterator[dict[str, list[float | None]]]:
    """When each kind of client was cut."""
    with contextlib.closing(Probe(daemon)) as probe:
        probe.check()
        with unharmed(daemon, probe):
            web, tls, wss, auto = daemon.websocket[0], daemon.tcp[2], daemon.websocket[2], daemon.tcp[0]
            kinds = {
                "nothing": [Slow(web)],
                "half a handshake": [Slow(web, WEB[:60])],
                "half a handshake, a byte a second": [Slow(web, b"", WEB) for _ in range(DRIPPERS)],
                "a body that doesn't come": [Slow(web, POST % 9, b"x")],
                "a body without end": [Slow(web, POST % 99, b"x" * 99)],
                "TLS: nothing": [Slow(tls), Slow(wss)],
                "TLS: a byte a second": [Slow(tls, b"\x16\x03\x01\x02\x00\x01", bytes(99))],
                "TLS: plaintext": [Slow(tls, b"SUB a/#\nPING\n"), Slow(wss, WEB)],
                "too long": [Slow(auto, b"x" * 2_000_000, b"x" * 99)],
                "PROXY: nothing": [Slow(one, source="127.0.0.2") for one in daemon.tcp[3:5]],
                "PROXY: half a header": [Slow(daemon.tcp[3], b"PROXY TCP4 192.", source="127.0.0.2")],
                "PROXY: a byte a second": [Slow(daemon.tcp[3], b"", b"PROXY UNKNOWN " * 9, source="127.0.0.2")],
                "PROXY: then no TLS": [Slow(daemon.tcp[4], b"PROXY UNKNOWN\r\n", source="127.0.0.2")],
                "PROXY: then silence": [Slow(daemon.tcp[3], b"PROXY UNKNOWN\r\n", source="127.0.0.2")],
                "silence on TCP": [Slow(auto)],
                "silence after a byte": [Slow(auto, b" ")],
                "silence after TLS": [Slow(tls, tls=True)],
            }
            clients = [client for group in kinds.values() for client in group]
            wait_until_cut(clients, DEADLINE + LATE)
            for client in (client for kind in SILENT for client in kinds[kind] if client.cut is None):
                client.socket.settimeout(30)
                client.socket.sendall(b"PING\n")
                assert client.socket.recv(100).endswith(b"\n")
            for client in clients:
                client.socket.close()
        yield {kind: [client.cut for client in group] for kind, group in kinds.items()}


@pytest.mark.parametrize(
    "kind", [
        "nothing", "half a handshake", "half a handshake, a byte a second", "a body that doesn't come",
        "a body without end", "TLS: nothing", "TLS: a byte a second",
        "PROXY: nothing", "PROXY: half a header", "PROXY: a byte a second", "PROXY: then no TLS",
    ],
)  # fmt: skip
def test_a_client_that_doesn_t_end_what_it_begins_is_cut(times, kind):
    for seconds in times[kind]:
        assert seconds is not None
        assert DEADLINE - 1 < seconds < DEADLINE + LATE


@pytest.mark.parametrize("kind", ["TLS: plaintext", "too long"])
def test_nonsense_is_cut_at_once(times, kind):
    for seconds in times[kind]:
        assert seconds is not None
        assert seconds < 5


@pytest.mark.parametrize("kind", SILENT)
def test_silence_is_fine_where_nothing_has_begun(times, kind):
    assert times[kind] == [None] * len(times[kind])
