"""A fork of tests/forkserver.py is what an interpreter of its own is, as far as a handler can see."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from hub_process import FULL, HUBBUB, hubbub, start
from running import RUN, Daemon, LineClient

LOOK = """
import contextlib, gc, json, os, signal, sys
from hubbub import Handler, on

def files():
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the one with which the folder was read is closed
            if os.get_inheritable(fd):
                yield fd

def name(handler):
    return getattr(handler, "__qualname__", str(handler))

class Look(Handler):
    @on("look")
    def look(self, message):
        found = {
            "folder": os.getcwd(), "argv": sys.argv, "path": sys.path, "environment": dict(os.environ),
            "signals": {n: name(signal.getsignal(n)) for n in range(1, signal.NSIG)}, "umask": os.umask(0o22),
            "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            "session": os.getsid(0), "group": os.getpgid(0),
            "inherited": {fd: os.readlink(f"/proc/self/fd/{fd}").partition(":")[0] for fd in files()},
            "collector": gc.get_threshold(),
        }
        message.reply(json.dumps(found))
"""


def look(folder: Path, command: tuple[str, ...] | None) -> dict[str, object]:
    options = ("--tcp", "tcp:0", "--plugin-dir", ".", "--handler", "look")
    with Daemon(*options, folder=folder, command=command) as daemon, LineClient(daemon.tcp[0]) as client:
        client.send("REQ look")
        return json.loads(client.line().removeprefix("REP "))


def test_a_fork_finds_what_an_interpreter_of_its_own_finds(tmp_path, monkeypatch):
    (tmp_path / "look.py").write_text(LOOK)
    monkeypatch.setenv("FOR_THE_DAEMON", "here")
    monkeypatch.syspath_prepend(tmp_path)  # which is of no concern to it
    forked, own = look(tmp_path, None), look(tmp_path, RUN)
    for written_by_readline in ("COLUMNS", "LINES"):  # in C, where it is loaded: os.environ knows nothing of it
        for found in (forked, own):
            found["environment"].pop(written_by_readline, None)
    assert forked == own
    assert forked["environment"]["FOR_THE_DAEMON"] == "here"


def test_a_command_gets_its_input_and_its_end_is_reported(tmp_path):
    done = hubbub("passwd", "add", "file", "ann", said="a secret\n", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = hubbub("passwd", "check", "file", "ann", said="another\n", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "wrong\n")
    again = subprocess.run(
        [*HUBBUB, "passwd", "check", "file", "ann"], cwd=tmp_path, input=b"another\n", capture_output=True
    )
    assert (again.returncode, again.stdout.decode(), again.stderr.decode()) == (1, done.stdout, done.stderr)


def test_what_does_not_end_is_killed():
    with pytest.raises(subprocess.TimeoutExpired):
        hubbub("run", "--tcp", "tcp:0", seconds=0.01)


def test_a_signal_is_reported():
    daemon = Daemon("--tcp", "tcp:0")
    with daemon:
        assert isinstance(daemon.process, subprocess.Popen) == FULL
        assert daemon.process.poll() is None
        daemon.process.kill()
        assert daemon.process.wait(20) == daemon.process.poll() == -signal.SIGKILL


def test_it_may_end_while_a_signal_is_sent():
    """A third of them ends between the look whether it has ended and the signal."""
    for _ in range(2 if FULL else 10):
        process = start("--version")
        while process.poll() is None:
            process.send_signal(0)
        process.stdout.close()
        assert process.returncode == 0
