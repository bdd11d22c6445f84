"""`hubbub check` in a process of its own: what it finds fine, and every mistake."""

from __future__ import annotations

import re
import socket
import subprocess

from hub_process import hubbub
from system.activated import bound, handing
from system.controlled import ONE, Controlled, output


def test_check_says_what_is_fine(tmp_path):
    (tmp_path / "hubbub.toml").write_text(ONE + '[[handler]]\nname = "upper"\n')
    text = output(hubbub("check", "--config", tmp_path / "hubbub.toml", "--control", tmp_path / "no.sock"))
    assert re.fullmatch(
        r"  fine: 1 listener, 0 connectors\n  fine: handlers upper\n  fine: one: tcp 127.0.0.1:\d+ is free\n"
        r"everything is fine\n",
        text,
    )


def test_check_finds_every_mistake(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        options = ("--tcp", "udp:4", "--tcp", f"tcp:{port}:id=taken", "--tcp", "tcp:0:colour=7", "--udp", "udp:x")
        options += ("--handler", "nobody", "--handler", "upper:x=1", "--origin", "/")
        options += ("--permissions", str(tmp_path / "rules"), "--auth", f"hubbub:{tmp_path}/people")
        done = hubbub("check", *options, "--control", tmp_path / "no.sock")
    lines = output(done, 1).splitlines()
    assert done.stdout.endswith("9 mistakes\n")
    mistake = re.compile("unknown endpoint kind|port=x|--origin /|colour=|rules|people|nobody|x=|already in use")
    assert [mistake.search(line)[0] for line in lines] == [
        "unknown endpoint kind", "port=x", "--origin /", "rules", "people", "colour=", "nobody", "x=", "already in use",
    ]  # fmt: skip


def test_check_refuses_what_could_not_start(tmp_path):
    """Two that want one port, and a store that can't be written."""
    with bound(socket.SOCK_STREAM) as free:
        port = free.getsockname()[1]
    (tmp_path / "file").write_text("")
    both = ("--tcp", f"tcp:{port}:id=one", "--tcp", f"tcp:{port}:id=two", "--metrics", f"tcp:{port}")
    done = hubbub("check", *both, "--state", tmp_path / "file", "--control", tmp_path / "no.sock")
    lines = output(done, 1).splitlines()
    assert [line.partition(": can't listen")[0] for line in lines[:2]] == [
        f"hubbub: --tcp tcp:{port}:id=two", f"hubbub: --metrics tcp:{port}",
    ]  # fmt: skip
    assert lines[2] == f"hubbub: --state {tmp_path}/file: it exists, and isn't a folder"


def test_check_knows_the_ports_of_the_running_daemon(tmp_path):
    with Controlled(tmp_path, config=ONE) as daemon:
        port = daemon.tcp[0][1]
        daemon.config.write_text(ONE.replace("tcp:0", f"tcp:{port}"))
        text = output(daemon.ask("check", "--config", daemon.config, "--metrics", "tcp:0"))
        assert f"  fine: one: 127.0.0.1:{port} is open in the running daemon\n" in text
        assert "  fine: metrics tcp:0 is free\n" in text


def test_check_finds_unused_sockets(tmp_path):
    options = ("--tcp", "systemd:domain=INET:name=web", "--control", tmp_path / "no.sock")
    assert output(hubbub("check", *options, LISTEN_FDNAMES="web")).endswith("everything is fine\n")
    refusal = output(hubbub("check", *options, LISTEN_FDNAMES="web:syslog"), 1)
    assert refusal.startswith("hubbub: systemd hands over the socket syslog, number 1, and no listener uses it")


def test_check_looks_at_the_sockets_that_it_is_given(tmp_path):
    with bound(socket.SOCK_STREAM) as web, bound(socket.SOCK_STREAM) as more:
        port = web.getsockname()[1]
        given = [("web", web), ("syslog", more)]
        done = subprocess.run(
            [*handing(given), "check", "--tcp", "systemd:domain=INET:name=web", "--control", str(tmp_path / "no.sock")],
            pass_fds=[one.fileno() for _, one in given], capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
    assert f"  fine: tcp-web: tcp 127.0.0.1:{port} is free\n" in done.stdout
    assert output(done, 1).startswith("hubbub: systemd hands over the socket syslog, number 1, and no listener uses it")


def test_check_looks_at_metrics_and_control_whatever_else_is_wrong(tmp_path):
    with bound(socket.SOCK_STREAM) as taken:
        metrics = f"tcp:{taken.getsockname()[1]}"
        options = ("--tcp", "tcp:0:colour=7", "--metrics", metrics, "--control", tmp_path / "nowhere" / "x.sock")
        lines = output(hubbub("check", *options), 1).splitlines()
    assert "colour=" in lines[0]
    assert lines[1] == f"hubbub: --metrics {metrics}: can't listen: Address already in use"
    assert lines[2].endswith(f"there is no folder {tmp_path / 'nowhere'}")
    refusal = output(hubbub("check", "--tcp", "tcp:0", "--control", __file__), 1)
    assert refusal.endswith("it exists, and isn't a socket\n")
