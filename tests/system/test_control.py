"""The commands that talk to a running daemon, each in a process of its own: what they print, and how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hub_process import hubbub
from hubbub.service.cli import main
from running import Daemon, LineClient
from system.controlled import PLAIN, Controlled, output


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """One for all who leave it as it was."""
    with Controlled(tmp_path_factory.mktemp("control"), *PLAIN) as running:
        yield running
    assert "Traceback" not in running.log


# The socket


def test_the_socket_is_for_its_owner_and_goes_with_the_daemon(tmp_path):
    with Controlled(tmp_path, *PLAIN) as daemon:
        found = daemon.control.stat()
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == 0o600
        (end,) = daemon.raw(b'{"command":"reload"}\n')
        assert end == {"done": True, "changed": "nothing has changed"}
    assert not daemon.control.exists()


def test_another_user_is_turned_away():
    """By the kernel's word for who it is, whatever the modes of files say."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory() as folder, Controlled(Path(folder), *PLAIN) as daemon:
        Path(folder).chmod(0o711)
        daemon.control.chmod(0o666)
        with socket.socket(socket.AF_UNIX) as client:
            os.seteuid(65534)  # of which the kernel makes a note when it connects
            try:
                client.connect(str(daemon.control))
            finally:
                os.seteuid(0)
            answer = client.makefile("rb").read()
    assert json.loads(answer) == {"error": "only the daemon's own user and root may control it"}


@pytest.mark.parametrize(
    "sent", [b"\n", b"rubbish\n", b"[]\n", b'{"command":"fly"}\n', b'{"command":[]}\n', b"[" * 60_000 + b"\n"]
)
def test_what_is_no_command(daemon, sent):
    (answer,) = daemon.raw(sent)
    assert answer["error"].startswith("expected a line of JSON with a command, one of status, ")


def test_a_request_that_is_too_long(daemon):
    assert daemon.raw(b"x" * 70_000) == [{"error": "a request longer than 65536 bytes"}]


def test_a_refusal_that_resets_no_client_still_sending(daemon):
    assert daemon.raw(b"x" * 150_000) == [{"error": "a request longer than 65536 bytes"}]


def test_no_more_than_some_commands_at_once(daemon):
    idle = [socket.socket(socket.AF_UNIX) for _ in range(16)]
    for one in idle:
        one.connect(str(daemon.control))
    assert daemon.raw() == [{"error": "16 commands are at work already"}]
    for one in idle:
        one.close()
    assert output(daemon.ask("status")).startswith("hubbub ")


def test_a_stale_file_is_replaced_and_a_living_daemon_is_not(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Controlled(tmp_path, *PLAIN) as daemon:
        assert output(daemon.ask("status")).startswith("hubbub ")
        second = hubbub("run", *PLAIN, "--control", path)
        assert output(second, 1) == f"hubbub: another daemon, pid {daemon.process.pid}, has the control socket {path}\n"
        assert output(daemon.ask("status")).startswith("hubbub ")


@pytest.mark.parametrize("name", ["file", "no/control.sock", "x" * 120])
def test_a_place_where_no_socket_can_be(tmp_path, name):
    (tmp_path / "file").write_text("precious")
    done = hubbub("run", *PLAIN, "--control", tmp_path / name)
    assert re.fullmatch(r"hubbub: [^\n]+\n", output(done, 1))
    assert (tmp_path / "file").read_text() == "precious"


def test_the_default_place_and_a_second_daemon(tmp_path, monkeypatch):
    """The first has it, the second has one beside it, and each command says which daemon it has asked."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    with Daemon(*PLAIN) as first:
        path = tmp_path / "hubbub/control.sock"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with Daemon(*PLAIN) as second:
            own = path.with_name(f"control-{second.process.pid}.sock")
            one, other = first.process.pid, second.process.pid
            second.wait_for(f"another daemon, pid {one}, has the control socket {path}; commands for this one: .*{own}")
            found = hubbub("status")
            assert f"pid {one}," in found.stdout
            assert found.stderr == f"hubbub: pid {other} is another daemon; for that one: --control {own} asks it\n"
            assert f"pid {other}," in output(hubbub("status", "--control", own))
            taken = hubbub("run", "--tcp", f"tcp:{second.tcp[0][1]}")
            assert taken.stderr.endswith(
                f"in use: the hubbub of pid {other} has it as a; `hubbub status --control {own}` shows it\n"
            )
        assert not own.exists()
        assert output(hubbub("status")).startswith("hubbub ")


def test_the_second_daemon_is_named_once_the_first_is_dead(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    with Daemon(*PLAIN) as first, Daemon(*PLAIN) as second:
        own = tmp_path / f"hubbub/control-{second.process.pid}.sock"
        first.process.kill()
        first.process.wait()
        for command in ("status", "reload"):
            assert output(hubbub(command), 1).endswith(
                f"Connection refused, /run/hubbub/control.sock: No such file or directory); pid {second.process.pid} "
                f"is another daemon; for that one: --control {own} asks it\n"
            )


def test_without_a_place_for_the_control_socket_the_daemon_warns(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    with Daemon(*PLAIN) as daemon:
        line = daemon.wait_for("no control socket, so `hubbub status` and the like can't reach this daemon: ")
    assert json.loads(line)["level"] == "warn"


def test_without_a_daemon_the_places_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    path = tmp_path / "hubbub/control.sock"
    assert output(hubbub("status"), 1).startswith(
        f"hubbub: no daemon answers ({path}: No such file or directory, /run/"
    )


# status, top


def test_status(tmp_path):
    with Controlled(tmp_path, *PLAIN, "--udp", "udp:0:id=u", "--handler", "upper") as daemon:
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("SUB #") == "OK SUB #"
            assert client.ask("PUB! a 1") == "MSG a 1"
            assert client.ask("FLY").startswith("ERR bad-command")
            text = output(daemon.ask("status", "--links"))
            found = json.loads(output(daemon.ask("status", "--json", "--links")))
            host, port = client.socket.getsockname()
    assert re.match(r"hubbub \S+, pid \d+, up \d+ s, \d+ MiB, 1 link\n\nlisteners\n  id +where", text)
    assert re.search(rf"^  a +tcp 127.0.0.1:{daemon.tcp[0][1]} +auto +1 +3 +1 ", text, re.MULTILINE)
    assert "1 retained" in text
    assert re.search(r"^refused   1 \(1 bad-command\)$", text, re.MULTILINE)
    assert re.search(r"^handlers  upper$", text, re.MULTILINE)
    assert re.search(rf"^ +\d+  a +{host}:{port} +- +- +lines", text, re.MULTILINE)
    assert found["pid"] == daemon.process.pid
    assert [one["id"] for one in found["listeners"]] == ["a", "u"]
    assert found["topics"]["retained"] == 1
    assert found["outboxes"] == {"waiting": 0, "memory": 0, "worst": None}
    (link,) = found["each"]
    assert (link["listener"], link["port"], link["dialect"], link["subscriptions"]) == ("a", port, "lines", 1)
    assert found["memory"] > 10_000_000


def test_status_while_it_stops(tmp_path):
    with Controlled(tmp_path, *PLAIN, "--websocket", "tcp:0:id=w", "--drain", "20s") as daemon:
        with LineClient(daemon.tcp[0]) as client, LineClient(daemon.tcp[0]) as other:
            assert client.ask("SUB stuck") == "OK SUB stuck"
            other.send(*["PUB stuck " + "x" * 1_000_000] * 7)
            assert other.ask("PING") == "PONG"
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait_for("stopping: SIGTERM")
            text = output(daemon.ask("status"))
    assert f"tcp 127.0.0.1:{daemon.tcp[0][1]} " in text


def test_top_where_stdout_is_no_terminal(daemon):
    text = output(daemon.ask("top", "--count", 3, "--interval", "100ms"))
    assert text.count("\nlisteners\n") == 3
    assert output(daemon.ask("top", "--interval", "soon"), 1).startswith(
        "hubbub: top: argument --interval: soon: expected seconds"
    )


def on_a_terminal(command: list[str], keys: bytes = b"", columns: int = 120) -> tuple[int, str]:
    """Run a command with a terminal for its input and output, on which keys are pressed; return status and output."""
    ours, theirs = os.openpty()
    os.write(ours, keys)
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": str(columns)}
    ) as it:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # its end has closed
            pass
    os.close(ours)
    return it.returncode, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def test_top_on_a_terminal(daemon):
    command = ["-m", "hubbub", "top", "--control", str(daemon.control), "--count", "2", "--interval", "100ms"]
    status, shown = on_a_terminal([sys.executable, *command])
    assert status == 0, shown
    assert re.search(rf"a +tcp 127.0.0.1:{daemon.tcp[0][1]} +0 +0 +0 B", shown), shown
    status, shown = on_a_terminal(
        [sys.executable, "-m", "hubbub", "top", *command[3:5], "--interval", "1h"], keys=b"xq"
    )
    assert status == 0, shown
    status, shown = on_a_terminal([sys.executable, *command], columns=80)
    lines = shown.splitlines()
    assert re.search(rf"^  a +tcp 127.0.0.1:{daemon.tcp[0][1]} ", shown, re.MULTILINE), shown
    assert max(len(line.rstrip()) for line in lines) <= 80, lines
    without = "import sys; sys.modules['rich.live'] = None; "
    without += "from hubbub.service.cli import main; sys.exit(main(sys.argv[3:]))"
    status, shown = on_a_terminal([sys.executable, "-c", without, *command])
    assert (status, shown.strip()) == (
        1, "hubbub: top needs rich on a terminal: pip install 'hubbub[top]', or see `hubbub status`",
    )  # fmt: skip


# kick


def test_kick_by_client_identifier(daemon):
    """Who has a client identifier is shown with it, and what would steer the terminal isn't."""
    with socket.create_connection(daemon.tcp[0]) as sensor:
        sensor.sendall(b"\x10\x11\0\4MQTT\4\2\0\0\0\5s\xc2\x9b7m")
        assert sensor.recv(4) == b"\x20\2\0\0"
        assert r"  s\x9b7m  mqtt " in output(daemon.ask("status", "--links"))
        assert output(daemon.ask("kick", "--client", "s\x9b7m")) == "kicked 1 link\n"
        assert sensor.recv(4) == b""
    assert daemon.ask("kick", "--client", "s").returncode == 1


def test_kick(tmp_path):
    with Controlled(tmp_path, *PLAIN, "--tcp", "tcp:0:id=b:as=ann") as daemon:
        clients = [LineClient(daemon.tcp[at]) for at in (0, 0, 1)]
        for client in clients:
            assert client.ask("PING") == "PONG"
        each = json.loads(output(daemon.ask("status", "--json", "--links")))["each"]
        port = clients[0].socket.getsockname()[1]
        (link,) = [one["link"] for one in each if one["port"] == port]
        assert output(daemon.ask("kick", link)) == "kicked 1 link\n"
        assert clients[0].line() == "BYE"
        assert clients[0].ended()
        assert (
            output(daemon.ask("kick", "--user", "ann", "--listener", "b", "--host", "127.0.0.1")) == "kicked 1 link\n"
        )
        assert clients[2].line() == "BYE"
        assert clients[1].ask("PING") == "PONG"
        none = daemon.ask("kick", "--user", "ann", "--listener", "a")
        assert (none.returncode, none.stdout) == (1, "kicked 0 links\n")
        assert output(daemon.ask("kick", "--listener", "c"), 1) == "hubbub: there is no listener c; there are a, b\n"
        assert output(daemon.ask("kick", "--host", "here"), 1).startswith("hubbub: --host here: expected an address")
        assert daemon.ask("kick", "--host", "10.0.0.0/8").returncode == 1
        assert output(daemon.ask("kick", "--listener", "a", "--host", "127.0.0.0/8")) == "kicked 1 link\n"
        assert clients[1].line() == "BYE"
        assert "kick: it closes nothing without a LINK, --user, " in output(daemon.ask("kick"), 1)
        assert output(daemon.ask("kick", "x"), 1).startswith("hubbub: kick: argument LINK: x: expected a whole number")
        for client in clients:
            client.close()


# trace


def test_trace(daemon):
    """It goes on until it is interrupted, and leaves nothing behind."""
    with LineClient(daemon.tcp[0]) as client:
        assert client.ask("PING") == "PONG"
        command = [sys.executable, "-m", "hubbub", "trace", "--listener", "a", "--control", str(daemon.control)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as trace:
            assert trace.stdout is not None
            assert trace.stdout.readline().startswith("tracing ")
            client.send("AUTH bob hunter2", "PUB a/b hey")
            assert client.line().startswith("ERR not-authorized")
            shown = ""
            while "no subscriber" not in shown:
                shown += trace.stdout.readline()
            assert re.match(r"\d\d:\d\d:\d\d\.\d{3} #\d+ a 127\.0\.0\.1:\d+ lines\n  < AUTH bob \*{7}\\n", shown)
            assert "\n  Publish a/b 'hey'\n" in shown
            assert b"PUB a/b hey\n".hex(" ") in shown
            assert "hunter2" not in shown
            trace.send_signal(signal.SIGINT)
        assert trace.returncode == 130
        assert client.ask("PING") == "PONG"
        assert output(daemon.ask("trace", "--listener", "x"), 1) == "hubbub: there is no listener x; there are a\n"
        assert output(daemon.ask("trace", "--topic", "a/#/b"), 1).startswith("hubbub: --topic a/#/b: ")


def test_an_unread_trace_does_not_stall_the_daemon(daemon):
    with LineClient(daemon.tcp[0]) as client:
        trace = socket.socket(socket.AF_UNIX)
        trace.connect(str(daemon.control))
        trace.sendall(b'{"command":"trace"}\n')
        assert trace.recv(100).startswith(b'{"tracing": ')
        memory = daemon.memory()
        for _ in range(10):
            client.send(*["PUB a " + "x" * 1000] * 1000)
            assert client.ask("PING") == "PONG"
        assert daemon.memory() < memory + 32 * 1024 * 1024
        trace.close()


def test_a_daemon_that_ends_ends_the_trace(tmp_path):
    with Controlled(tmp_path, *PLAIN) as daemon:
        command = [sys.executable, "-m", "hubbub", "trace", "--json", "--control", str(daemon.control)]
        trace = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert trace.stdout is not None
        assert json.loads(trace.stdout.readline()) == {"tracing": 0}
    _, error = trace.communicate(timeout=30)
    assert (trace.returncode, error) == (1, "hubbub: the daemon has ended\n")


@pytest.mark.parametrize("command", ["reload", "status", "kick", "trace", "top", "check"])
def test_each_command_explains_itself(command, capsys):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"hubbub {command}: ")
    assert max(map(len, text.splitlines())) <= 80
