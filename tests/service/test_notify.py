"""What systemd is told, over a real socket, with the clock in the test's hands."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from hubbub import limits
from hubbub.service.process.notify import Notifier


class Systemd:
    """The other end: a datagram socket, of a path or in the abstract namespace."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self.socket.setblocking(False)

    def reported(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    address = str(tmp_path / "notify") if request.param == "path" else f"@hubbub-test-{os.getpid()}"
    made = Systemd(address)
    made.address = address
    yield made
    made.socket.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(systemd, clock):
    made = []

    def notifier(links=lambda: 0, **environment):
        made.append(Notifier(clock, links, {"NOTIFY_SOCKET": systemd.address, **environment}))
        return made[-1]

    yield notifier
    for one in made:
        one.stop()


def test_a_life(make, systemd):
    notifier = make()
    assert systemd.reported() == []
    notifier.ready()
    assert systemd.reported() == ["READY=1\nSTATUS=serving, links: 0"]
    notifier.reloading()
    state, time = systemd.reported()[0].split("\n")
    assert state == "RELOADING=1"
    assert time.startswith("MONOTONIC_USEC=")
    assert int(time.partition("=")[2]) > 0
    notifier.ready()
    assert systemd.reported() == ["READY=1\nSTATUS=serving, links: 0"]
    notifier.stopping()
    assert systemd.reported() == ["STOPPING=1\nSTATUS=draining, links: 0"]


def test_the_status_is_reported_when_it_changes_and_not_each_time(make, systemd, clock):
    links = 0
    notifier = make(lambda: links)
    notifier.ready()
    systemd.reported()
    for _ in range(10):
        clock.advance(limits.STATUS_SECONDS)
    assert systemd.reported() == []
    for _ in range(64):
        links += 1
        clock.advance(limits.STATUS_SECONDS / 64)
    assert systemd.reported() == ["STATUS=serving, links: 64"]


def test_the_watchdog_is_fed_twice_as_often_as_it_bites(make, systemd, clock):
    make(WATCHDOG_USEC="10000000", WATCHDOG_PID=str(os.getpid())).ready()
    systemd.reported()
    for _ in range(8):
        clock.advance(2.5)
    assert systemd.reported() == ["WATCHDOG=1"] * 4


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "0"}],
    ids=["none", "of another process", "nonsense", "off"],
)
def test_no_watchdog(make, systemd, clock, environment):
    make(**environment).ready()
    for _ in range(10):
        clock.advance(2)
    assert "WATCHDOG=1" not in systemd.reported()


@contextlib.contextmanager
def full(address: str) -> Iterator[None]:
    """Others have sent so much that no datagram more fits; each of them may have less in flight than that."""
    with contextlib.ExitStack() as stack:
        sent = 1
        while sent:
            sent = 0
            other = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
            other.connect("\0" + address[1:] if address[0] == "@" else address)
            with contextlib.suppress(BlockingIOError):
                while other.send(b"somebody else's"):
                    sent += 1
        yield


def test_what_finds_no_room_is_reported_later_in_order_and_the_rest_left_out(make, systemd, clock):
    notifier = make(WATCHDOG_USEC="1000000")
    with full(systemd.address):
        notifier.ready()
        notifier.reloading()
        notifier.ready()
        for _ in range(20):
            clock.advance(0.5)
        notifier.stopping()
    assert set(systemd.reported()) == {"somebody else's"}
    clock.advance(limits.NOTIFY_SECONDS)
    assert [reported.split("\n")[0] for reported in systemd.reported()] == [
        "READY=1",
        "RELOADING=1",
        "READY=1",
        "STOPPING=1",
    ]


def test_what_waits_is_bounded(make, systemd, clock):
    notifier = make()
    with full(systemd.address):
        for _ in range(100):
            notifier.reloading()
            notifier.ready()
    systemd.reported()
    for _ in range(10):
        clock.advance(limits.NOTIFY_SECONDS)
    reported = systemd.reported()
    assert len(reported) == limits.NOTIFICATIONS
    assert reported[-1].startswith("READY=1")


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_without_systemd_nothing_happens(clock, environment):
    notifier = Notifier(clock, lambda: 0, {**environment, "WATCHDOG_USEC": "1000000"})
    notifier.ready()
    notifier.reloading()
    notifier.stopping()
    notifier.stop()
    assert clock.getDelayedCalls() == []


def test_a_socket_that_goes_away_is_nothing_to_die_of(make, systemd, clock):
    notifier = make(WATCHDOG_USEC="1000000")
    notifier.ready()
    systemd.socket.close()
    clock.advance(1)
    notifier.stopping()
