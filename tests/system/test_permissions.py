"""Permissions in a real daemon: three transports, a reload by SIGHUP, and files with mistakes."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import pytest

from hub_process import hubbub
from running import Daemon, LineClient
from system.clients import WebSocketClient

RULES = """
[groups]
operators = ["ann"]

[[rule]]
who = "everyone"
allow.subscribe = "news/#"

[[rule]]
who.group = "operators"
allow.subscribe = ["plant/#"]
allow.publish = "#"

[[rule]]
who.listener = "field"
allow.publish = "plant/{user}/state"
"""
LISTENERS = (
    "--tcp", "tcp:0:as=ann", "--tcp", "tcp:0:id=nobody", "--websocket", "tcp:0:as=ben:id=web",
    "--udp", "udp:0:as=scale:id=field", "--tcp", "tcp:0:id=plc:dialect=raw:end=lf:topic=up:subscribe=news/plc:as=ann",
)  # fmt: skip
NO = "ERR not-authorized "


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "permissions.toml"
    path.write_text(RULES)
    return path


def reload(daemon: Daemon, says: str) -> None:
    """Send SIGHUP, and wait until the daemon says that, which it hasn't said before."""
    assert says not in daemon.log
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(re.escape(says))


def test_every_transport_and_a_reload(file: Path) -> None:
    with Daemon(*LISTENERS, "--permissions", str(file)) as daemon:
        with (
            LineClient(daemon.tcp[0]) as ann, LineClient(daemon.tcp[1]) as nobody,
            WebSocketClient(daemon.websocket[0], protocol="hubbub.lines") as ben,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as scale, LineClient(daemon.tcp[2]) as plc,
        ):  # fmt: skip
            assert ann.ask("SUB plant/#") == "OK SUB plant/#"
            assert ann.ask("SUB #").startswith(NO)
            for client in (nobody, ben):
                assert client.ask("SUB news/#") == "OK SUB news/#"
                assert client.ask("SUB plant/1").startswith(NO)
                assert client.ask("PUB news/1 x").startswith(NO)
            scale.settimeout(30)
            scale.connect(daemon.udp[0])
            scale.send(b"PUB plant/other/state 1")
            assert scale.recv(999).startswith(NO.encode())
            scale.send(b"PUB plant/scale/state 2")
            assert ann.line() == "MSG plant/scale/state 2"
            ann.send("PUB news/plc stop", "PUB! news/kept 1")
            assert plc.line() == "stop"
            for client in (nobody, ben):
                assert client.line() == "MSG news/plc stop"
                assert client.line() == "MSG news/kept 1"

            file.write_text(RULES + "nonsense")
            reload(daemon, f"not reloaded: {file}:")
            ann.send("PUB news/1 still here")
            assert nobody.line() == ben.line() == "MSG news/1 still here"

            file.write_text(
                RULES.replace('who = "everyone"', 'who.user = "ben"').replace("plant/{user}", "plant/other")
            )
            reload(daemon, "permissions changed (2 subscriptions ended)")
            gone = f"{NO}you may no longer receive news/#; that subscription has ended"
            assert nobody.line() == gone
            assert plc.ended(), "a device that can't be told, and is to hear nothing any more"
            ann.send("PUB news/2 x")
            assert ben.line() == "MSG news/2 x"
            assert nobody.ask("PING") == "PONG"
            assert nobody.ask("SUB news/kept").startswith(NO)
            scale.send(b"PUB plant/scale/state 3")
            assert scale.recv(999).startswith(NO.encode())
            assert "Traceback" not in daemon.log


def test_what_waits_for_a_slow_reader_is_forgotten(file: Path) -> None:
    with Daemon("--tcp", "tcp:0", "--permissions", str(file)) as daemon:
        file.write_text('[[rule]]\nwho = "everyone"\nallow.publish = "#"\nallow.subscribe = "#"\n')
        reload(daemon, "permissions changed (0 subscriptions ended)")
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect(daemon.tcp[0])
        with slow, LineClient(slow) as reader, LineClient(daemon.tcp[0]) as writer:
            assert reader.ask("SUB secret/#") == "OK SUB secret/#"
            assert reader.ask("SUB open/#") == "OK SUB open/#"
            for at in range(60):
                writer.send(f"PUB secret/{at} {'x' * 100_000}")
            writer.send("PUB open/1 for all")
            assert writer.ask("PING") == "PONG"
            file.write_text('[[rule]]\nwho = "everyone"\nallow.publish = "#"\nallow.subscribe = "open/#"\n')
            reload(daemon, "permissions changed (1 subscription ended)")
            output = []
            while not output or not output[-1].startswith("ERR "):
                output.append(reader.line())
            secret = [line for line in output if line.startswith("MSG secret/")]
            assert len(secret) < 55, "what the kernel and the transport had already can't be taken back"
            assert output[-2:] == [
                "MSG open/1 for all",
                f"{NO}you may no longer receive secret/#; that subscription has ended",
            ]
            assert not any(line.startswith("GAP") for line in output)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[[rule]]\nwho = "everyone"\nallow.pubish = "a"',
            ":1: rule 1: allow: unknown key pubish, did you mean publish?",
        ),
        (None, ": No such file or directory"),
    ],
)
def test_a_mistake_at_the_start_is_one_line(file: Path, text: str | None, says: str) -> None:
    file.unlink()
    if text is not None:
        file.write_text(text)
    done = hubbub("run", "--tcp", "tcp:0", "--permissions", file)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"hubbub: {file}{says}\n")


def test_a_rule_for_a_listener_that_is_not_there_is_reported(file: Path) -> None:
    with Daemon("--tcp", "tcp:0", "--permissions", str(file)) as daemon:
        daemon.wait_for("there are permissions for field, but no such listener")
