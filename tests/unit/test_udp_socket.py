"""UDP over real loopback sockets: how they are opened, read in turns, and handed over."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet import endpoints
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.python.systemd import ListenFDs

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.dialects.lines import Lines
from hubbub.errors import ConfigError
from hubbub.kernel.connection.datagram_link import DatagramLink
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.transports.udp import UDPProtocol
from hubbub.transports.udp_socket import listen_datagram
from waiting import wait_until


def spec(host: str = "127.0.0.1", port: int = 0, kind: str = "udp", **more: Any) -> Any:
    values = more.pop("values", {})
    address = SimpleNamespace(kind=kind, host=host, port=port, values=values)
    return SimpleNamespace(address=address, **{"id": "udp", "rcvbuf": 1 << 20, "reuse": False, "group": None, **more})


def hubbub(answers: bool = True) -> UDPProtocol:
    from twisted.internet import reactor

    hub = Hub(lambda: reactor.callLater(0, hub.turn.flush), time.time, time.monotonic, lambda when: None)
    context = ListenerContext("udp", DialectContext("udp"))
    return UDPProtocol(
        lambda wire, dialect, host, port: DatagramLink(hub, context, wire, dialect, host, port),
        lambda data: Lines,
        time.monotonic,
        (),
        b"secret",
        answers,
    )


class Counter(DatagramProtocol):
    """Keeps what comes, and fires `done` after `wanted` datagrams."""

    noisy = False

    def datagrams_received(self, datagrams: list[bytes], addr: Any) -> None:
        self.runs.append(len(datagrams))
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            pass
        for datagram in datagrams:
            self.datagramReceived(datagram, addr)

    def __init__(self, wanted: int = 1) -> None:
        self.got: list[bytes] = []
        self.runs: list[int] = []  # how many came at once
        self.seconds = 0.0  # that they take
        self.wanted = wanted
        self.done: Deferred[list[bytes]] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.got.append(datagram)
        if len(self.got) == self.wanted:
            self.done.callback(self.got)


@pytest.fixture
def opened():
    from twisted.internet import reactor

    ports = []

    def listen(what: Any, protocol: DatagramProtocol) -> Any:
        ports.append(listen_datagram(reactor, what, protocol))
        return ports[-1]

    yield listen
    for port in ports:
        port.stopListening()


async def ask(opened: Any, to: Any, *said: bytes, host: str = "127.0.0.1", wanted: int = 1) -> list[bytes]:
    client = Counter(wanted)
    port = opened(spec(host), client)
    for data in said:
        port.write(data, to)
    return await client.done


async def test_a_client_on_ipv4(opened):
    port = opened(spec(), hubbub())
    address = ("127.0.0.1", port.getHost().port)
    assert await ask(opened, address, b"SUB a/#\nPUB a/b hello", wanted=2) == [b"OK SUB a/#", b"MSG a/b hello"]


async def test_a_client_on_ipv6(opened, ipv6):
    port = opened(spec("::1"), hubbub())
    assert await ask(opened, ("::1", port.getHost().port), b"PING", host="::1") == [b"PONG 0"]


async def test_every_address_takes_both(opened, ipv6):
    port = opened(spec("::"), hubbub()).getHost().port
    assert await ask(opened, ("::1", port), b"SUB a/#", host="::1") == [b"OK SUB a/#"]
    assert await ask(opened, ("127.0.0.1", port), b"SUB a/#") == [b"OK SUB a/#"]
    # ::1 alone is IPv6 alone, so that the same port of IPv4 is free for somebody else
    other = opened(spec("::1"), hubbub()).getHost().port
    opened(spec("127.0.0.1", other), hubbub())


async def test_the_longest_datagram_both_ways(opened):
    port = opened(spec(), hubbub())
    payload = b"x" * (limits.DATAGRAM_BYTES - len("PUB a/b "))
    said = (b"SUB a/b", b"PUB a/b " + payload, b"", b"PING")
    got = await ask(opened, ("127.0.0.1", port.getHost().port), *said, wanted=3)
    assert got == [b"OK SUB a/b", b"MSG a/b " + payload, b"PONG 1"]


async def test_one_that_is_too_long_is_reported_as_a_gap(opened):
    port = opened(spec(), hubbub())
    said = (b"SUB a/#", b"PUB a/b " + b"\x01" * 60_000, b"PUB a/b short")  # base64 makes that 80,000 bytes
    got = await ask(opened, ("127.0.0.1", port.getHost().port), *said, wanted=3)
    assert sorted(got) == [b"GAP 1", b"MSG a/b short", b"OK SUB a/#"]


@pytest.mark.parametrize("data", [b"", b"x"])
def test_one_wake_up_reads_a_bounded_number(opened, data):
    counter = Counter(-1)
    port = opened(spec(rcvbuf=4 << 20), counter)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port.getHost().port))
        sent = 0
        for _ in range(limits.DATAGRAMS_PER_TURN + 50):
            sent += client.send(data) == len(data)
    port.doRead()
    assert len(counter.got) <= limits.DATAGRAMS_PER_TURN
    port.doRead()
    port.doRead()
    assert len(counter.got) <= sent
    assert len(counter.got) > 64


def test_so_many_bytes_of_one_sender_are_received_at_once(opened):
    counter = Counter(-1)
    port = opened(spec(), counter)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(9):
            client.sendto(b"x" * (limits.DATAGRAM_BYTES_AT_ONCE // 3), ("127.0.0.1", port.getHost().port))
    wait_until(lambda: port.doRead() or len(counter.got) == 9)
    assert max(counter.runs) <= 4


def test_one_wake_up_has_its_time(opened):
    counter = Counter(-1)
    port = opened(spec(), counter)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(6)]
        for client in clients:
            client.sendto(b"x", ("127.0.0.1", port.getHost().port))
        counter.seconds = limits.TURN_SECONDS
        for more in range(3):
            port.doRead()
            assert len(counter.got) == 2 * (more + 1), "what has been read is passed on, too"


def test_a_taken_port_is_named(opened):
    port = opened(spec(), hubbub()).getHost().port
    with pytest.raises(ConfigError, match=rf"can't listen on 127\.0\.0\.1:{port}: Address already in use"):
        opened(spec(port=port), hubbub())
    with pytest.raises(ConfigError, match=r"can't listen on \[2001:db8::1\]:0: "):
        opened(spec("2001:db8::1"), hubbub())


def test_reuse_shares_a_port(opened):
    port = opened(spec(reuse=True), hubbub()).getHost().port
    assert opened(spec(port=port, reuse=True), hubbub()).getHost().port == port


def test_the_receive_buffer(opened):
    port = opened(spec(rcvbuf=65_536), hubbub())
    assert port.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * 65_536  # socket(7): it is doubled
    opened(spec(rcvbuf=1 << 40), hubbub())


async def test_a_group_is_received(opened):
    counter = Counter()
    group = "239.255.77.1"
    port = opened(spec(group=ip_address(group)), counter).getHost()
    assert port.host == group
    opened(spec(port=port.port, group=ip_address(group)), Counter())  # groups are shared
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        client.sendto(b"to the others", ("127.0.0.1", port.port))
        client.sendto(b"to all", (group, port.port))
    assert await counter.done == [b"to all"]


def link_local() -> list[str]:
    """This machine's link-local addresses, which have routes for groups; the loopback has none."""
    interfaces = Path("/proc/net/if_inet6")  # isn't there where the kernel has no IPv6
    rows = [line.split() for line in interfaces.read_text().splitlines()] if interfaces.exists() else []
    return [f"{ip_address(bytes.fromhex(row[0]))}%{row[5]}" for row in rows if row[3] == "20"]


async def test_an_ipv6_group_is_received_on_its_interface(opened):
    for interface in link_local():
        counter = Counter()
        port = opened(spec(interface, group=ip_address("ff11::77")), counter).getHost()
        number = socket.if_nametoindex(interface.partition("%")[2])
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, number)
            client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 0)  # it stays on this machine
            client.sendto(b"to all", ("ff11::77", port.port, 0, number))
        assert await counter.done == [b"to all"]


async def test_a_group_is_never_answered(opened):
    protocol = hubbub(answers=False)
    port = opened(spec(group=ip_address("239.255.77.2")), protocol).getHost()
    output = Counter()
    opened(spec(port=port.port, group=ip_address("239.255.77.2")), output)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        client.sendto(b"PING\nSUB #\nHELP", ("239.255.77.2", port.port))
        await output.done
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(100)


async def test_a_broadcast_is_received_and_answered(opened):
    for host in ("0.0.0.0", "127.255.255.255"):
        port = opened(spec(host), hubbub()).getHost().port
        client = Counter()
        own = opened(spec(), client)
        own.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        own.write(b"PING", ("127.255.255.255", port))
        assert await client.done == [b"PONG 0"]


def test_the_kernels_drops_are_counted(opened):
    port = opened(spec(rcvbuf=4096), Counter(-1))
    assert port.kernel_drops() == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(100):
            client.sendto(b"x" * 1000, ("127.0.0.1", port.getHost().port))
    port.doRead()
    assert port.kernel_drops() + len(port.protocol.got) == 100
    assert port.kernel_drops() > 50
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    inode = str(os.fstat(port.fileno()).st_ino)
    assert [int(row[12]) for row in rows if row[9] == inode] == [port.kernel_drops()]
    port.stopListening()


def test_an_ipv6_group_is_joined(opened, ipv6):
    port = opened(spec("::1", group=ip_address("ff11::77")), Counter())  # the loopback has no route for it
    assert port.getHost().host == "ff11::77"
    joined = [line.split()[1:3] for line in Path("/proc/net/igmp6").read_text().splitlines()]
    assert ["lo", "ff110000000000000000000000000077"] in joined


def test_a_group_needs_an_interface_of_its_version(opened):
    with pytest.raises(ConfigError, match="a group of IPv6 needs interface= of IPv6, not 127"):
        opened(spec(group=ip_address("ff11::77")), hubbub())


# Sockets of systemd


@pytest.fixture
def inherited(monkeypatch):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.bind(("127.0.0.1", 0))
    given = ListenFDs([made.fileno(), stream.fileno()], ("gps", "web"))
    monkeypatch.setattr(endpoints._SystemdParser, "_sddaemon", given)
    yield made.getsockname()
    made.close()
    stream.close()


@pytest.mark.parametrize("values", [{"index": "0"}, {"name": "gps"}])
async def test_a_socket_of_systemd(opened, inherited, values):
    opened(spec(None, None, "systemd", values={"domain": "INET", **values}), hubbub())
    assert await ask(opened, inherited, b"PING") == [b"PONG 0"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"domain": "INET", "index": "2"}, "handed over no socket with index=2"),
        ({"domain": "INET", "name": "x"}, "handed over no socket with name=x"),
        ({"domain": "INET", "name": "web"}, "with name=web isn't for UDP, domain=INET"),
        ({"domain": "INET6", "name": "gps"}, "with name=gps isn't for UDP, domain=INET6"),
        ({"domain": "UNIX", "name": "gps"}, "with name=gps isn't for UDP, domain=UNIX"),
    ],
)
def test_a_socket_that_systemd_has_not(opened, inherited, values, says):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(ConfigError, match=says):
        opened(spec(None, None, "systemd", values=values), hubbub())
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


ASYNCIO = """
import socket, sys
from twisted.internet import asyncioreactor
asyncioreactor.install()
from twisted.internet import reactor
from unit.test_udp_socket import hubbub, listen_datagram, spec

port = listen_datagram(reactor, spec(), hubbub())
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(("127.0.0.1", port.getHost().port))
client.settimeout(20)
client.send(b"PING")
reactor.callInThread(lambda: (print(client.recv(100)), reactor.callFromThread(reactor.stop)))
reactor.run()
"""


def test_on_asyncio():
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", ASYNCIO], env=env, capture_output=True, text=True, timeout=30)
    assert done.stdout == "b'PONG 0'\n", done.stderr
