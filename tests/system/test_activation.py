"""Sockets that systemd has opened: by name and kind, and still there after the daemon has gone."""

from __future__ import annotations

import contextlib
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ports import free_port
from running import Daemon, LineClient
from scale import FULL
from system.activated import activated, bound

ONE_NAME = (
    "--tcp", "systemd:domain=INET:name=hubbub", "--udp", "systemd:domain=INET:name=hubbub",
    "--websocket", "systemd:domain=INET:name=hubbub-websocket",
)  # fmt: skip


@pytest.fixture
def sockets():
    made = [
        ("hubbub", bound(socket.SOCK_STREAM)),
        ("hubbub", bound(socket.SOCK_DGRAM)),
        ("hubbub-websocket", bound(socket.SOCK_STREAM)),
    ]
    yield made
    for _, one in made:
        one.close()


def test_sockets_of_one_name_are_distinguished_by_their_kind(sockets):
    """All sockets of one unit have one name: systemd.socket(5), FileDescriptorName=."""
    with activated(*ONE_NAME, sockets=sockets) as daemon:
        assert [*daemon.tcp, *daemon.udp, *daemon.websocket] == [one.getsockname() for _, one in sockets]
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("PING") == "PONG"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(30)
            client.sendto(b"PING", daemon.udp[0])
            assert client.recv(100) == b"PONG 0"


def test_two_of_one_name_and_kind_need_an_index(sockets):
    more = [*sockets, ("hubbub", bound(socket.SOCK_STREAM))]
    daemon = activated("--tcp", "systemd:domain=INET:name=hubbub", sockets=more)
    with pytest.raises(AssertionError, match="handed over 2 sockets with name=hubbub; say which with index="):
        daemon.__enter__()
    with activated("--tcp", "systemd:domain=INET:index=3", sockets=more) as daemon:
        assert daemon.tcp == [more[3][1].getsockname()]
    more[3][1].close()


def test_a_unix_socket_of_systemd_keeps_its_file_and_mode(tmp_path):
    path = str(tmp_path / "hub.sock")
    with bound(socket.SOCK_STREAM, path) as theirs:
        Path(path).chmod(0o600)
        for _ in range(2):
            with activated("--tcp", "systemd:domain=UNIX:name=local", sockets=[("local", theirs)]) as daemon:
                with LineClient(path) as client:
                    assert client.ask("PING") == "PONG"
                assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
            assert daemon.process.returncode == 0
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as waiting:
                waiting.connect(path)  # it waits for the next one


def test_a_client_that_comes_between_two_daemons_waits_and_no_datagram_is_lost(sockets):
    (_, stream), (_, datagrams), _ = sockets
    with contextlib.ExitStack() as stack, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        output: set[str] = set()
        sent = 0

        def send(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                sent += 1
                sender.sendto(b"PUB! held/%d x" % sent, datagrams.getsockname())

        with activated(*ONE_NAME, sockets=sockets) as daemon, LineClient(daemon.tcp[0]) as ear:
            assert ear.ask("SUB held/#") == "OK SUB held/#"
            send(200)
            daemon.process.send_signal(signal.SIGTERM)
            send(200)
            while (line := ear.line()) != "BYE":
                output.add(line)
            ear.close()
            daemon.process.wait(20)
        assert daemon.process.returncode == 0
        waiting = [stack.enter_context(LineClient(stream.getsockname())) for _ in range(20)]
        for client in waiting:
            client.send("PING")
        send(200)
        with activated(*ONE_NAME, sockets=sockets) as daemon:
            assert [client.line() for client in waiting] == ["PONG"] * 20
            waiting[0].send("SUB held/#", "PING")
            while (line := waiting[0].line()) != "PONG":
                output.add(line)
            stack.close()
    assert output - {"OK SUB held/#"} == {f"MSG held/{n} x" for n in range(1, sent + 1)}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("stream", "name=hubbub"),
        ("datagram", "index=0"),
        *([("stream", "index=0"), ("datagram", "name=hubbub")] if FULL else []),
    ],
)
def test_systemd_socket_activate(kind, name, need):
    """The tool that comes with systemd: it waits for the first client, and becomes the daemon."""
    program = need("systemd-socket-activate")
    port = free_port(socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM)
    transport, flag = ("--tcp", ()) if kind == "stream" else ("--udp", ("--datagram",))
    command = [
        program, *flag, "-l", f"127.0.0.1:{port}", *(["--fdname=hubbub"] if name == "name=hubbub" else []),
        sys.executable, "-m", "hubbub", "run", transport, f"systemd:domain=INET:{name}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"Listening on" not in process.stderr.readline():
            pass
        if kind == "stream":
            with LineClient(("127.0.0.1", port), 30) as client:
                assert client.ask("PING") == "PONG"
                process.send_signal(signal.SIGTERM)
                assert client.line() == "BYE"
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(30)
                client.sendto(b"PING", ("127.0.0.1", port))
                assert client.recv(100) == b"PONG 0"
                process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(30) == 0


def test_without_systemd_it_says_so():
    daemon = Daemon("--tcp", "systemd:domain=INET:name=hubbub")
    with pytest.raises(AssertionError, match="systemd has handed over no socket with name=hubbub"):
        daemon.__enter__()
