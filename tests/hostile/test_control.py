"""The commands that ask a running daemon: somebody else may answer, stopped ones don't, and strangers choose names."""

from __future__ import annotations

import contextlib
import fcntl
import json
import multiprocessing
import os
import signal
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from hostile.mqtt import MqttClient
from hub_process import hubbub
from hubbub.service.commands import client
from hubbub.service.commands.running import traced
from running import Daemon, LineClient

NOBODY = 65534
ESCAPE = "\x1b]0;owned\x07"
NOWHERE = {"XDG_RUNTIME_DIR": "", "RUNTIME_DIRECTORY": ""}
STATUS = {
    "version": ESCAPE, "pid": 1, "uptime": 1, "memory": 1, "links": 0, "listeners": [], "connectors": [],
}  # fmt: skip


def answer(path, ready):
    """Be somebody else who listens at `path` and answers whatever is asked."""
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o777)
        server.listen()
        ready.set()
        while True:
            caller, _ = server.accept()
            with caller:
                caller.recv(65536)
                caller.sendall(json.dumps({"status": STATUS, "error": f"from a stranger {ESCAPE}"}).encode() + b"\n")


@pytest.fixture
def stranger():
    """Have another user answer at a path."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    processes = []

    def listen(path):
        ready = multiprocessing.get_context("fork").Event()
        processes.append(multiprocessing.get_context("fork").Process(target=answer, args=(path, ready), daemon=True))
        processes[-1].start()
        assert ready.wait(30)

    yield listen
    for one in processes:
        one.kill()
        one.join()


@pytest.fixture
def shared():
    """A folder like /tmp."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


@pytest.mark.parametrize("command", ["status", "reload", "trace", "top"])
def test_a_stranger_s_folder_in_a_shared_one(stranger, shared, command):
    folder = shared / f"hubbub-{os.geteuid()}"
    folder.mkdir(mode=0o755)
    os.chown(folder, NOBODY, NOBODY)
    stranger(folder / "control.sock")
    done = hubbub(command, TMPDIR=str(shared), **NOWHERE)
    assert done.returncode == 1
    assert "stranger" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert f"{folder / 'control.sock'}: user {NOBODY} answers there" in done.stderr


def test_a_stranger_before_the_daemon_is_warned_of(stranger, shared, daemon, monkeypatch, capsys):
    stranger(shared / "control.sock")
    monkeypatch.setattr(client, "where_to_look", lambda: [shared / "control.sock", daemon.control])
    assert "version" in next(client.ask(None, {"command": "status"}))["status"]
    assert capsys.readouterr().err.startswith(f"hubbub: {shared}/control.sock: user {NOBODY} answers there")


def test_a_stranger_s_socket_where_it_was_named(stranger, shared):
    stranger(shared / "control.sock")
    done = hubbub("status", "--control", shared / "control.sock")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"user {NOBODY} answers there" in done.stderr


def test_a_daemon_of_another_user_in_a_folder_of_that_user(stranger, tmp_path):
    """Root may look at the daemon of a user, where nobody but that user can have put it: escapes are shown as such."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "own"
        folder.mkdir(mode=0o755)
        os.chown(folder, NOBODY, NOBODY)
        stranger(folder / "control.sock")
        done = hubbub("status", "--control", folder / "control.sock")
    assert done.returncode == 1
    assert done.stderr == "hubbub: from a stranger \\x1b]0;owned\\x07\n"


# What clients choose


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    with Daemon("--tcp", "tcp:0:id=a", "--control", str(folder / "control"), folder=folder) as one:
        one.control = folder / "control"
        yield one


@pytest.mark.parametrize("command", [("status", "--links"), ("status", "--links", "--json"), ("top", "--count", "1")])
def test_names_that_clients_choose(daemon, command):
    with socket.create_connection(daemon.tcp[0]) as link:
        MqttClient(link, f"x{ESCAPE}\x9b31m\u202e")
        done = hubbub(*command, "--control", daemon.control)
    assert (done.returncode, done.stdout != "") == (0, True)
    assert all(one.isprintable() or one == "\n" for one in done.stdout)


def test_what_a_trace_shows(daemon):
    with socket.socket(socket.AF_UNIX) as control, LineClient(daemon.tcp[0]) as lines:
        control.settimeout(30)
        control.connect(str(daemon.control))
        control.sendall(b'{"command":"trace"}\n')
        reported = control.makefile()
        assert "tracing" in json.loads(reported.readline())
        lines.send(f"SUB a{ESCAPE}", f"PUB a{ESCAPE} {ESCAPE}", "PING")
        record = {}
        while "PONG" not in record.get("out", ""):
            record = json.loads(reported.readline())
            assert all(one.isprintable() or one == "\n" for one in traced(record)), record


# A daemon that is stopped


@pytest.fixture
def stopped(tmp_path):
    """The control socket of a daemon that takes no connections any more, and whose queue of them is full."""
    path = tmp_path / "control"
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(Daemon("--tcp", "tcp:0", "--control", str(path)))
        one.process.send_signal(signal.SIGSTOP)
        stack.callback(one.process.send_signal, signal.SIGCONT)
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(path))
        yield path


def test_a_daemon_that_begins_beside_a_stopped_one(stopped):
    done = hubbub("run", "--tcp", "tcp:0", "--control", stopped, seconds=10)
    assert done.returncode != 0
    assert f"another daemon has the control socket {stopped}" in done.stdout + done.stderr
    assert stat.S_ISSOCK(stopped.stat().st_mode)


def test_a_lock_on_the_folder_held_by_another_process(tmp_path):
    """Who may read a folder may lock it."""
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with Daemon("--tcp", "tcp:0", "--control", str(tmp_path / "control")):
        assert hubbub("status", "--control", tmp_path / "control").returncode == 0
    os.close(folder)


@pytest.mark.parametrize("command", ["status", "reload"])
def test_a_command_to_a_stopped_one(stopped, command):
    done = hubbub(command, "--control", stopped, seconds=10)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{stopped}: it takes no connections now" in done.stderr


# Commands that read what others wrote


def test_what_a_capture_shows(tmp_path):
    (tmp_path / "capture").write_bytes(f"PUB a\u202e/{ESCAPE}\x9b {ESCAPE}\nPUBB a {ESCAPE}\n".encode())
    done = hubbub("try", "lines", tmp_path / "capture")
    assert (done.returncode, done.stdout != "") == (0, True)
    assert all(one.isprintable() or one == "\n" for one in done.stdout), done.stdout
