"""Syslog: rsyslog, syslog-ng, busybox, Python's SysLogHandler, winston-syslog, pino-syslog, in each of their ways."""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess
from collections.abc import Iterator
from logging.handlers import SysLogHandler

import pytest

from interop.senders.hub import Hub, send_from_node, sending_from_node
from interop.senders.syslogd import busybox, log, rsyslog, syslog_ng

LONG = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJ"  # rsyslog cuts a TAG at 32 characters


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub("syslog") as one:
        yield one


@pytest.fixture(scope="module")
def hub_with_gap() -> Iterator[Hub]:
    with Hub("syslog", ":gap=50ms") as one:
        yield one


def output(hub: Hub, count: int) -> list[tuple[str, str]]:
    """The app and the text of the next messages, all of which have a host, and a time."""
    found = []
    for _ in range(count):
        topic, text, properties = hub.output()
        assert re.fullmatch(r"syslog/[^/]+/[^/]+/crit", topic)
        assert properties["facility"] == "local3"
        assert properties["timestamp"]
        found.append((properties["app"], text))
    return found


RSYSLOG = {
    "UDP": ("udp", ""),
    "UDP, RFC 3339's time": ("udp", 'template="RSYSLOG_ForwardFormat"'),
    "UDP, RFC 5424": ("udp", 'template="RSYSLOG_SyslogProtocol23Format"'),
    "TCP, LF": ("tcp", ""),
    "TCP, NUL": ("tcp", 'TCP_FrameDelimiter="0"'),
    "TCP, counted": ("tcp", 'TCP_Framing="octet-counted"'),
    "TCP, RFC 5424": ("tcp", 'template="RSYSLOG_SyslogProtocol23Format"'),
    "TCP, RFC 5424, counted": ("tcp", 'TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format"'),
}


@pytest.mark.parametrize(("transport", "more"), RSYSLOG.values(), ids=RSYSLOG)
def test_rsyslog(hub, tmp_path, need, transport, more) -> None:
    name = LONG if "23Format" in more else LONG[:32]
    action = f'port="{hub.listeners[transport][1]}" protocol="{transport}" {more}'
    with rsyslog(tmp_path, action) as programs:
        for tag, text in (("till", "out of paper"), (LONG, "no: colon"), ("tab", "a\tb")):
            log(programs, "-p", "local3.crit", "-t", tag, text, logger=need("logger"))
        assert output(hub, 3) == [("till", "out of paper"), (name, "no: colon"), ("tab", "a#011b")]


SYSLOG_NG = {
    "UDP": ("udp", "network"),
    "UDP, RFC 5424, counted": ("udp", "syslog"),
    "TCP, LF": ("tcp", "network"),
    "TCP, RFC 5424, counted": ("tcp", "syslog"),
}


@pytest.mark.parametrize(("transport", "driver"), SYSLOG_NG.values(), ids=SYSLOG_NG)
def test_syslog_ng(hub, tmp_path, need, transport, driver) -> None:
    destination = f'{driver}("127.0.0.1" port({hub.listeners[transport][1]}) transport({transport}))'
    with syslog_ng(tmp_path, destination) as programs:
        for tag, text in (("till", "out of paper"), (LONG, "no: colon"), ("tab", "a\tb")):
            log(programs, "-p", "local3.crit", "-t", tag, text, logger=need("logger"))
        assert output(hub, 3) == [("till", "out of paper"), (LONG, "no: colon"), ("tab", "a\tb")]


def test_busybox(hub, tmp_path) -> None:
    with busybox(tmp_path, *hub.udp) as program:
        for text in ("out of paper", "", "a: b\nc"):
            command = [program, "logger", "-p", "local3.crit", "-t", "till", text]
            subprocess.run(command, check=True, timeout=20, cwd=tmp_path)
        assert output(hub, 3) == [("till", "out of paper"), ("till", ""), ("till", "a: b\nc")]


def test_a_datagram_of_a_program_is_passed_on_as_it_is(hub, tmp_path) -> None:
    """A daemon passes on what a program has written, without a time too, and what ends it."""
    with busybox(tmp_path, *hub.udp), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program:
        program.sendto(b"<154>till[7]: no time\n\0", str(tmp_path / "devlog"))
        topic, text, properties = hub.output()
    assert (topic, text, properties["procid"]) == ("syslog/127.0.0.1/till/crit", "no time", "7")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_python_s_handler(hub, transport) -> None:
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    handler = SysLogHandler(hub.listeners[transport], "local3", kind)
    handler.ident = "shop: "
    logger = logging.getLogger(f"hubbub.test.{transport}")
    logger.addHandler(handler)
    try:
        logger.critical("café closed")
        assert hub.next() == ("syslog/127.0.0.1/shop/crit", "café closed")  # at once, with the link open
        logger.error("two\n<0>lines")
        logger.critical("last")
        assert hub.next() == ("syslog/127.0.0.1/shop/err", "two\n<0>lines")
        assert hub.next() == ("syslog/127.0.0.1/shop/crit", "last")
    finally:
        logger.removeHandler(handler)
        handler.close()


WINSTON = [
    ("syslog/web/shop/info", '{"level":"info","message":"w1"}'),
    ("syslog/web/shop/err", '{"level":"error","message":"w2"}'),
]


@pytest.mark.parametrize("style", ["BSD", "5424"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_winston(hub_with_gap, need, transport, style) -> None:
    """Over TCP it puts nothing between its messages, and stays."""
    with sending_from_node(need("node"), "winston-syslog", hub_with_gap, transport, style):
        assert [hub_with_gap.next(), hub_with_gap.next()] == WINSTON


def test_winston_with_an_end(hub, need) -> None:
    with sending_from_node(need("node"), "winston-syslog", hub, "tcp", "BSD", "\n"):
        assert [hub.next(), hub.next()] == WINSTON


def test_without_gap_it_takes_longer_and_one_line_of_the_log_says_why(need) -> None:
    with Hub("syslog") as hub:
        for _ in range(2):
            with sending_from_node(need("node"), "winston-syslog", hub, "tcp", "BSD"):
                assert [hub.next(), hub.next()] == WINSTON
        [line] = [line for line in hub.log.splitlines() if "gap=100ms on this listener" in line]
        assert '"level": "warn"' in line


def test_pino(hub, need) -> None:
    """The end of input ends the last message."""
    send_from_node(need("node"), "pino-syslog", hub, "tcp")
    found = [hub.next(), hub.next()]
    assert [(topic, json.loads(text)["msg"]) for topic, text in found] == [
        ("syslog/web/-/info", "p1"), ("syslog/web/-/err", "p2"),
    ]  # fmt: skip
