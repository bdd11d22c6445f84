"""The units of systemd: what they are worth, and that hubbub works under them."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hub_process import hubbub
from hubbub import limits
from running import RUN, Daemon, LineClient
from system.clients import WebSocketClient
from system.hardened import settings

ETC = Path(__file__).parents[2] / "etc"
UNITS = ETC / "systemd/system"
SERVICE = settings(UNITS / "hubbub.service")
HARDENED = str(Path(__file__).with_name("hardened.py"))


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_the_rating(need):
    done = subprocess.run(
        [need("systemd-analyze"), "security", "--offline=true", "--no-pager", str(UNITS / "hubbub.service")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for hubbub.service: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    assert float(found[1]) <= 1.5, done.stdout


@pytest.mark.parametrize("unit", ["hubbub.service", "hubbub.socket", "hubbub-websocket.socket"])
def test_systemd_understands_them(unit, tmp_path, need):
    """All of it: `verify` writes a line for each setting that it doesn't know, or that has a bad value."""
    for path in UNITS.iterdir():
        text = path.read_text().replace("/opt/hubbub/bin/hubbub", "/bin/true")
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        [need("systemd-analyze"), "verify", "--man=no", str(tmp_path / unit)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert str(tmp_path) not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_the_user_is_made(tmp_path, need):
    (tmp_path / "etc").mkdir()
    rules = (ETC / "sysusers.d/hubbub.conf").read_text()
    subprocess.run(
        [need("systemd-sysusers"), f"--root={tmp_path}", "-"], input=rules, text=True, check=True, timeout=60
    )
    passwd = dict(line.split(":", 1) for line in (tmp_path / "etc/passwd").read_text().splitlines())
    assert passwd["hubbub"].endswith(":/var/lib/hubbub:/usr/sbin/nologin")
    assert SERVICE["User"] == SERVICE["Group"] == ["hubbub"]


def test_what_systemd_waits_for_is_longer_than_what_hubbub_takes():
    """A drain tells everybody in its first half, and handlers have as long as links."""
    assert seconds(SERVICE["TimeoutStopSec"][0]) > limits.DRAIN_SECONDS * 1.5
    assert SERVICE["Type"] == ["notify"]
    assert seconds(SERVICE["WatchdogSec"][0]) > 1


def test_hubbub_works_under_these_settings(tmp_path, need):
    """Every transport, a login with argon2 in a thread, a reload, the control socket, and a polite end."""
    need("systemd-analyze")
    (tmp_path / "hubbub.toml").write_text(
        f'handler = ["upper", "writer"]\nplugin-dir = ["plugins"]\nauth = ["hubbub:{tmp_path}/passwd"]\n'
        'control = "control.sock"\n[[tcp]]\nendpoint = "tcp:0"\nanonymous = "yes"\n'
        '[[tcp]]\nendpoint = "unix:hub.sock"\nanonymous = "yes"\n'
        '[[udp]]\nendpoint = "udp:0"\nanonymous = "yes"\n[[websocket]]\nendpoint = "tcp:0"\nanonymous = "yes"\n'
    )
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/writer.py").write_text(
        "import socket\nfrom pathlib import Path\nfrom hubbub import Handler, on\n\nclass Writer(Handler):\n"
        "    @on('write')\n    def write(self, message):\n        Path(message.text).write_text('x')\n"
        "        message.reply('written')\n"
        "    @on('family')\n    def family(self, message):\n"
        "        try:\n            socket.socket(int(message.text), socket.SOCK_RAW)\n"
        "        except OSError as error:\n            message.reply(error.strerror)\n"
    )
    assert hubbub("passwd", "add", tmp_path / "passwd", "ada", said="correct horse\n").returncode == 0
    command = (sys.executable, HARDENED, str(UNITS / "hubbub.service"), str(tmp_path), *RUN)
    with Daemon("--config", str(tmp_path / "hubbub.toml"), command=command) as daemon:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        for line in ("NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "Seccomp:\t2"):
            assert line in status
        with LineClient(daemon.tcp[0]) as client, WebSocketClient(daemon.websocket[0]) as web:
            assert client.ask("AUTH ada correct horse") == "OK AUTH ada"
            assert client.ask("PUB echo/a hello") == "MSG echo/a HELLO"
            assert web.ask("PING") == "PONG"
            with LineClient(str(tmp_path / "hub.sock")) as local:
                assert local.ask("PING") == "PONG"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
                datagrams.settimeout(30)
                datagrams.sendto(b"PING", daemon.udp[0])
                assert datagrams.recv(100) == b"PONG 0"
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for("reloaded: ")
            assert client.ask(f"PUB write {tmp_path}/file") == "MSG write written"
            assert client.ask("PUB family 17") == "MSG family Address family not supported by protocol"
            client.send("PUB write /etc/hubbub-was-here")
            daemon.wait_for("Read-only file system")
            daemon.process.send_signal(signal.SIGTERM)
            assert client.line() == "BYE"
            client.close()
        assert daemon.process.wait(30) == 0
