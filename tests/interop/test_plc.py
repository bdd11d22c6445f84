"""A PLC that sends lines, cut anywhere, keeps the last value for who comes later, and takes commands meant for it."""

from __future__ import annotations

import socket

import pytest

from interop.clients import Tcp
from running import Daemon

SENT = b"T=21.5\r\nP=1.02\r\n"


@pytest.fixture(scope="module")
def daemon():
    with Daemon(
        "--tcp", "tcp:0",
        "--tcp", "tcp:0:id=plc7:dialect=raw:end=crlf:topic=plant/7:retain=yes",
        "--tcp", "tcp:0:id=press:dialect=raw:end=crlf:topic=plant/{id}/up:subscribe=plant/{id}/down",
        "--tcp", "tcp:0:id=oven:dialect=raw:end=crlf:topic=plant/{id}/up:subscribe=plant/{id}/down",
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def console(daemon):
    with Tcp(daemon.tcp[0]) as client:
        yield client


def dial(address):
    return socket.create_connection(address, timeout=30)


def let_read(console):
    """Give the daemon the turns to accept a connection and to read from it: one for each answer."""
    for _ in range(2):
        assert console.ask("PING") == "PONG"


def test_cut_at_every_position(daemon, console):
    console.send("SUB plant/7")
    with Tcp(daemon.tcp[0]) as other:
        for cut in range(len(SENT) + 1):
            with dial(daemon.tcp[1]) as plc:
                plc.sendall(SENT[:cut])
                let_read(other)
                plc.sendall(SENT[cut:])
                let_read(other)
        with dial(daemon.tcp[1]) as plc:
            for at in range(len(SENT)):
                plc.sendall(SENT[at : at + 1])
                let_read(other)
    assert console.line() == "OK SUB plant/7"
    for _ in range(len(SENT) + 2):
        console.expect("MSG plant/7 T=21.5")
        console.expect("MSG plant/7 P=1.02")


def test_a_last_line_without_its_mark_counts(daemon, console):
    assert console.ask("SUB plant/7").startswith("OK ")
    with dial(daemon.tcp[1]) as plc:
        plc.sendall(b"T=22.0\r\nP=1.0")
        plc.shutdown(socket.SHUT_WR)
        assert plc.recv(1) == b""
    for wanted in iter(console.line, "MSG plant/7 P=1.0"):
        assert wanted.startswith("MSG plant/7 ")  # the retained value may come first


def test_a_client_that_comes_later_gets_the_last_value(daemon, console):
    assert console.ask("SUB plant/7").startswith("OK ")
    with dial(daemon.tcp[1]) as plc:
        plc.sendall(b"T=23.5\r\nP=1.05\r\n")
        for wanted in iter(console.line, "MSG plant/7 P=1.05"):
            assert wanted.startswith("MSG plant/7 ")  # the retained value of an earlier test may come first
    with Tcp(daemon.tcp[0]) as later:
        later.send("SUB plant/#", "PING")
        later.expect("OK SUB plant/#")
        later.expect("MSG plant/7 P=1.05")
        later.expect("PONG")


def test_a_command_reaches_its_device_alone(daemon, console):
    with dial(daemon.tcp[2]) as press, dial(daemon.tcp[3]) as oven:
        console.send("SUB plant/+/up")
        console.expect("OK SUB plant/+/up")
        press.sendall(b"HELLO\r\n")
        console.expect("MSG plant/press/up HELLO")
        oven.sendall(b"HELLO\r\n")
        console.expect("MSG plant/oven/up HELLO")
        console.send("PUB plant/press/down STOP", "PUB plant/oven/down 200 °C", "PUB plant/press/down START")
        assert read(press, 13) == b"STOP\r\nSTART\r\n"
        assert read(oven, 9) == "200 °C\r\n".encode()


def test_a_command_that_would_be_two_is_not_sent(daemon, console):
    console.send("SUB plant/+/up")
    console.expect("OK SUB plant/+/up")
    with dial(daemon.tcp[2]) as press:
        press.sendall(b"HELLO\r\n")
        console.expect("MSG plant/press/up HELLO")
        console.send("PUBB plant/press/down U1RPUA0KU1RBUlQ=", "PUB plant/press/down STOP")  # STOP, CRLF, START
        assert read(press, 6) == b"STOP\r\n"


def read(device, size):
    found = b""
    while len(found) < size:
        piece = device.recv(size - len(found))
        assert piece, f"the link ended after {found!r}"
        found += piece
    return found
