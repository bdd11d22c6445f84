"""A daemon that can't do what it was asked for says so in one line, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from pathlib import Path

import pytest

from hub_process import hubbub
from running import RUN, TWISTD, Daemon, LineClient

LOOPBACK = "127.0.0.1"


def refused(*options: str, folder: Path | None = None, command: tuple[str, ...] | None = None) -> str:
    """Start a daemon that must refuse, and return its one line."""
    if command is None:
        done = hubbub("run", *options, folder=folder)
    else:
        done = subprocess.run(
            [*command, *options], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40
        )
    assert done.returncode == 1, done
    assert re.fullmatch(r"hubbub: [^\n]+\n", done.stderr), done.stderr
    for word in ("Traceback", "Unhandled", "Usage", "ready:"):
        assert word not in done.stdout + done.stderr, done.stdout
    return done.stderr.removeprefix("hubbub: ").rstrip("\n")


@contextlib.contextmanager
def taken(kind: socket.SocketKind, host: str = LOOPBACK):
    """A port that somebody else has."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as holder:
        holder.bind((host, 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        yield holder.getsockname()[1]


# One of each place where a mistake is found; tests/unit has the others. The options, and what the line must say.
MISTAKES = [
    (["--nonsense"], "nonsense"),
    (["tcp:7000"], "tcp:7000"),
    (["--tcp"], "tcp"),
    (["--tcp", "7000"], "--tcp 7000: .*tcp:7000"),
    (["--tcp", "tcp:0:dialect=klingon"], "klingon.* lines"),
    (["--tcp", "tcp:0:dialetc=raw"], "dialetc"),
    (["--tcp", "tcp:0:dialect=raw:nonsense=1"], "nonsense"),
    (["--tcp", "tcp:0:dialect=raw:dialect=raw"], "dialect= is given twice"),
    (["--tcp", "tcp:0:id=a", "--websocket", "tcp:0:id=a"], "id a .*id="),
    (["--handler", "nobody"], "nobody.*upper"),
    (["--handler", "upper:loud=yes"], "upper.*loud"),
    (["--plugin-dir", "nowhere"], "nowhere"),
    (["--config", "nowhere.toml"], "nowhere.toml"),
]


@pytest.mark.parametrize(("options", "says"), MISTAKES, ids=[" ".join(options) for options, _ in MISTAKES])
def test_a_mistake_is_one_line(options, says, tmp_path):
    line = refused(*options, folder=tmp_path)
    assert re.search(says, line), line
    assert not list(tmp_path.iterdir())


FILES = {
    "syntax": ('[[tcp]]\nendpoint = "tcp:0\n', r"hubbub\.toml:2:\d+: "),
    "unknown key": ('[[tpc]]\nendpoint = "tcp:0"\n', r"hubbub\.toml:1: .*tpc.*tcp"),
    "doubled key": ('[[tcp]]\nendpoint = "tcp:0"\nendpoint = "tcp:1"\n', r"hubbub\.toml:3:\d+: "),
    "a single value in a table": (
        '[[tcp]]\nendpoint = "tcp:0"\nmetrics = "tcp:0"\n',
        "metrics=; in a file it belongs above the first",
    ),
    "unknown key of a table": ('[[tcp]]\nendpoint = "tcp:0"\nspeed = 9\n', "speed"),
}


@pytest.mark.parametrize(("text", "says"), FILES.values(), ids=FILES)
def test_a_mistake_in_the_file_is_one_line(text, says, tmp_path):
    (tmp_path / "hubbub.toml").write_bytes(text.encode())
    line = refused("--config", "hubbub.toml", folder=tmp_path)
    assert re.search(says, line), line


def test_a_mistake_in_conf_d_names_its_file(tmp_path):
    (tmp_path / "hubbub.toml").write_text('tcp = ["tcp:0"]\n')
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/plc.toml").write_text('tcp = ["tcp:0:id=plc:dialect=klingon"]\n')
    assert "conf.d/plc.toml" in refused("--config", "hubbub.toml", folder=tmp_path)


BROKEN = {
    "syntax": ("class Broken(\n    def no\n", r"broken\.py, line 1: SyntaxError: "),
    "exception": ("import math\n\nmath.sqrt(-1)\n", r"broken\.py, line 3: ValueError: math domain error"),
    "import": ("\nimport no_such_module\n", r"broken\.py, line 2: ModuleNotFoundError: .*no_such_module"),
    "lines": ("raise ValueError('one\\ntwo')\n", r"broken\.py, line 1: ValueError: one two"),
    "exits": ("import sys\nsys.exit('bye')\n", r"broken\.py, line 2: SystemExit: bye"),
    "bad filter": (
        "from hubbub import Handler, on\nclass Broken(Handler):\n    @on('a/#/b')\n    def a(self, message): ...\n",
        r"broken\.py, line 3: BadFilter: ",
    ),
    "not in __init__": (
        "from hubbub import Handler\nclass Broken(Handler):\n    def __init__(self):\n        1 / 0\n",
        r"broken\.py, line 4: ZeroDivisionError: ",
    ),
    "bytes": ("\0\0\0", r"broken\.py.*: \w+Error: "),
}


@pytest.mark.parametrize(("text", "says"), BROKEN.values(), ids=BROKEN)
def test_a_named_plugin_that_is_broken_is_one_line(text, says, tmp_path):
    (tmp_path / "broken.py").write_text(text)
    line = refused("--tcp", "tcp:0", "--plugin-dir", str(tmp_path), "--handler", "broken")
    assert re.search(says, line), line


def test_a_name_that_may_be_in_a_broken_file(tmp_path):
    (tmp_path / "mine.py").write_text("import no_such_module\nfrom hubbub import Handler\nclass Alarm(Handler): ...\n")
    line = refused("--tcp", "tcp:0", "--plugin-dir", str(tmp_path), "--handler", "alarm")
    assert re.search(r"unknown handler 'alarm'; .*upper.*mine\.py, line 1: ModuleNotFoundError", line), line


def test_a_broken_dialect_is_one_line(tmp_path):
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    line = refused("--plugin-dir", str(tmp_path), "--tcp", "tcp:0:dialect=broken")
    assert re.search(r"--tcp tcp:0:dialect=broken: .*broken\.py, line 1: ModuleNotFoundError", line), line


@pytest.mark.parametrize(
    ("option", "kind", "spec"),
    [
        ("--tcp", socket.SOCK_STREAM, "tcp:{}"),
        ("--udp", socket.SOCK_DGRAM, "udp:{}"),
        ("--websocket", socket.SOCK_STREAM, "tcp:{}"),
    ],
)
def test_a_port_in_use_closes_the_others(option, kind, spec, tmp_path):
    """Whatever stands before and after the one that fails: afterwards all of it can be had by somebody else."""
    with contextlib.ExitStack() as holders:
        tcp, web = (holders.enter_context(taken(socket.SOCK_STREAM)) for _ in range(2))
        udp = holders.enter_context(taken(socket.SOCK_DGRAM))
    with taken(kind) as port:
        others = ("--tcp", f"tcp:{tcp}", "--tcp", f"unix:{tmp_path}/hub.sock", "--udp", f"udp:{udp}")
        line = refused(option, spec.format(port), *others, "--websocket", f"tcp:{web}")
    assert re.search(rf"{option} {spec.format(port)}: can't listen.*in use", line), line
    for number, family in ((tcp, socket.SOCK_STREAM), (udp, socket.SOCK_DGRAM), (web, socket.SOCK_STREAM)):
        with socket.socket(socket.AF_INET, family) as after:
            after.bind((LOOPBACK, number))
    assert not list(tmp_path.iterdir())


def test_a_unix_socket_in_use(tmp_path):
    path = str(tmp_path / "hub.sock")
    with Daemon("--tcp", f"unix:{path}") as holder:
        assert re.search("can't listen: .*(in use|lock)", refused("--tcp", f"unix:{path}"))
        with LineClient(path) as client:
            assert client.ask("PING") == "PONG"
        holder.process.kill()
    with Daemon("--tcp", f"unix:{path}"), LineClient(path) as client:
        assert client.ask("PING") == "PONG"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "spec"), [("--tcp", "tcp:0"), ("--tcp", "tcp6:0"), ("--udp", "udp:0"), ("--websocket", "tcp:0")]
)
def test_strangers_only_where_it_is_allowed(option, spec):
    """Off loopback with neither anonymous= nor as= nothing starts."""
    everywhere = r"\:\:" if "6" in spec else "0.0.0.0"
    line = refused("--tcp", "tcp:0:id=fine", option, f"{spec}:interface={everywhere}")
    assert "anonymous=yes" in line
    assert "as=" in line


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        (">log 2>&1", r"hubbub: [^\n]*in use\n"),
        (">log 2>other", r""),
        (">log 2>/dev/null", r'\{[^\n]*"level": "critical"[^\n]*in use[^\n]*\n'),
        (">log 2>&-", r'\{[^\n]*"level": "critical"[^\n]*in use[^\n]*\n'),
    ],
)
def test_a_port_in_use_is_reported_once(streams, expected, tmp_path):
    with taken(socket.SOCK_STREAM) as port:
        command = ["sh", "-c", f'"$@" {streams}', "sh", *RUN, "--tcp", f"tcp:{port}"]
        assert subprocess.run(command, cwd=tmp_path, timeout=40).returncode == 1
    assert re.fullmatch(expected, (tmp_path / "log").read_text())
    assert "other" not in streams or "in use" in (tmp_path / "other").read_text()


def test_an_address_that_isn_t_ours():
    assert re.search(r"192\.0\.2\.1.*can't listen: ", refused("--tcp", "tcp:0:interface=192.0.2.1:anonymous=yes"))


@pytest.mark.parametrize("spec", ["ssl:0:privateKey={0}/no.pem:certKey={0}/no.pem", "tls:{0}/no:0"])
def test_tls_without_its_files(spec, tmp_path):
    spec = spec.format(tmp_path)
    line = refused("--tcp", "tcp:0:id=fine", "--tcp", spec)
    assert re.search(rf"can't listen: .*{tmp_path}/no", line), line


@pytest.mark.parametrize("spec", ["ssl:0:privateKey={0}/a.pem:certKey={0}/a.pem", "tls:{0}:0"])
def test_tls_with_other_files(spec, tmp_path):
    (tmp_path / "a.pem").write_text("Dear customer,\n")
    assert re.search("can't listen: .*[a-z]{4}", refused("--tcp", spec.format(tmp_path)))


@pytest.mark.parametrize("command", [RUN, TWISTD], ids=["hubbub run", "twistd -n hubbub"])
def test_an_interpreter_of_its_own_refuses_alike(command, tmp_path):
    with taken(socket.SOCK_STREAM) as port:
        assert "in use" in refused("--tcp", f"tcp:{port}", folder=tmp_path, command=command)
    assert "klingon" in refused("--tcp", "tcp:0:dialect=klingon", folder=tmp_path, command=command)
    assert not list(tmp_path.iterdir())


def test_clients_that_can_not_log_in_are_reported_at_the_start():
    """With --auth a device that has no logins is refused all that it sends, and would never know."""
    options = ("--tcp", "tcp:0:id=mute:dialect=raw:topic=a", "--tcp", "tcp:0:id=known:dialect=syslog:as=plant")
    options += ("--tcp", "tcp:0:id=open:dialect=raw:topic=a:anonymous=yes", "--udp", "udp:0:id=signed:dialect=statsd")
    with Daemon(*options, "--tcp", "tcp:0:id=both", "--auth", "memory:ann:secret") as daemon:
        assert re.findall(r"(\w+): with --auth no client may publish here", daemon.log) == ["mute"]
