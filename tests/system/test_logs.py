"""The log of a daemon: whoever reads it gets it in the shape that is good for them."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys

import pytest

from running import RUN, TWISTD, Daemon, LineClient
from service.test_logs import parse
from system.clients import WebSocketClient

JOURNAL = """
import os, sys
import hubbub.service.logs.journal as journal
from hubbub.service.cli import main

journal.SOCKET = sys.argv[1]
found = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
sys.exit(main(sys.argv[2:]))
"""


def test_machines_get_json():
    with Daemon("--tcp", "tcp:0") as daemon:
        pass
    rows = [json.loads(line) for line in daemon.log.splitlines()]
    assert all({"ts", "level", "ns", "msg"} <= row.keys() for row in rows)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", row["ts"]) for row in rows)
    assert sum(row["msg"].startswith("ready: tcp 127.0.0.1:") for row in rows) == 1


@pytest.mark.parametrize("factory", ["json_lines", "human_lines", "journal_fields", "by_destination"])
def test_twistd_can_write_them(factory):
    command = (*TWISTD[:-1], f"--logger=hubbub.service.logs.observers.{factory}", "hubbub")
    with Daemon("--tcp", "tcp:0", command=command) as daemon:
        ready = daemon.wait_for("ready: ")
    assert ready.startswith("{") == (factory != "human_lines")


def test_people_get_lines():
    """On a terminal: time, level, what; nothing of Twisted's, and the URL to open."""
    ours, theirs = pty.openpty()
    command = [*RUN, "--tcp", "tcp:0", "--websocket", "tcp:0:interface=0.0.0.0:anonymous=yes"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    lines = []
    with os.fdopen(ours, "rb") as terminal:
        for line in terminal:
            lines.append(line)
            assert re.match(rb"(\x1b\[33m)?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (info|warn) +\S", line), line
            if b"in a browser: " in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not re.search(rb"twistd|reactor|starting on", b"".join(lines))
    assert re.search(rb"in a browser: http://localhost:\d+/\r\n$", lines[-1])


def test_a_listener_that_can_not_open_is_reported_once_on_a_terminal():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ours, theirs = pty.openpty()
        command = [*RUN, "--tcp", f"tcp:{holder.getsockname()[1]}"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
        os.close(theirs)
        with os.fdopen(ours, "rb") as terminal, contextlib.suppress(OSError):  # EIO: the other end has gone
            shown = terminal.readline()
            assert re.fullmatch(rb"hubbub: --tcp tcp:\d+: can't listen: Address already in use\r\n", shown)
            assert terminal.read() == b""
        assert process.wait(20) == 1


def test_the_journal_gets_fields(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "journal"))
        journald.settimeout(20)
        command = [sys.executable, "-c", JOURNAL, str(tmp_path / "journal"), "run", "--tcp", "tcp:0"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while True:
            fields = parse(journald.recv(1 << 20))
            if fields["MESSAGE"].startswith("ready: "):
                break
        assert fields["PRIORITY"] == "6"
        assert fields["SYSLOG_IDENTIFIER"] == "hubbub"
        assert fields["HUBBUB_NS"].startswith("hubbub")
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == (b"", b""), "nothing is told twice"
        assert process.returncode == 0


def test_no_secret_gets_into_it(tmp_path):
    """Whatever clients send to log in, and whatever goes wrong then."""
    config = tmp_path / "hubbub.toml"
    config.write_text('[[tcp]]\nendpoint = "tcp:0"\n[[websocket]]\nendpoint = "tcp:0"\n')
    with Daemon("--config", str(config)) as daemon:
        with LineClient(daemon.tcp[0]) as client:
            client.send("AUTH somebody hunter2", "AUTH TOKEN hunter2", "PUB hunter2/# hunter2", "hunter2")
            client.send('PING {"op":"auth","user":"u","password":"hunter2"}')
            assert client.ask("PING").startswith("ERR ")
        with LineClient(daemon.tcp[0]) as client:
            assert "error" in client.ask('{"op":"auth","user":"somebody","password":"hunter2"}')
            assert "error" in client.ask('{"op":"auth","token":"hunter2"}')
        with WebSocketClient(daemon.websocket[0]) as client:
            assert client.ask("AUTH somebody hunter2").startswith("ERR ")
        with socket.create_connection(daemon.websocket[0]) as web:
            web.sendall(b"GET /?token=hunter2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hunter2\r\n\r\n")
            web.settimeout(30)
            assert web.recv(1000)
    assert "hunter2" not in daemon.log


def test_strangers_can_not_fill_the_disk():
    """What anybody can cause, again and again."""
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0", "--udp", "udp:0") as daemon:
        quiet = len(daemon.lines)
        for _ in range(200):
            with socket.create_connection(daemon.websocket[0]) as web:
                web.sendall(b"nonsense\r\n\r\n")
            with LineClient(daemon.tcp[0]) as client:
                client.send("GET / HTTP/1.1", "AUTH a b", "\x00\xff")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"\xff\xfe\n", daemon.udp[0])
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("PING") == "PONG"
        assert len(daemon.lines) - quiet < 100
